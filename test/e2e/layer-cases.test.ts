/**
 * Stacks of layers in which assemblers commonly go wrong, on every backend that can show them: the names that are
 * listed, what can be opened, and metadata. Each case says what applying the layers one after another gives.
 */
import { lstatSync, readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ProvisionedRootfs, rootwright, rootwrightJson } from "../support/cli.ts";
import { buildImage, type TarEntry, writeDockerArchive } from "../support/tar-builder.ts";
import { openTempDir, type TempDir } from "../support/temp-dir.ts";

const root = process.getuid?.() === 0;
const BACKENDS = root ? ["overlay", "overlay --read-only", "copy"] : ["copy"];

const dir = (name: string, more: Partial<TarEntry> = {}): TarEntry => ({ name, type: "dir", ...more });
const file = (name: string, content = name): TarEntry => ({ name, content });

type Layers = readonly (readonly TarEntry[])[];

const CASES: readonly (readonly [what: string, layers: Layers, expected: readonly string[]])[] = [
  ["a whiteout and a new file of one name", [[file("a", "old")], [file(".wh.a", ""), file("a", "new")]], ["a=new"]],
  [
    "a whiteout of a directory that is filled anew",
    [[file("d/x")], [file(".wh.d", ""), file("d/y")]],
    ["d/", "d/y=d/y"],
  ],
  [
    "an opaque marker at the root",
    [
      [file("a"), file("d/b")],
      [file(".wh..wh..opq", ""), file("c")],
    ],
    ["c=c"],
  ],
  [
    "a whiteout in a directory that nobody had",
    [[file("x")], [file("new/.wh.q", ""), file("new/r")]],
    ["new/", "new/r=new/r", "x=x"],
  ],
  ["a whiteout in a directory that was a file", [[file("d")], [file("d/.wh.q", ""), file("d/r")]], ["d/", "d/r=d/r"]],
  [
    "whiteouts and files below what was a symlink out of the tree",
    [[{ name: "bad", type: "symlink", linkname: "/etc" }], [file("bad/.wh.passwd", ""), file("bad/n")]],
    ["bad/", "bad/n=bad/n"],
  ],
  [
    "whiteouts that are hard links to each other",
    [
      [file("a"), file("b"), file("c")],
      [file(".wh.a", ""), { name: ".wh.b", type: "hardlink", linkname: ".wh.a" }],
    ],
    ["c=c"],
  ],
  [
    "a whiteout that is a symlink",
    [[file("a"), file("b")], [{ name: ".wh.a", type: "symlink", linkname: "/dev/null" }]],
    ["b=b"],
  ],
  [
    "aufs' own files",
    [[file("a")], [dir(".wh..wh.plnk/"), file(".wh..wh.plnk/1.2"), file(".wh..wh.aufs", ""), file("b")]],
    ["a=a", "b=b"],
  ],
  [
    "a whiteout in the base layer",
    [[file(".wh.x", ""), file("a"), file("d/.wh.y", ""), file("d/z")]],
    ["a=a", "d/", "d/z=d/z"],
  ],
  [
    "an opaque directory with siblings before and after the marker",
    [[file("d/old")], [file("d/before"), file("d/.wh..wh..opq", ""), file("d/after")]],
    ["d/", "d/after=d/after", "d/before=d/before"],
  ],
  ["a directory that comes, goes and comes", [[file("d/a")], [file(".wh.d", "")], [file("d/b")]], ["d/", "d/b=d/b"]],
  ["a file in the place of a directory", [[file("p/x")], [file("p")]], ["p=p"]],
  ["a directory in the place of a file", [[file("p")], [dir("p/"), file("p/x")]], ["p/", "p/x=p/x"]],
  [
    "a symlink in the place of a directory",
    [[file("p/x"), file("q")], [{ name: "p", type: "symlink", linkname: "q" }]],
    ["p->q", "q=q"],
  ],
  [
    "a file in the place of a symlink",
    [[file("q"), { name: "p", type: "symlink", linkname: "q" }], [file("p", "mine")]],
    ["p=mine", "q=q"],
  ],
  [
    "a whiteout of a dangling symlink",
    [[file("a"), { name: "l", type: "symlink", linkname: "gone" }], [file(".wh.l", "")]],
    ["a=a"],
  ],
  ["nothing at all", [], []],
  ["one empty layer", [[]], []],
  [
    "a layer that is there twice, with a whiteout that hides nothing",
    [[file("new/.wh.q", ""), file("new/r")], [file("x")], [file("new/.wh.q", ""), file("new/r")]],
    ["new/", "new/r=new/r", "x=x"],
  ],
  ["a layer that is there twice", [[file("a")], [file("a")], [file("b")]], ["a=a", "b=b"]],
];

