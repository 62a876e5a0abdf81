import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openTree } from "../../../native/index.ts";
import type { TarEntry } from "../../support/tar-builder.ts";
import { openUnpacker, type Unpacker } from "../../support/unpack.ts";

let unpacker: Unpacker;
beforeEach(async () => {
  unpacker = await openUnpacker();
});
afterEach(async () => {
  expect(readFileSync(join(unpacker.path, "outside/secret"), "utf8")).toBe("untouched");
  expect(readdirSync(join(unpacker.path, "outside"))).toEqual(["secret"]);
  await unpacker[Symbol.asyncDispose]();
});

const root = process.getuid?.() === 0;

describe("a layer's tree", () => {
  test("has files, directories and links with their modes and times", async () => {
    const { fsPath } = await unpacker.unpack([
      { name: "./", type: "dir", mode: 0o751, mtime: 1000 },
      { name: "./d/", type: "dir", mode: 0o2755, mtime: 2000 },
      { name: "./d/f", content: "hello", mode: 0o640, pax: { mtime: "1350244992.023960108" } },
      { name: "./d/l", type: "symlink", linkname: "../x", mtime: 3000 },
      { name: "./d/h", type: "hardlink", linkname: "./d/f" },
    ]);
    const at = (path: string) => lstatSync(join(fsPath, path), { bigint: true });
    expect(readFileSync(join(fsPath, "d/f"), "utf8")).toBe("hello");
    expect(Number(at("d/f").mode) & 0o7777).toBe(0o640);
    expect(at("d/f").mtimeNs).toBe(1350244992023960108n);
    expect([Number(at("").mode) & 0o7777, at("").mtimeMs]).toEqual([0o751, 1_000_000n]);
    expect([Number(at("d").mode) & 0o7777, at("d").mtimeMs]).toEqual([0o2755, 2_000_000n]);
    expect([readlinkSync(join(fsPath, "d/l")), at("d/l").mtimeMs]).toEqual(["../x", 3_000_000n]);
    expect(at("d/h").ino).toBe(at("d/f").ino);
  });

  test.skipIf(!root)("has owners, set-id bits, devices and capabilities (needs root)", async () => {
    const capability = Buffer.from("0100000200200000000000000000000000000000", "hex");
    const { fsPath } = await unpacker.unpack([
      { name: "su", content: "x", mode: 0o4755, uid: 12, gid: 34 },
      { name: "ping", content: "x", mode: 0o755, xattrs: { "security.capability": capability } },
      { name: "null", type: "char", devmajor: 1, devminor: 3, mode: 0o666 },
      { name: "pipe", type: "fifo", mode: 0o600 },
    ]);
    const su = lstatSync(join(fsPath, "su"));
    expect([su.mode & 0o7777, su.uid, su.gid]).toEqual([0o4755, 12, 34]);
    expect(lstatSync(join(fsPath, "null")).isCharacterDevice()).toBe(true);
    expect(lstatSync(join(fsPath, "pipe")).isFIFO()).toBe(true);
    using tree = openTree(fsPath);
    expect(tree.xattrs("ping")).toEqual([["security.capability", capability]]);
  });

  test("keeps names that are not UTF-8", async () => {
    const { fsPath, entries } = await unpacker.unpack([{ name: Buffer.from([0x61, 0xff]), content: "x" }]);
    expect(readdirSync(fsPath, { encoding: "buffer" })).toEqual([Buffer.from([0x61, 0xff])]);
    expect(entries.has("a\xff")).toBe(true);
  });

  test("holds a file that is larger than one write", async () => {
    const content = Buffer.alloc(3 * 1024 * 1024 + 17, "rootwright");
    const { fsPath, entries } = await unpacker.unpack([{ name: "big", content }]);
    expect(readFileSync(join(fsPath, "big")).equals(content)).toBe(true);
    expect(entries.get("big")?.size).toBe(content.length);
  });

  test("has the directories that paths imply, with defaults", async () => {
    const { fsPath, entries } = await unpacker.unpack([{ name: "a/b/c", content: "x" }]);
    expect(entries.get("a/b")).toMatchObject({ type: "directory", implied: true, mode: 0o755 });
    expect(lstatSync(join(fsPath, "a/b")).mtimeMs).toBe(0);
  });

  test("follows a parent that is a hard link to a symlink", async () => {
    const { fsPath } = await unpacker.unpack([
      { name: "usr/lib", type: "dir" },
      { name: "lib", type: "symlink", linkname: "usr/lib" },
      { name: "lib2", type: "hardlink", linkname: "lib" },
      { name: "lib2/x", content: "inside" },
    ]);
    expect(readFileSync(join(fsPath, "usr/lib/x"), "utf8")).toBe("inside");
  });

  test("leaves out attributes that Linux does not have", async () => {
    const xattrs = { "com.apple.provenance": "a", "system.nfs4_acl": "b", "user.kept": "c" };
    const { fsPath } = await unpacker.unpack([{ name: "f", content: "x", xattrs }]);
    using tree = openTree(fsPath);
    expect(tree.xattrs("f").map(([name]) => name)).toEqual(["user.kept"]);
  });

  test("takes a later entry of the same name", async () => {
    const { fsPath } = await unpacker.unpack([
      { name: "a", content: "first" },
      { name: "a", content: "second" },
      { name: "p/x", content: "x" },
      { name: "p", content: "now a file" },
      { name: "q", content: "x" },
      { name: "q/", type: "dir" },
    ]);
    expect(readFileSync(join(fsPath, "a"), "utf8")).toBe("second");
    expect(readFileSync(join(fsPath, "p"), "utf8")).toBe("now a file");
    expect(lstatSync(join(fsPath, "q")).isDirectory()).toBe(true);
  });

  test("keeps the other name of a hard-linked file when one is replaced", async () => {
    const { fsPath, entries } = await unpacker.unpack([
      { name: "a", content: "first" },
      { name: "b", type: "hardlink", linkname: "a" },
      { name: "c", type: "hardlink", linkname: "a" },
      { name: "a", content: "second" },
    ]);
    expect([readFileSync(join(fsPath, "a"), "utf8"), readFileSync(join(fsPath, "c"), "utf8")]).toEqual([
      "second",
      "first",
    ]);
    expect(entries.get("b")).toMatchObject({ type: "file", size: 5 });
    expect(entries.get("c")).toMatchObject({ type: "hardlink", link: "b" });
  });
});

