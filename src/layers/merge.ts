/**
 * What layers mean together: a pure function from their entries, base first, to one tree whose every file names its
 * layer. The result equals applying the layers one after another (image-spec layer.md, "Applying Changesets"):
 *
 *  - within a layer, whiteouts and opaque markers act first and only on lower layers, wherever they stand in the tar;
 *  - a directory over a directory replaces its metadata and keeps its content; everything else replaces what was there;
 *  - an implied directory (no entry of its own) keeps the metadata that lower layers gave it;
 *  - a hard link to a file of a lower layer is another name of that very file.
 */
import { AppError } from "../errors.ts";
import { baseName, displayPath, type Entry, impliedDirectory, parentPath } from "./entry.ts";

/** One file, shared by all its names. */
export interface Inode {
  /** The entry that gives metadata and content; for a file, `layer` holds its bytes at `entry.path`. */
  entry: Entry;
  layer: number;
  /** Paths of this inode in the merged tree are on different layers: overlayfs alone cannot show them as one. */
  crossesLayers: boolean;
}

export interface Node {
  readonly inode: Inode;
  /** Present for directories: children by name. */
  readonly children: Map<string, Node> | undefined;
  /** Directories: the layers, lowest first, whose directories overlayfs merges here. */
  readonly sources: number[];
  /** Directories: the layer that holds whiteouts in it, with nothing of lower layers left to hide, or −1. */
  ghostsOf: number;
}

export interface MergedTree {
  readonly root: Node;
  readonly layers: number;
  /** Layers below this one are hidden whole by an opaque marker at the root. */
  readonly cut: number;
}

/**
 * `shadowed` names layers that come again further up: overlayfs takes a directory only once, and the upper one shows
 * all that the lower one would, so the lower one is left out of every `sources`.
 */
export function mergeLayers(
  layers: readonly (readonly Entry[])[],
  shadowed: ReadonlySet<number> = new Set(),
): MergedTree {
  let root = directoryNode(impliedDirectory(""), -1, []);
  let cut = 0;
  layers.forEach((entries, layer) => {
    const top = entries[0];
    if (top?.path === "" && top.opaque) {
      root = directoryNode(root.inode.entry, root.inode.layer, []);
      cut = layer;
    }
    hideLower(root, entries);
    // found before anything of this layer is placed: it may well put a new file where the linked one was
    const lowerLinks = entries
      .filter((entry) => entry.type === "lower-hardlink")
      .map((entry) => [entry, linkedInode(root, entry)] as const);
    const source = shadowed.has(layer) ? [] : [layer];
    const placer = new Placer(root);
    for (const entry of entries) {
      if (entry.type === "directory") root = placeDirectory(placer, root, entry, layer, source);
      else if (entry.type !== "whiteout" && entry.type !== "hardlink" && entry.type !== "lower-hardlink") {
        placeLeaf(placer, root, entry.path, { entry, layer, crossesLayers: false });
      }
    }
    for (const entry of entries) {
      if (entry.type === "hardlink") placeLeaf(placer, root, entry.path, linkedInode(root, entry));
    }
    for (const [entry, inode] of lowerLinks) {
      inode.crossesLayers = true;
      placeLeaf(placer, root, entry.path, inode);
    }
    markGhosts(root, entries, layer);
  });
  return { root, layers: layers.length, cut };
}

/** Every path of the tree except the root, sorted bytewise within its directory, parents first. */
export function* walkTree(node: Node, path = ""): Generator<readonly [path: string, node: Node]> {
  if (node.children === undefined) return;
  const names = [...node.children.keys()].sort((a, b) => (a < b ? -1 : 1));
  for (const name of names) {
    const child = node.children.get(name) as Node;
    const place = path === "" ? name : `${path}/${name}`;
    yield [place, child];
    yield* walkTree(child, place);
  }
}

export function findNode(root: Node, path: string): Node | undefined {
  let node: Node | undefined = root;
  if (path === "") return root;
  for (const name of path.split("/")) node = node?.children?.get(name);
  return node;
}

