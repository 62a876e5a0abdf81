import { lstatSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openTree } from "../../../native/index.ts";
import { mergeLayers, walkTree } from "../../../src/layers/merge.ts";
import { buildLayer, type TarEntry } from "../../support/tar-builder.ts";
import { openUnpacker, type Unpacked, type Unpacker } from "../../support/unpack.ts";

const root = process.getuid?.() === 0;

let unpacker: Unpacker;
beforeEach(async () => {
  unpacker = await openUnpacker();
});
afterEach(async () => {
  expect(readFileSync(join(unpacker.path, "outside/secret"), "utf8")).toBe("untouched");
  expect(readdirSync(join(unpacker.path, "outside"))).toEqual(["secret"]);
  await unpacker[Symbol.asyncDispose]();
});

function unpackPart(entries: readonly TarEntry[], ...whitelists: string[][]): Promise<Unpacked> {
  return unpacker.unpack(entries, { part: { directory: "rootfs", whitelists } });
}

/** Everything below a directory, as `path` or `path/`. */
function treeOf(path: string): string[] {
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .map((entry) => join(entry.parentPath, entry.name).slice(path.length + 1) + (entry.isDirectory() ? "/" : ""))
    .sort();
}

function indexOf({ entries }: Unpacked): string[] {
  return [...entries.values()].map(({ path, type }) => (type === "directory" ? `${path}/` : path)).sort();
}

const ACI: readonly TarEntry[] = [
  { name: "manifest", content: "{}" },
  { name: "rootfs/", type: "dir", mode: 0o711, mtime: 4000 },
  { name: "rootfs/bin/", type: "dir", mode: 0o750, mtime: 5000 },
  { name: "rootfs/bin/app", content: "app", mode: 0o755 },
  { name: "rootfs/bin/again", type: "hardlink", linkname: "rootfs/bin/app" },
  { name: "rootfs/etc/motd", content: "hello" },
  { name: "rootfs/etc/link", type: "symlink", linkname: "/rootfs/x" },
  { name: "rootfs2/not", content: "another directory" },
  { name: "rootfsx", content: "another name" },
];

describe("a part of a tar", () => {
  test("has what lies below its directory, and the directory's own attributes", async () => {
    const made = await unpackPart(ACI);
    expect(treeOf(made.fsPath)).toEqual(["bin/", "bin/again", "bin/app", "etc/", "etc/link", "etc/motd"]);
    expect(indexOf(made)).toEqual(["/", "bin/", "bin/again", "bin/app", "etc/", "etc/link", "etc/motd"]);
    const top = lstatSync(made.fsPath);
    expect([top.mode & 0o7777, top.mtimeMs]).toEqual([0o711, 4_000_000]);
    expect(lstatSync(join(made.fsPath, "bin/app")).ino).toBe(lstatSync(join(made.fsPath, "bin/again")).ino);
    expect(made.entries.get("etc/link")?.link).toBe("/rootfs/x");
  });

  test.each([["./rootfs"], ["/rootfs"], [".//rootfs/."]])("is found when its names begin with %s", async (start) => {
    const { fsPath } = await unpackPart([
      { name: `${start}/`, type: "dir" },
      { name: `${start}/f`, content: "x" },
      { name: `${start}/l`, type: "hardlink", linkname: `${start}/f` },
    ]);
    expect(treeOf(fsPath)).toEqual(["f", "l"]);
  });

  test("is empty when nothing lies there", async () => {
    const made = await unpackPart([{ name: "manifest", content: "{}" }]);
    expect([treeOf(made.fsPath), indexOf(made)]).toEqual([[], ["/"]]);
  });

  test("is verified by the digest of the whole tar", async () => {
    const tar = Buffer.concat([buildLayer(ACI), Buffer.alloc(5000)]);
    expect(treeOf((await unpacker.unpack(tar, { part: { directory: "rootfs", whitelists: [] } })).fsPath)).toContain(
      "bin/app",
    );
  });

  test("counts what it passes over", async () => {
    const entries = Array.from({ length: 50 }, (_, at): TarEntry => ({ name: `outside/${at}`, content: "x" }));
    const limits = { maxEntries: 20 };
    const part = { directory: "rootfs", whitelists: [] };
    await expect(unpacker.unpack(entries, { part, limits })).rejects.toMatchObject({ code: "layer-too-large" });
  });

  test.each([
    ["a hard link to its manifest", { name: "rootfs/m", type: "hardlink", linkname: "manifest" }, "layer-escape"],
    [
      "a hard link to a like-named place",
      { name: "rootfs/m", type: "hardlink", linkname: "rootfs2/not" },
      "layer-escape",
    ],
    ["a hard link to its own root", { name: "rootfs/m", type: "hardlink", linkname: "rootfs" }, "layer-invalid"],
    ["a hard link out of it", { name: "rootfs/m", type: "hardlink", linkname: "rootfs/../x" }, "layer-escape"],
    ["a name out of it", { name: "rootfs/../../outside/new", content: "x" }, "layer-escape"],
    ["a name out of it, beside it", { name: "other/../../outside/new", content: "x" }, "layer-escape"],
    ["a symlink in its place", { name: "rootfs", type: "symlink", linkname: "../../outside" }, "layer-invalid"],
    ["a file in its place", { name: "rootfs", content: "x" }, "layer-invalid"],
  ] as const)("is refused with %s", async (_what, entry, code) => {
    await expect(unpackPart([{ name: "manifest", content: "{}" }, entry])).rejects.toMatchObject({ code });
  });

  test("follows its symlinks no further than its own root", async () => {
    const { fsPath } = await unpackPart([
      { name: "rootfs/out", type: "symlink", linkname: "../../../../outside" },
      { name: "rootfs/out/new", content: "inside" },
    ]);
    expect(readFileSync(join(fsPath, "outside/new"), "utf8")).toBe("inside");
  });
});

