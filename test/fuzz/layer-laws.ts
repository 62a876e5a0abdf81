/** What holds of every applied layer and of every merged tree, said a second time and in other words than the code's. */
import { deepEqual } from "node:assert/strict";
import { type Entry, type EntryType, impliedDirectory, parentPath } from "../../src/layers/entry.ts";
import { findNode, type MergedTree, mergeLayers, type Node, walkTree } from "../../src/layers/merge.ts";
import type { TarEntry } from "../../src/layers/tar-entries.ts";
import { law } from "./law.ts";
import { checkPath, type RecordingTree } from "./recording-tree.ts";

/** The entries are in order and complete, and the tree has exactly what they say; of a file, as many bytes as were given. */
export function checkLayer(
  entries: readonly Entry[],
  tree: RecordingTree,
  writtenBytes: (entry: Entry) => number,
): void {
  const byPath = new Map(entries.map((entry) => [entry.path, entry]));
  law(byPath.size === entries.length, "two entries have one path");
  for (const [at, { path, type, opaque, implied }] of entries.entries()) {
    law(at === 0 ? path === "" : (entries[at - 1] as Entry).path < path, "not in order", path);
    law(type === "directory" || !(opaque || implied), "marked like a directory", path);
    if (path === "") continue;
    checkPath(path, tree.whiteouts);
    law(byPath.get(parentPath(path))?.type === "directory", "no parent", path);
  }
  law(byPath.get("")?.type === "directory", "there is no root");
  const expected = entries.filter((entry) => isOnDisk(entry, byPath)).map(({ path }) => path);
  deepEqual([...tree.places.keys()].sort(), expected, "the tree has other paths than the entries");
  for (const path of expected) checkPlace(byPath.get(path) as Entry, tree, writtenBytes);
}

/** Whiteouts, and what hides as they do; below an opaque directory nothing is left to hide. */
function isOnDisk({ type, path }: Entry, byPath: ReadonlyMap<string, Entry>): boolean {
  return !(isMarker(type) && byPath.get(parentPath(path))?.opaque === true);
}

/** A link to a lower layer's file hides what was there too, though nothing of it can lie in this tree. */
function isMarker(type: EntryType): boolean {
  return type === "whiteout" || type === "lower-hardlink";
}

function checkPlace(entry: Entry, tree: RecordingTree, writtenBytes: (entry: Entry) => number): void {
  const { path, type } = entry;
  const placed = tree.places.get(path);
  law(placed?.finished === true, "unfinished", path);
  if (type === "hardlink") {
    law(tree.places.get(entry.link) === placed, "not the linked file", path);
    return;
  }
  law(placed.kind === (isMarker(type) ? "whiteout" : type), "of another type", path);
  law(placed.opaque === entry.opaque, "opaque or not", path);
  if (type === "file") law(placed.size === writtenBytes(entry), "of another size", path);
  if (type === "directory") law(placed.entry === entry, "not settled", path);
  // a name that took the place of the first one has all but the path of it
  else if (!isMarker(type)) deepEqual({ ...placed.entry, path }, entry);
}

/** What the layer's whiteouts name, or lies in its opaque directories, is not shown of a layer below. */
export function checkWhiteouts(layer: readonly TarEntry[], entries: readonly Entry[]): void {
  // what it links to below may well not be there
  const own = entries.map((entry) => (entry.type === "lower-hardlink" ? { ...entry, type: "file" as const } : entry));
  for (const { path } of layer) {
    const names = path.split("/").filter((name) => name !== "" && name !== ".");
    const last = names.pop() ?? "";
    if (!last.startsWith(".wh.") || names.some((name) => name.startsWith(".wh."))) continue;
    if (last.startsWith(".wh..wh.") && last !== ".wh..wh..opq") continue;
    const hidden = [...names, last === ".wh..wh..opq" ? "of a layer below" : last.slice(4)].join("/");
    const below = [hidden, ...parentsOf(hidden)]
      .reverse()
      .map((each) => ({ ...impliedDirectory(each), implied: false }));
    const shown = findNode(mergeLayers([below, own]).root, hidden);
    law(shown?.inode.layer !== 0, "shown in spite of a whiteout", hidden);
  }
}

function parentsOf(path: string): string[] {
  return path === "" ? [] : [parentPath(path), ...parentsOf(parentPath(path))];
}

export function checkMerged(tree: MergedTree, layers: readonly (readonly Entry[])[]): void {
  law(tree.root.children !== undefined, "the root is no directory");
  law(tree.layers === layers.length, "another number of layers");
  law(tree.cut >= 0 && tree.cut <= Math.max(0, layers.length - 1), "the cut is outside the stack");
  const nodes = [["", tree.root] as const, ...walkTree(tree.root)];
  for (const [path, node] of nodes) {
    if (path !== "") checkPath(path);
    checkNode(path, node, layers, tree.cut);
  }
  deepEqual(
    Object.fromEntries(nodes.slice(1).map(([path, { inode }]) => [path, inode.entry.type])),
    Object.fromEntries(applyInTurn(layers)),
    "not what applying the layers one after another gives",
  );
}

function checkNode(path: string, node: Node, layers: readonly (readonly Entry[])[], cut: number): void {
  const { inode, children, sources, ghostsOf } = node;
  const { type } = inode.entry;
  law((type === "directory") === (children !== undefined), "children of no directory", path);
  law(type !== "hardlink" && type !== "lower-hardlink" && type !== "whiteout", "shown in the wrong form", path);
  law(inode.layer >= (path === "" ? -1 : 0) && inode.layer < layers.length, "from no layer", path);
  law(
    sources.every((layer, at) => layer >= cut && layer < layers.length && layer > (sources[at - 1] ?? -1)),
    "sources out of order",
    path,
  );
  law(ghostsOf === -1 || (sources.length === 1 && sources[0] === ghostsOf), "ghosts of several layers", path);
  if (inode.layer >= 0)
    law(layers[inode.layer]?.includes(inode.entry) === true, "from another layer than it says", path);
}

/** The paths and types that remain, by a flat list of paths: slow, and nothing like merge.ts. */
function applyInTurn(layers: readonly (readonly Entry[])[]): Map<string, string> {
  const shown = new Map<string, string>();
  const drop = (path: string, itself: boolean): void => {
    for (const other of shown.keys())
      if ((itself && other === path) || path === "" || other.startsWith(`${path}/`)) shown.delete(other);
  };
  for (const entries of layers) {
    for (const { path, type, opaque, implied } of entries) {
      if (type === "whiteout") drop(path, true);
      else if (opaque && (path === "" || shown.get(path) === "directory")) drop(path, path !== "" && !implied);
    }
    const lower = new Map(shown);
    for (const { path, type, link } of entries) {
      if (type === "whiteout" || path === "") continue;
      if (type !== "directory" || shown.get(path) !== "directory") drop(path, true);
      const typeOfLinked = type === "hardlink" ? entries.find((entry) => entry.path === link)?.type : lower.get(link);
      shown.set(path, type === "hardlink" || type === "lower-hardlink" ? (typeOfLinked ?? "nothing") : type);
    }
  }
  return new Map([...shown].sort(([a], [b]) => (a < b ? -1 : 1)));
}
