/**
 * Where umoci 0.4.7 shows something else than applying the layers gives, each with the sentence that decides and with a
 * stack that has nothing else to it. Comparisons leave out the stacks that the model finds to have one of these; the
 * examples are tested, so that a row goes when a release of umoci makes it needless.
 */
import type { DiffOptions, TreeFacts } from "./compare-trees.ts";
import { item, type LayerStack } from "./layer-items.ts";
import type { Applied } from "./layer-model.ts";
import type { Quirk } from "./layer-quirks.ts";

export interface Difference {
  readonly quirk: Quirk;
  readonly why: string;
  readonly example: LayerStack;
}

export const UMOCI_DIFFERENCES: readonly Difference[] = [
  {
    quirk: "marker-after-entry",
    why: 'a marker "is applied first […] regardless of the ordering in which the whiteout file was encountered" (layer.md, Whiteouts)',
    example: [[item("a", "dir", { uid: 1 })], [item("a/b"), item(".wh.a")]],
  },
  {
    quirk: "through-lower-link",
    why: "what a lower layer has in the place of a parent is replaced, not walked through (design, section 7, as overlayfs does)",
    example: [[item("b", "symlink", { link: "a" })], [item("b/c")]],
  },
  {
    quirk: "whiteout-implies-parent",
    why: "a whiteout's parents are parents like any other entry's: overlayfs and tar make them",
    example: [[item("b/.wh.a")]],
  },
  {
    quirk: "whiteout-below-own-leaf",
    why: '"Whiteout files MUST only apply to resources in lower/parent layers": no symlink of their own layer redirects them',
    example: [[item("d/x")], [item("l", "symlink", { link: "d" }), item("l/.wh.x")]],
  },
  {
    quirk: "aufs",
    why: '"it is not possible to create a filesystem which has a file or directory with a name beginning with `.wh.`" (layer.md, Whiteouts)',
    example: [[item(".wh..wh.plnk/1.2")]],
  },
  {
    quirk: "link-to-replaced",
    why: "a hard link is to what the layers below have, also where its own entry takes the place of the directory above it",
    example: [[item("a/a")], [item("a", "hardlink", { link: "a/a" })]],
  },
];

/**
 * What umoci can show of the model's tree. Implied directories are as mkdir(2) makes them, in a set-group-ID directory
 * too; making one changes the time of the directory around it. Attributes without a value are lost: Go's reader of tars
 * takes an empty PAX value for none (POSIX.1-2017, pax: it deletes the record).
 */
export function asUmoci(applied: Applied): { readonly tree: TreeFacts | undefined; readonly options: DiffOptions } {
  const { tree, implied, disturbed } = applied;
  const options: DiffOptions = {
    ignoreWhere: (path, fact) =>
      (implied.has(path) && (fact === "mode" || fact === "gid" || fact === "mtime")) ||
      (disturbed.has(path) && fact === "mtime"),
  };
  if (tree === undefined) return { tree, options };
  const valued = (xattrs: string): string => {
    return xattrs
      .split(" ")
      .filter((xattr) => !xattr.endsWith("=0x"))
      .join(" ");
  };
  return {
    tree: new Map([...tree].map(([path, facts]) => [path, { ...facts, xattrs: valued(facts.xattrs) }])),
    options,
  };
}
