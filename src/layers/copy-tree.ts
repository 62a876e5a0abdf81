/**
 * Writes a merged tree as a plain directory, for the copy backend: each surviving file once, straight from the layer
 * that has it (reflink where the file system can), files that upper layers replaced or removed never.
 *
 * Several workers may write content at once, each a share of the walk through the tree, in one piece so that neighbours in
 * a directory stay with one writer. When all are done, one of them gives files their other names and directories their
 * attributes, which nothing that is put into them may change any more.
 */
import { NativeError, openTree, type Tree } from "../../native/index.ts";
import { parentPath } from "./entry.ts";
import { type LayerTree, openLayerTree, writeInode } from "./layer-tree.ts";
import { type Inode, type MergedTree, type Node, walkTree } from "./merge.ts";

export interface CopyTarget {
  /** An existing, empty directory. */
  readonly path: string;
  readonly privileged: boolean;
}

/** One of `count` parts of about the same weight. */
export interface Share {
  readonly index: number;
  readonly count: number;
}

/** Making a file costs about as much as copying so many bytes. */
const FILE_WEIGHT = 16 * 1024;

/** `layerPaths` base first. */
export function copyContent(
  tree: MergedTree,
  layerPaths: readonly string[],
  { path, privileged }: CopyTarget,
  share: Share,
): void {
  using target = openLayerTree(path, privileged);
  using stack = new DisposableStack();
  const sources = layerPaths.map((layerPath) => stack.use(openTree(layerPath)));
  const directories = new Set([""]);
  for (const [at, { inode, children }] of shareOf(tree, share)) {
    ensureDirectory(target, directories, children === undefined ? parentPath(at) : at);
    if (children !== undefined) continue;
    writeInode(target, { ...inode.entry, path: at }, sources[inode.layer] as Tree, inode.entry.path);
  }
}

/** After all the content. */
export function finishCopy(tree: MergedTree, { path, privileged }: CopyTarget): void {
  using target = openLayerTree(path, privileged);
  const { linked } = survey(tree.root);
  const first = new Map<Inode, string>();
  const directories: [string, Node][] = [["", tree.root]];
  for (const [at, node] of walkTree(tree.root)) {
    if (node.children !== undefined) directories.push([at, node]);
    if (!linked.has(node.inode)) continue;
    const existing = first.get(node.inode);
    if (existing === undefined) first.set(node.inode, at);
    else target.link(at, existing);
  }
  for (const [at, node] of directories.reverse()) target.setDirectory({ ...node.inode.entry, path: at });
}

/**
 * Directories, and of every file the first of its names. Two walks, since the tree of each of several workers is in memory
 * at once and a list of all its places would add half as much again.
 */
function* shareOf({ root }: MergedTree, { index, count }: Share): Generator<readonly [path: string, node: Node]> {
  const { weight, linked } = survey(root);
  const from = (weight * index) / count;
  // the last has no end: sizes that a layer claims may add up beyond what a number can tell exactly
  const to = index + 1 === count ? Number.POSITIVE_INFINITY : (weight * (index + 1)) / count;
  const named = new Set<Inode>();
  let before = 0;
  for (const place of walkTree(root)) {
    const [, { inode }] = place;
    if (named.has(inode)) continue;
    if (linked.has(inode)) named.add(inode);
    if (before >= to) return;
    if (before >= from) yield place;
    before += weightOf(inode);
  }
}

interface Survey {
  /** Of all that is written: each file once. */
  readonly weight: number;
  /** Files that have several names. */
  readonly linked: ReadonlySet<Inode>;
}

/** In no order and without paths, and therefore quicker than a walk. */
function survey(root: Node): Survey {
  const seen = new Set<Inode>();
  const linked = new Set<Inode>();
  let weight = 0;
  const below = [root];
  for (let node = below.pop(); node !== undefined; node = below.pop()) {
    for (const child of node.children?.values() ?? []) {
      if (child.children !== undefined) below.push(child);
      else if (seen.has(child.inode)) {
        linked.add(child.inode);
        continue;
      } else seen.add(child.inode);
      weight += weightOf(child.inode);
    }
  }
  return { weight, linked };
}

function weightOf({ entry }: Inode): number {
  return FILE_WEIGHT + entry.size;
}

/** Another worker may have made it, for its own share. */
function ensureDirectory(target: LayerTree, made: Set<string>, path: string): void {
  if (made.has(path)) return;
  ensureDirectory(target, made, parentPath(path));
  made.add(path);
  try {
    target.mkdir(path);
  } catch (error) {
    if (!(error instanceof NativeError && error.code === "EEXIST")) throw error;
  }
}
