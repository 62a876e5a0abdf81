/**
 * What the model notes of a stack besides its tree: things on which readers of layers differ, so that a comparison can
 * leave out exactly those stacks.
 */

export type Quirk =
  /** A parent of an entry, whiteout or link target is a symlink (or a file) of a lower layer. */
  | "through-lower-link"
  /** A hard link's target lies below something that its own layer put in the place of a directory. */
  | "link-below-own-leaf"
  /** A directory that its own layer replaced and brought back, and a hard link to what lower layers had in it. */
  | "link-into-emptied"
  /** A hard link to a lower file that this layer whites out, having something else of its own in the place. */
  | "link-to-whited-out"
  /** A parent of an entry is a hard link to a symlink. */
  | "through-linked-symlink"
  /** A hard link to nothing, which its own layer replaces. */
  | "broken-link-replaced"
  /** Names that aufs left behind. */
  | "aufs"
  /** A whiteout whose parent has no other entry, in a place where lower layers have no directory. */
  | "whiteout-implies-parent"
  /** A whiteout below a symlink or a file of its own layer. */
  | "whiteout-below-own-leaf"
  /** A whiteout or an opaque marker behind entries of its own layer that are, or lie, where it hides something. */
  | "marker-after-entry"
  /** One path twice in a layer, as two types of which at least one is a directory, or as a link's target. */
  | "duplicate"
  /** A hard link to a file of a lower layer that this layer also hides or replaces. */
  | "link-to-replaced";

/**
 * Layers that no builder makes, with hard links that tars do not agree on. They are refused or shown, inside the tree:
 *  - a link through this layer's own file to what lower layers had below it is refused if the file comes before it;
 *  - the markers of a layer hide the targets of its links, unless the layer puts something in the marker's place;
 *  - a link to nothing that is replaced by its own layer is refused only where that is noticed before;
 *  - a parent that is a hard link to a symlink is followed if both are of its layer.
 */
export const UNDECIDED: readonly Quirk[] = [
  "link-below-own-leaf",
  "link-into-emptied",
  "link-to-whited-out",
  "broken-link-replaced",
  "through-linked-symlink",
];