describe.each(BACKENDS)("on %s", (options) => {
  const [backend = "", ...more] = options.split(" ");
  let temp: TempDir;
  let store: string;
  let count = 0;

  beforeAll(async () => {
    temp = await openTempDir("cases");
    store = join(temp.path, "store");
  });
  afterAll(() => temp[Symbol.asyncDispose]());

  const provisioned = async (layers: Layers, check: (rootfs: string) => void): Promise<void> => {
    count += 1;
    const id = `case-${count}`;
    const path = join(temp.path, `${id}.tar`);
    await writeDockerArchive(path, buildImage(layers, { config: {} }), [`example.com/${id}:1`]);
    const made = await rootwrightJson<ProvisionedRootfs>(
      ["provision", `docker-archive:${path}`, "--id", id, "--backend", backend, ...more],
      { root: store },
    );
    try {
      check(made.rootfs);
    } finally {
      await rootwright(["destroy", id], { root: store });
    }
  };

  test.each(CASES)("%s", async (_what, layers, expected) => {
    await provisioned(layers, (rootfs) => expect(list(rootfs)).toEqual(expected));
  });

  test("an implied directory keeps the metadata that a lower layer gave it", async () => {
    const base = [dir("d/", { mode: 0o1750, mtime: 1000 }), dir("d/e/", { mode: 0o711, mtime: 2000 }), file("d/e/x")];
    await provisioned([base, [file("d/e/y")]], (rootfs) => {
      const [d, e] = [statSync(join(rootfs, "d")), statSync(join(rootfs, "d/e"))];
      expect([d.mode & 0o7777, d.mtimeMs, e.mode & 0o7777, e.mtimeMs]).toEqual([0o1750, 1_000_000, 0o711, 2_000_000]);
    });
  });

  test("the root keeps the metadata that a layer gave it", async () => {
    await provisioned([[dir("./", { mode: 0o751, mtime: 5000 }), file("a")], [file("b")]], (rootfs) => {
      const stat = statSync(rootfs);
      expect([stat.mode & 0o7777, stat.mtimeMs]).toEqual([0o751, 5_000_000]);
    });
  });

  test("a hard link to a file of a lower layer is that file", async () => {
    const layers = [
      [file("a", "shared"), file("d/keep")],
      [{ name: "d/b", type: "hardlink", linkname: "a" }],
      [{ name: "c", type: "hardlink", linkname: "d/b" }],
    ];
    await provisioned(layers, (rootfs) => {
      const inodes = ["a", "d/b", "c"].map((name) => statSync(join(rootfs, name)).ino);
      expect(new Set(inodes).size).toBe(1);
      expect(readFileSync(join(rootfs, "c"), "utf8")).toBe("shared");
      expect(list(rootfs)).toEqual(["a=shared", "c=shared", "d/", "d/b=shared", "d/keep=d/keep"]);
    });
  });

  test("128 layers are shown as one", async () => {
    const layers = Array.from({ length: 128 }, (_, at) => [file(`file-${at}`), file("same", String(at))]);
    await provisioned(layers, (rootfs) => {
      expect(readdirSync(rootfs)).toHaveLength(129);
      expect(readFileSync(join(rootfs, "same"), "utf8")).toBe("127");
    });
  });
});

describe.skipIf(!root)("on bind (needs root)", () => {
  const shown = async (layers: Layers): Promise<readonly string[]> => {
    await using temp = await openTempDir("bind");
    const store = join(temp.path, "store");
    const path = join(temp.path, "image.tar");
    await writeDockerArchive(path, buildImage(layers, {}), ["example.com/image:1"]);
    const made = await rootwrightJson<ProvisionedRootfs & { readOnly: boolean }>(
      ["provision", `docker-archive:${path}`, "--id", "b", "--backend", "bind"],
      { root: store },
    );
    expect(made.readOnly).toBe(true);
    expect(readFileSync("/proc/self/mountinfo", "utf8")).toMatch(new RegExp(`${made.rootfs} ro,`));
    const lines = list(made.rootfs);
    await rootwright(["destroy", "b"], { root: store });
    return lines;
  };

  test("an image of one layer is shown read-only", async () => {
    expect(await shown([[file("a"), file("d/b")]])).toEqual(["a=a", "d/", "d/b=d/b"]);
  });

  test("whiteouts of the only layer are hidden", async () => {
    const layer = [file("a"), file(".wh.x", ""), file("d/.wh.y", ""), file("d/b"), file("d/.wh..wh..opq", "")];
    expect(await shown([layer])).toEqual(["a=a", "d/", "d/b=d/b"]);
  });

  test("what an opaque marker at the root hides is hidden", async () => {
    const below = [dir("./", { mode: 0o711 }), file("hidden")];
    expect(await shown([below, [file(".wh..wh..opq", ""), file("a")]])).toEqual(["a=a"]);
  });
});

/** Sorted: `name/` a directory, `name=content` a file, `name->target` a symlink; what cannot be opened throws. */
function list(rootfs: string, below = ""): string[] {
  return readdirSync(join(rootfs, below))
    .sort()
    .flatMap((name) => {
      const path = below === "" ? name : `${below}/${name}`;
      const stat = lstatSync(join(rootfs, path));
      if (stat.isDirectory()) return [`${path}/`, ...list(rootfs, path)];
      if (stat.isSymbolicLink()) return [`${path}->${readlinkSync(join(rootfs, path))}`];
      return [`${path}=${readFileSync(join(rootfs, path), "utf8")}`];
    });
}