describe("a name that looks like a whiteout, in a part", () => {
  const LOOKALIKES: readonly TarEntry[] = [
    { name: "rootfs/d/f", content: "stays" },
    { name: "rootfs/d/.wh.f", content: "a file" },
    { name: "rootfs/d/.wh..wh..opq", content: "another" },
    { name: "rootfs/.wh..wh.plnk/x", content: "third" },
    { name: "rootfs/.wh.d", type: "dir" },
    { name: "rootfs/.wh.d/y", content: "fourth" },
  ];

  test("is the name of a file or directory", async () => {
    const made = await unpackPart(LOOKALIKES);
    const all = [".wh..wh.plnk/", ".wh..wh.plnk/x", ".wh.d/", ".wh.d/y", "d/", "d/.wh..wh..opq", "d/.wh.f", "d/f"];
    expect(treeOf(made.fsPath)).toEqual(all);
    expect(indexOf(made)).toEqual(["/", ...all].sort());
  });

  test("hides nothing of the layers below when they are merged", async () => {
    const lower = await unpackPart([
      { name: "rootfs/d/f", content: "lower" },
      { name: "rootfs/d/g", content: "lower" },
    ]);
    const upper = await unpackPart(LOOKALIKES.slice(1));
    const merged = mergeLayers([[...lower.entries.values()], [...upper.entries.values()]]);
    const paths = [...walkTree(merged.root)].map(([path]) => path);
    expect(paths).toEqual(expect.arrayContaining(["d/f", "d/g", "d/.wh.f", "d/.wh..wh..opq"]));
    expect([...walkTree(merged.root)].every(([, node]) => node.ghostsOf < 0)).toBe(true);
  });

  test.skipIf(!root)("is no opaque directory for overlayfs either (needs root)", async () => {
    const { fsPath } = await unpackPart(LOOKALIKES);
    using tree = openTree(fsPath);
    expect(tree.xattrs("d")).toEqual([]);
  });

  test("is refused when it is what overlayfs takes for a whiteout", async () => {
    const device = { name: "rootfs/gone", type: "char", devmajor: 0, devminor: 0 } as const;
    await expect(unpackPart([device])).rejects.toThrow(/overlayfs takes for a whiteout/);
  });
});

