/**
 * The fix-up layer: a small tree on top of a stack of layers, with which overlayfs shows exactly the merged tree
 * (design §7). It holds
 *  - the root directory, since most layers do not describe it and overlayfs would show the topmost one's defaults;
 *  - directories whose metadata a lower layer gives although a higher one has them too (implied parents);
 *  - directories that one layer alone has, with whiteouts that hide nothing: merged with this one they are filtered;
 *  - files that have names in several layers, all of their names linked to one copy.
 * Where one layer is all that is seen, and has whiteouts of things that nobody had, it holds the whole tree: a bind mount of
 * the layer would show those. Hardly an image has any.
 */
import { openTree, type Tree } from "../../native/index.ts";
import { copyContent, finishCopy } from "./copy-tree.ts";
import { parentPath } from "./entry.ts";
import { openLayerTree, writeInode } from "./layer-tree.ts";
import { findNode, type Inode, type MergedTree, type Node, walkTree } from "./merge.ts";

/** What the backends must know of a stack; kept beside the fix-up layer. */
export interface StackFacts {
  /** Layers below this index are hidden whole. */
  readonly cut: number;
  /** Why no single directory of the store is the merged tree, or undefined when one is: the layer at `cut`, or the fix-up. */
  readonly notOneDirectory?: string;
  /** Present when that directory is the fix-up. */
  readonly oneDirectory?: "fix-up";
  /** Why overlayfs cannot stack these layers, or undefined when it can. */
  readonly notStackable?: string;
  readonly entryCount: number;
  readonly sizeBytes: number;
  /** Metadata of the root directory: what a writable upper directory must look like. */
  readonly root: {
    readonly mode: number;
    readonly uid: number;
    readonly gid: number;
    readonly mtimeSec: number;
    readonly mtimeNsec: number;
  };
}

export function describeStack(tree: MergedTree, stackable: boolean): StackFacts {
  let entryCount = -1; // the root is none
  let sizeBytes = 0;
  const counted = new Set<Inode>();
  for (const { inode } of everyNode(tree.root)) {
    entryCount += 1;
    if (counted.has(inode)) continue;
    counted.add(inode);
    sizeBytes += inode.entry.size;
  }
  const { mode, uid, gid, mtimeSec, mtimeNsec } = tree.root.inode.entry;
  const visible = tree.layers - tree.cut;
  return {
    cut: tree.cut,
    ...(visible > 1 && { notOneDirectory: `the image has ${visible} layers` }),
    ...(isWhole(tree) && { oneDirectory: "fix-up" as const }),
    ...(!stackable && {
      notStackable: "the layers were unpacked by an ordinary user: owners and whiteouts are recorded, not on disk",
    }),
    entryCount,
    sizeBytes,
    root: { mode, uid, gid, mtimeSec, mtimeNsec },
  };
}

/** Whether the fix-up has to be the whole tree: there is one layer to be seen, and it alone does not show it. */
function isWhole(tree: MergedTree): boolean {
  if (tree.layers - tree.cut !== 1) return false;
  const { layer } = tree.root.inode;
  return (layer >= 0 && layer < tree.cut) || everyNode(tree.root).some((node) => node.ghostsOf >= 0);
}

/** In no order, and therefore quicker than a walk. */
function everyNode(root: Node): Node[] {
  const nodes = [root];
  for (let at = 0; at < nodes.length; at += 1) {
    for (const child of nodes[at]?.children?.values() ?? []) nodes.push(child);
  }
  return nodes;
}

/** Writes the fix-up tree into the empty directory `fsPath`. `layerPaths` are the layers' trees, base first. */
export function writeFixUp(tree: MergedTree, layerPaths: readonly string[], fsPath: string): void {
  if (isWhole(tree)) {
    const copy = { path: fsPath, privileged: true };
    copyContent(tree, layerPaths, copy, { index: 0, count: 1 });
    finishCopy(tree, copy);
    return;
  }
  using target = openLayerTree(fsPath, true);
  const directories = new Map<string, Node>([["", tree.root]]);
  const links = new Map<Inode, string[]>();
  for (const [path, node] of walkTree(tree.root)) {
    if (node.children !== undefined) {
      if (node.ghostsOf >= 0 || node.inode.layer !== node.sources.at(-1)) addWithParents(tree, directories, path);
    } else if (node.inode.crossesLayers) {
      addWithParents(tree, directories, parentPath(path));
      links.set(node.inode, [...(links.get(node.inode) ?? []), path]);
    }
  }
  const paths = [...directories.keys()].sort((a, b) => (a < b ? -1 : 1));
  for (const path of paths) if (path !== "") target.mkdir(path);
  writeLinks(links, layerPaths, target);
  for (const path of paths.reverse()) target.setDirectory({ ...(directories.get(path) as Node).inode.entry, path });
}

function addWithParents(tree: MergedTree, directories: Map<string, Node>, path: string): void {
  for (let at = path; at !== "" && !directories.has(at); at = parentPath(at))
    directories.set(at, findNode(tree.root, at) as Node);
}

function writeLinks(
  links: Map<Inode, string[]>,
  layerPaths: readonly string[],
  target: ReturnType<typeof openLayerTree>,
): void {
  for (const [inode, paths] of links) {
    const [first, ...others] = paths as [string, ...string[]];
    using source: Tree = openTree(layerPaths[inode.layer] as string);
    writeInode(target, { ...inode.entry, path: first }, source, inode.entry.path);
    for (const path of others) target.link(path, first);
  }
}