function directoryNode(entry: Entry, layer: number, sources: number[], children = new Map<string, Node>()): Node {
  return { inode: { entry, layer, crossesLayers: false }, children, sources, ghostsOf: -1 };
}

function hideLower(root: Node, entries: readonly Entry[]): void {
  for (const entry of entries) {
    if (entry.type === "whiteout") {
      const [parent, name] = locate(root, entry.path);
      parent?.children?.delete(name);
    } else if (entry.opaque && entry.path !== "") {
      const node = findNode(root, entry.path);
      if (node?.children === undefined) continue;
      node.children.clear();
      node.sources.length = 0;
    }
  }
}

/**
 * Puts entries into a tree. They come sorted, many of one directory in a row, so that the last one is remembered. (What is
 * remembered are its children, which stay the same when its metadata is replaced.)
 */
class Placer {
  #path = "";
  #children: Map<string, Node>;

  constructor(root: Node) {
    this.#children = root.children as Map<string, Node>;
  }

  parentOf(root: Node, path: string): readonly [children: Map<string, Node>, name: string] {
    const parent = parentPath(path);
    if (parent !== this.#path) {
      const { children } = findNode(root, parent) ?? {};
      if (children === undefined)
        throw new AppError("internal", `"${displayPath(path)}" has no parent in its layer's index`);
      this.#children = children;
      this.#path = parent;
    }
    return [this.#children, baseName(path)];
  }
}

function placeLeaf(placer: Placer, root: Node, path: string, inode: Inode): void {
  const [parent, name] = placer.parentOf(root, path);
  parent.set(name, { inode, children: undefined, sources: [], ghostsOf: -1 });
}

/** Returns the root, which a layer that describes it replaces. */
function placeDirectory(placer: Placer, root: Node, entry: Entry, layer: number, source: readonly number[]): Node {
  if (entry.path === "") return overDirectory(root, entry, layer, source);
  const [parent, name] = placer.parentOf(root, entry.path);
  const existing = parent.get(name);
  parent.set(
    name,
    existing?.children === undefined
      ? directoryNode(entry, layer, [...source])
      : overDirectory(existing, entry, layer, source),
  );
  return root;
}

function overDirectory(existing: Node, entry: Entry, layer: number, source: readonly number[]): Node {
  if (!entry.implied) return directoryNode(entry, layer, [...existing.sources, ...source], existing.children);
  existing.sources.push(...source);
  existing.ghostsOf = -1;
  return existing;
}

function linkedInode(root: Node, entry: Entry): Inode {
  const target = findNode(root, entry.link);
  if (target === undefined || target.children !== undefined) {
    const names = `"${displayPath(entry.path)}" is a hard link to "${displayPath(entry.link)}"`;
    throw new AppError(
      "layer-invalid",
      `Cannot merge layers: ${names}, which is no file of its layer or of one below`,
      {
        hint: "the image lacks a layer, or was put together from layers of different images; pull it again or build it anew",
      },
    );
  }
  return target.inode;
}

/** overlayfs hides whiteouts when it merges directories, but shows them in one that it takes from a single layer. */
function markGhosts(root: Node, entries: readonly Entry[], layer: number): void {
  const opaque = new Set(entries.filter((entry) => entry.opaque).map((entry) => entry.path));
  for (const entry of entries) {
    // below an opaque directory the applier writes no whiteouts
    if (entry.type !== "whiteout" || opaque.has(parentPath(entry.path))) continue;
    const [parent] = locate(root, entry.path);
    if (parent !== undefined && parent.sources.length === 1 && parent.sources[0] === layer) parent.ghostsOf = layer;
  }
}

function locate(root: Node, path: string): readonly [parent: Node | undefined, name: string] {
  const slash = path.lastIndexOf("/");
  return slash < 0 ? [root, path] : [findNode(root, path.slice(0, slash)), path.slice(slash + 1)];
}
