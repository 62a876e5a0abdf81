/**
 * Writes a merged tree as a plain directory, for the copy backend: each surviving file once, straight from the layer
 * that has it (reflink where the file system can), files that upper layers replaced or removed never.
 */
import { openTree, type Tree } from "../../native/index.ts";
import { openLayerTree, writeInode } from "./layer-tree.ts";
import { type Inode, type MergedTree, type Node, walkTree } from "./merge.ts";

/** `layerPaths` base first; `path` an existing, empty directory. */
export function copyTree(tree: MergedTree, layerPaths: readonly string[], path: string, privileged: boolean): void {
  using target = openLayerTree(path, privileged);
  using stack = new DisposableStack();
  const sources = layerPaths.map((layerPath) => stack.use(openTree(layerPath)));
  const written = new Map<Inode, string>();
  const directories: [string, Node][] = [["", tree.root]];
  for (const [at, node] of walkTree(tree.root)) {
    const first = written.get(node.inode);
    if (node.children !== undefined) {
      target.mkdir(at);
      directories.push([at, node]);
    } else if (first !== undefined) target.link(at, first);
    else {
      written.set(node.inode, at);
      writeInode(target, { ...node.inode.entry, path: at }, sources[node.inode.layer] as Tree, node.inode.entry.path);
    }
  }
  for (const [at, node] of directories.reverse()) target.setDirectory({ ...node.inode.entry, path: at });
}