describe("whiteouts", () => {
  test.skipIf(!root)("become 0:0 devices and opaque attributes (needs root)", async () => {
    const { fsPath, entries } = await unpacker.unpack([
      { name: ".wh.gone" },
      { name: "d/.wh..wh..opq" },
      { name: "d/kept", content: "x" },
    ]);
    const gone = lstatSync(join(fsPath, "gone"));
    expect([gone.isCharacterDevice(), gone.rdev]).toEqual([true, 0]);
    using tree = openTree(fsPath);
    expect(tree.xattrs("d")).toEqual([["trusted.overlay.opaque", Buffer.from("y")]]);
    expect(entries.get("gone")?.type).toBe("whiteout");
    expect(entries.get("d")?.opaque).toBe(true);
  });

  test.each([
    ["before", [{ name: ".wh.a" }, { name: "a", content: "x" }]],
    ["after", [{ name: "a", content: "x" }, { name: ".wh.a" }]],
  ])("do not remove what their own layer creates %s them", async (_when, layer) => {
    const { fsPath, entries } = await unpacker.unpack(layer);
    expect(readFileSync(join(fsPath, "a"), "utf8")).toBe("x");
    expect(entries.get("a")?.type).toBe("file");
  });

  test.each([
    ["before", [{ name: ".wh.d" }, { name: "d/y", content: "x" }]],
    ["after", [{ name: "d/y", content: "x" }, { name: ".wh.d" }]],
  ])("of a directory that their layer fills %s them leave only the new content", async (_when, layer) => {
    const { entries } = await unpacker.unpack(layer);
    expect(entries.get("d")).toMatchObject({ type: "directory", opaque: true, implied: false });
    expect(entries.has("d/y")).toBe(true);
  });

  test.each([
    ["hard links", [{ name: ".wh.a" }, { name: ".wh.b", type: "hardlink", linkname: ".wh.a" }], ["a", "b"]],
    ["symlinks", [{ name: ".wh.a", type: "symlink", linkname: "/dev/null" }], ["a"]],
  ])("may be %s", async (_what, layer, gone) => {
    const { entries } = await unpacker.unpack(layer);
    for (const path of gone) expect(entries.get(path)?.type).toBe("whiteout");
  });

  test.each([
    ["a file", [{ name: "p", content: "x" }, { name: "p/.wh.old" }, { name: "p/q/.wh..wh..opq" }]],
    [
      "a symlink",
      [
        { name: "t/kept", content: "x" },
        { name: "p", type: "symlink", linkname: "t" },
        { name: "p/.wh.kept" },
        { name: "p/.wh..wh..opq" },
      ],
    ],
    [
      "a symlink that comes after them",
      [{ name: "t/kept", content: "x" }, { name: "p/.wh.kept" }, { name: "p", type: "symlink", linkname: "t" }],
    ],
  ])("below %s that took the place of a directory hide nothing else", async (_what, layer) => {
    const { entries } = await unpacker.unpack(layer);
    expect([...entries.values()].filter(({ type, opaque }) => type === "whiteout" || opaque)).toEqual([]);
    expect(entries.get("p")?.type).not.toBe("directory");
  });

  test("of aufs' own kind are dropped", async () => {
    const { fsPath } = await unpacker.unpack([
      { name: ".wh..wh.aufs" },
      { name: ".wh..wh.plnk/", type: "dir" },
      { name: ".wh..wh.plnk/1.2", content: "x" },
      { name: "b" },
    ]);
    expect(readdirSync(fsPath)).toEqual(["b"]);
  });
});