describe("a whitelist", () => {
  test("leaves what it lists, and the directories that lead there", async () => {
    const made = await unpackPart(ACI, ["/bin/app", "/etc"]);
    expect(treeOf(made.fsPath)).toEqual(["bin/", "bin/app", "etc/"]);
    expect(indexOf(made)).toEqual(["/", "bin/", "bin/app", "etc/"]);
    expect(lstatSync(join(made.fsPath, "bin")).mode & 0o7777).toBe(0o750);
    expect(lstatSync(join(made.fsPath, "bin")).mtimeMs).toBe(5_000_000);
  });

  test("keeps a file alive under its other name when the first one goes", async () => {
    const made = await unpackPart(ACI, ["/bin/again"]);
    expect(treeOf(made.fsPath)).toEqual(["bin/", "bin/again"]);
    expect(readFileSync(join(made.fsPath, "bin/again"), "utf8")).toBe("app");
    expect(made.entries.get("bin/again")).toMatchObject({ type: "file", size: 3, mode: 0o755 });
  });

  test("keeps three names of a file together when the first one goes", async () => {
    const names = ["a", "b", "c"].map(
      (name): TarEntry => ({ name: `rootfs/${name}`, type: "hardlink", linkname: "rootfs/first" }),
    );
    const made = await unpackPart([{ name: "rootfs/first", content: "x" }, ...names], ["/b", "/c"]);
    expect(made.entries.get("c")).toMatchObject({ type: "hardlink", link: "b" });
    expect(lstatSync(join(made.fsPath, "b")).nlink).toBe(2);
  });

  test("with a slash at the end, lists a directory without its content", async () => {
    expect(treeOf((await unpackPart(ACI, ["/bin/", "/etc/motd"])).fsPath)).toEqual(["bin/", "etc/", "etc/motd"]);
  });

  test("makes the directories that it lists and that are missing", async () => {
    const made = await unpackPart(ACI, ["/var/lib/app/", "/bin/app"]);
    expect(treeOf(made.fsPath)).toEqual(["bin/", "bin/app", "var/", "var/lib/", "var/lib/app/"]);
    expect(lstatSync(join(made.fsPath, "var/lib/app")).mode & 0o7777).toBe(0o755);
    expect(made.entries.get("var/lib/app")).toMatchObject({ type: "directory", mode: 0o755 });
  });

  test("makes a directory in the place of a link of that name, and follows it nowhere", async () => {
    const link = { name: "rootfs/data", type: "symlink", linkname: "../../outside" } as const;
    const made = await unpackPart([link, { name: "rootfs/f", content: "x" }], ["/data/", "/data/sub/"]);
    expect(treeOf(made.fsPath)).toEqual(["data/", "data/sub/"]);
  });

  test("is one of several, which are all applied", async () => {
    const made = await unpackPart(ACI, ["/bin/app", "/etc/motd", "/srv/"], ["/etc/motd", "/bin/again", "/new/"]);
    expect(treeOf(made.fsPath)).toEqual(["bin/", "etc/", "etc/motd", "new/"]);
  });

  test("that is empty leaves the root alone", async () => {
    const made = await unpackPart(ACI, []);
    expect([treeOf(made.fsPath), indexOf(made)]).toEqual([[], ["/"]]);
  });

  test.each([["//bin//app"], ["/bin/./app"], ["bin/app"]])("takes %s for what it means", async (spelled) => {
    expect(treeOf((await unpackPart(ACI, [spelled])).fsPath)).toEqual(["bin/", "bin/app"]);
  });

  test("matches names as text, whatever bytes they are", async () => {
    const made = await unpackPart(
      [
        { name: "rootfs/größe", content: "x" },
        { name: "rootfs/y", content: "x" },
      ],
      ["/größe"],
    );
    expect(treeOf(made.fsPath)).toEqual(["größe"]);
  });

  test("with a path that leaves the tree is refused", async () => {
    await expect(unpackPart(ACI, ["/../outside/"])).rejects.toMatchObject({ code: "layer-escape" });
  });

  test("of many directories takes no time that grows with their square", async () => {
    const entries = Array.from({ length: 20_000 }, (_, at): TarEntry => ({ name: `rootfs/d${at}/f`, content: "" }));
    const made = await unpackPart(entries, ["/d7/f"]);
    expect(treeOf(made.fsPath)).toEqual(["d7/", "d7/f"]);
  });
});

test("a whitelist of a few long paths takes no memory that grows with the square of their length", async () => {
  const long = Array.from({ length: 1000 }, (_, at) => `/${at}${"/a".repeat(2040)}`);
  const before = process.memoryUsage().heapUsed;
  const made = await unpackPart(ACI, [...long, "/bin/app"]);
  expect(treeOf(made.fsPath)).toEqual(["bin/", "bin/app"]);
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(64 * 1024 * 1024);
});
