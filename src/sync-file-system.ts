/** syncfs(2) of the file system that a directory is on: as long as there is to write, and next to nothing when there is not. */
import { openTree } from "../native/index.ts";

export function syncFileSystem(path: string): void {
  using tree = openTree(path);
  tree.sync();
}