describe("a hostile layer", () => {
  const refused = async (layer: readonly TarEntry[]): Promise<string> =>
    unpacker.unpack(layer).then(
      () => "accepted",
      (error: { code: string }) => error.code,
    );

  test.each([
    ["a name with ..", [{ name: "../outside/secret", content: "owned" }]],
    ["a .. in the middle of a name", [{ name: "a/../../outside/secret", content: "owned" }]],
    ["a hard link to a file outside, by ..", [{ name: "h", type: "hardlink", linkname: "../../outside/secret" }]],
    ["a whiteout of a place outside", [{ name: "../outside/.wh.secret" }]],
    ["an opaque marker outside", [{ name: "../outside/.wh..wh..opq" }]],
  ])("is refused for %s", async (_what, layer) => {
    expect(await refused(layer)).toBe("layer-escape");
  });

  test.each([
    ["an entry that would replace the root", [{ name: ".", type: "symlink", linkname: "/etc" }]],
    ["a whiteout of nothing", [{ name: ".wh." }]],
    ["a whiteout of the parent", [{ name: "d/.wh..." }]],
    ["an entry inside a whiteout", [{ name: ".wh.d/x", content: "x" }]],
    [
      "an entry below a file",
      [
        { name: "a", content: "x" },
        { name: "a/b", content: "x" },
      ],
    ],
    [
      "links in a circle",
      [
        { name: "a", type: "symlink", linkname: "b" },
        { name: "b", type: "symlink", linkname: "a" },
        { name: "a/x", content: "x" },
      ],
    ],
    ["a hard link to itself", [{ name: "a", type: "hardlink", linkname: "a" }]],
    [
      "a hard link to a directory",
      [
        { name: "d/", type: "dir" },
        { name: "h", type: "hardlink", linkname: "d" },
      ],
    ],
    ["a device that overlayfs takes for a whiteout", [{ name: "w", type: "char", devmajor: 0, devminor: 0 }]],
    ["a name longer than a file system has", [{ name: "n".repeat(256), content: "x" }]],
    ["a path longer than the kernel takes", [{ name: `${"d/".repeat(2100)}x`, content: "x" }]],
  ])("is refused for %s", async (_what, layer) => {
    expect(await refused(layer)).toBe("layer-invalid");
  });

  test.each([
    ["an absolute name", "/outside/secret", []],
    ["an absolute symlink", "l/secret", [{ name: "l", type: "symlink", linkname: "/outside" }]],
    ["a relative symlink", "l/secret", [{ name: "l", type: "symlink", linkname: "../../../../outside" }]],
    [
      "a chain of symlinks",
      "m/secret",
      [
        { name: "l", type: "symlink", linkname: "/outside" },
        { name: "m", type: "symlink", linkname: "l" },
      ],
    ],
  ])("writes inside its tree through %s", async (_what, name, before) => {
    const { fsPath } = await unpacker.unpack([...(before as TarEntry[]), { name, content: "inside" }]);
    expect(readFileSync(join(fsPath, "outside/secret"), "utf8")).toBe("inside");
  });

  test("replaces a symlink instead of writing through it", async () => {
    const { fsPath } = await unpacker.unpack([
      { name: "l", type: "symlink", linkname: "../../outside/secret" },
      { name: "l", content: "mine" },
    ]);
    expect(lstatSync(join(fsPath, "l")).isFile()).toBe(true);
  });

  test("follows a directory that became a symlink after it was used", async () => {
    const { fsPath } = await unpacker.unpack([
      { name: "d/a", content: "x" },
      { name: "d", type: "symlink", linkname: "/outside" },
      { name: "d/b", content: "inside" },
    ]);
    expect(existsSync(join(fsPath, "outside/b"))).toBe(true);
    expect(lstatSync(join(fsPath, "d")).isSymbolicLink()).toBe(true);
  });

  test("that names every file twice, or links and replaces, takes time in proportion", async () => {
    const names = Array.from({ length: 20_000 }, (_, at) => ({ name: `f${at}` }));
    const links = names.map(({ name }) => ({ name: `l-${name}`, type: "hardlink", linkname: name }));
    const start = performance.now();
    const { entries } = await unpacker.unpack([...names, ...links, ...names]);
    expect(entries.size).toBe(40_001);
    // far from a measurement: quadratic, this takes minutes
    expect(performance.now() - start).toBeLessThan(50_000);
  });

  test("is refused beyond the limit of entries", async () => {
    const layer = Array.from({ length: 11 }, (_, at) => ({ name: `f${at}` }));
    await expect(unpacker.unpack(layer, { limits: { maxEntries: 10 } })).rejects.toMatchObject({
      code: "layer-too-large",
    });
  });

  test("is refused beyond the limit of bytes, before they are written", async () => {
    await expect(
      unpacker.unpack([{ name: "a", content: "x".repeat(2000) }], { limits: { maxBytes: 1000 } }),
    ).rejects.toMatchObject({ code: "layer-too-large" });
  });
});

