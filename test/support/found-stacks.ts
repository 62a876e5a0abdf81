/** Stacks that chance found, made small: each was once shown wrong. */
import { item, type LayerStack } from "./layer-items.ts";

export const FOUND_STACKS: readonly (readonly [what: string, stack: LayerStack])[] = [
  [
    "a directory that its own layer replaced by a file and made again is empty",
    [[item("d/c/", "dir")], [item("d"), item("d/", "dir")]],
  ],
  [
    "a whiteout holds when its own layer puts a symlink in the place, and then a directory",
    [[item("d/c")], [item(".wh.d"), item("d", "symlink", { link: "e" }), item("d/", "dir")]],
  ],
  [
    "a hard link to a lower file hides the directory whose place it takes from a directory further up",
    [[item("x")], [item("c/a")], [item("c", "hardlink", { link: "x" })], [item("c/b")]],
  ],
];
