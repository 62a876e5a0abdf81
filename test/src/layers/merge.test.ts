import { describe, expect, test } from "vitest";
import { AppError } from "../../../src/errors.ts";
import { type Entry, impliedDirectory, parentPath } from "../../../src/layers/entry.ts";
import { findNode, type MergedTree, mergeLayers, walkTree } from "../../../src/layers/merge.ts";

type Spec = Partial<Entry> & { path: string };

/** A layer's index as the applier leaves it: sorted, with the directories that paths imply. */
function layer(...specs: Spec[]): Entry[] {
  const entries = new Map<string, Entry>([["", impliedDirectory("")]]);
  for (const spec of specs) {
    for (let at = parentPath(spec.path); at !== "" && !entries.has(at); at = parentPath(at))
      entries.set(at, impliedDirectory(at));
    entries.set(spec.path, { ...impliedDirectory(spec.path), type: "file", implied: false, mode: 0o644, ...spec });
  }
  return [...entries.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}

const dir = (path: string, more: Partial<Entry> = {}): Spec => ({ path, type: "directory", mode: 0o755, ...more });
const gone = (path: string): Spec => ({ path, type: "whiteout" });
const paths = (tree: MergedTree): string[] => [...walkTree(tree.root)].map(([path]) => path);

describe("mergeLayers", () => {
  test("shows a file of the base layer through layers that do not name it", () => {
    expect(paths(mergeLayers([layer({ path: "a" }), layer({ path: "b" })]))).toEqual(["a", "b"]);
  });

  test("takes a file from the topmost layer that has it", () => {
    const tree = mergeLayers([layer({ path: "a", size: 1 }), layer({ path: "a", size: 2 })]);
    expect(findNode(tree.root, "a")?.inode).toMatchObject({ layer: 1, entry: { size: 2 } });
  });

  test("removes what a whiteout names, and all below it", () => {
    expect(paths(mergeLayers([layer({ path: "d/x" }, { path: "e" }), layer(gone("d"))]))).toEqual(["e"]);
  });

  test("keeps a file that the whiteout's own layer puts in its place", () => {
    const upper = layer({ path: "a", size: 7 });
    expect(findNode(mergeLayers([layer({ path: "a", size: 1 }), upper]).root, "a")?.inode.entry.size).toBe(7);
  });

  test("hides all that lower layers have below an opaque directory, and keeps its siblings of the same layer", () => {
    const tree = mergeLayers([layer({ path: "d/old" }), layer(dir("d", { opaque: true }), { path: "d/new" })]);
    expect(paths(tree)).toEqual(["d", "d/new"]);
  });

  test("keeps a lower directory's metadata when an opaque marker alone implies it", () => {
    const tree = mergeLayers([layer(dir("d", { mode: 0o700 })), layer(dir("d", { opaque: true, implied: true }))]);
    expect(findNode(tree.root, "d")?.inode).toMatchObject({ layer: 0, entry: { mode: 0o700 } });
  });

  test("cuts the stack at an opaque marker of the root", () => {
    const tree = mergeLayers([layer({ path: "a" }), layer(dir("", { opaque: true, implied: true }), { path: "c" })]);
    expect(paths(tree)).toEqual(["c"]);
    expect(tree.cut).toBe(1);
  });

  test("keeps the metadata that a lower layer gave an implied directory", () => {
    const tree = mergeLayers([layer(dir("d", { mode: 0o711, uid: 5 })), layer({ path: "d/x" })]);
    expect(findNode(tree.root, "d")?.inode).toMatchObject({ layer: 0, entry: { mode: 0o711, uid: 5 } });
    expect(findNode(tree.root, "d")?.sources).toEqual([0, 1]);
  });

  test("replaces a directory's metadata and keeps its content when an upper layer describes it", () => {
    const tree = mergeLayers([layer(dir("d", { mode: 0o711 }), { path: "d/x" }), layer(dir("d", { mode: 0o750 }))]);
    expect(paths(tree)).toEqual(["d", "d/x"]);
    expect(findNode(tree.root, "d")?.inode.entry.mode).toBe(0o750);
  });

  test.each([
    ["a file over a directory", layer({ path: "p/x" }), layer({ path: "p" }), ["p"]],
    ["a directory over a file", layer({ path: "p" }), layer({ path: "p/x" }), ["p", "p/x"]],
    [
      "a directory over a symlink",
      layer({ path: "p", type: "symlink", link: "/etc" }),
      layer({ path: "p/x" }),
      ["p", "p/x"],
    ],
    ["a symlink over a directory", layer({ path: "p/x" }), layer({ path: "p", type: "symlink", link: "q" }), ["p"]],
  ])("puts %s", (_what, lower, upper, expected) => {
    expect(paths(mergeLayers([lower, upper]))).toEqual(expected);
  });

  test("gives both names of a hard link one inode, wherever the sorted order puts the target", () => {
    const tree = mergeLayers([layer({ path: "z" }, { path: "a", type: "hardlink", link: "z" })]);
    expect(findNode(tree.root, "a")?.inode).toBe(findNode(tree.root, "z")?.inode);
    expect(findNode(tree.root, "a")?.inode.crossesLayers).toBe(false);
  });

  test("finds the file of a lower layer that a hard link names", () => {
    const tree = mergeLayers([layer({ path: "a", size: 3 }), layer({ path: "b", type: "lower-hardlink", link: "a" })]);
    expect(findNode(tree.root, "b")?.inode).toMatchObject({
      layer: 0,
      entry: { path: "a", size: 3 },
      crossesLayers: true,
    });
  });

  test("keeps the linked file when the same layer puts another in its place", () => {
    const upper = layer({ path: "a", size: 9 }, { path: "b", type: "lower-hardlink", link: "a" });
    const tree = mergeLayers([layer({ path: "a", size: 3 }), upper]);
    expect(findNode(tree.root, "b")?.inode.entry.size).toBe(3);
    expect(findNode(tree.root, "a")?.inode.entry.size).toBe(9);
  });

  test("keeps the other name of a file when an upper layer replaces one", () => {
    const base = layer({ path: "a", size: 3 }, { path: "b", type: "hardlink", link: "a" });
    const tree = mergeLayers([base, layer({ path: "a", size: 9 })]);
    expect(findNode(tree.root, "b")?.inode.entry.size).toBe(3);
  });

  test("refuses a hard link to a file that no layer has", () => {
    const broken = [layer({ path: "b", type: "lower-hardlink", link: "a" })];
    expect(() => mergeLayers(broken)).toThrow(AppError);
    expect(() => mergeLayers(broken)).toThrow(/no file of its layer or of one below/);
  });

  test("notes a directory of one layer whose whiteouts hide nothing", () => {
    const tree = mergeLayers([layer({ path: "x" }), layer(gone("new/q"), { path: "new/r" })]);
    expect(paths(tree)).toEqual(["new", "new/r", "x"]);
    expect(findNode(tree.root, "new")?.ghostsOf).toBe(1);
  });

  test("forgets such whiteouts when a higher layer merges with the directory", () => {
    const tree = mergeLayers([layer(gone("new/q"), { path: "new/r" }), layer({ path: "new/s" })]);
    expect(findNode(tree.root, "new")?.ghostsOf).toBe(-1);
  });

  test("counts a layer that comes again only where it is uppermost", () => {
    const twice = layer(gone("new/q"), { path: "new/r" });
    const tree = mergeLayers([twice, layer({ path: "x" }), twice], new Set([0]));
    expect(findNode(tree.root, "new")).toMatchObject({ sources: [2], ghostsOf: 2 });
  });

  test("gives an image without layers an empty root", () => {
    expect(paths(mergeLayers([]))).toEqual([]);
  });
});