describe("an ordinary user's layer", () => {
  test("has no foreign owners, no devices and nothing unreadable, and an index that knows better", async () => {
    const { fsPath, entries } = await unpacker.unpack(
      [
        { name: "shadow", content: "x", mode: 0o000, uid: 12, gid: 34 },
        { name: "null", type: "char", devmajor: 1, devminor: 3, mode: 0o666 },
        { name: "closed/", type: "dir", mode: 0o000 },
      ],
      { privileged: false },
    );
    expect(lstatSync(join(fsPath, "shadow")).uid).toBe(process.getuid?.());
    expect(lstatSync(join(fsPath, "shadow")).mode & 0o7777).toBe(0o600);
    expect(lstatSync(join(fsPath, "null")).isFile()).toBe(true);
    expect(lstatSync(join(fsPath, "closed")).mode & 0o7777).toBe(0o700);
    expect(entries.get("shadow")).toMatchObject({ mode: 0, uid: 12, gid: 34 });
    expect(entries.get("null")).toMatchObject({ type: "character", major: 1, minor: 3 });
  });
});

describe("directories that paths imply", () => {
  test("count as entries", async () => {
    const entries = Array.from({ length: 5 }, (_, at): TarEntry => ({ name: `${at}/a/b/c/f`, content: "" }));
    const made = await unpacker.unpack(entries, { limits: { maxEntries: 25 } });
    expect(made.result.entryCount).toBe(26); // with the root, which is there before
    await expect(unpacker.unpack(entries, { limits: { maxEntries: 24 } })).rejects.toMatchObject({
      code: "layer-too-large",
      hint: expect.stringContaining("max_entries"),
    });
  });

  test("count when whiteouts imply them, and when a whitelist asks for them", async () => {
    const limits = { maxEntries: 3 };
    const refused = { code: "layer-too-large" };
    await expect(unpacker.unpack([{ name: "a/b/c/.wh.d" }], { limits })).rejects.toMatchObject(refused);
    const part = { directory: "rootfs", whitelists: [["/a/b/c/d/"]] };
    await expect(unpacker.unpack([{ name: "manifest", content: "" }], { limits, part })).rejects.toMatchObject(refused);
  });

  test("of a bomb are refused before they are many", async () => {
    const entries = Array.from(
      { length: 60 },
      (_, at): TarEntry => ({ name: `${at}${"/a".repeat(2000)}`, content: "" }),
    );
    await expect(unpacker.unpack(entries)).rejects.toMatchObject({ code: "layer-too-large" });
    const [layer] = readdirSync(unpacker.path).filter((name) => /^layer-[0-9]+$/.test(name));
    expect(readdirSync(join(unpacker.path, String(layer), "fs"))).toEqual([]);
  });
});

describe("a path", () => {
  const deep = (names: number): string => Array.from({ length: names }, () => "a").join("/");

  test("may be as deep as the limit", async () => {
    expect((await unpacker.unpack([{ name: deep(512), content: "x" }])).entries.has(deep(512))).toBe(true);
    const limits = { maxDepth: 600 };
    expect((await unpacker.unpack([{ name: deep(600), content: "x" }], { limits })).entries.has(deep(600))).toBe(true);
  });

  test.each([
    ["of a file", [{ name: deep(513), content: "x" }]],
    ["of a directory", [{ name: `${deep(513)}/`, type: "dir" }]],
    ["of a whiteout", [{ name: `${deep(512)}/.wh.b` }]],
    ["that a hard link names", [{ name: "b", type: "hardlink", linkname: deep(513) }]],
    [
      "behind links",
      [
        { name: `${deep(300)}/`, type: "dir" },
        { name: "l", type: "symlink", linkname: deep(300) },
        { name: `l/${deep(250)}`, content: "x" },
      ],
    ],
  ] as readonly [string, readonly TarEntry[]][])("%s that is deeper is refused", async (_where, entries) => {
    await expect(unpacker.unpack(entries)).rejects.toMatchObject({
      code: "layer-too-large",
      message: "Cannot unpack a layer: it has a path of more than 512 names",
      hint: expect.stringContaining("max_depth"),
    });
  });
});
