/**
 * What a stack of layers means, told a second time: an in-memory file system to which the layers are applied one after
 * another, entry by entry, as image-spec layer.md says. It shares nothing with src/layers but the entries' facts.
 *
 *  1. Whiteouts come first, "regardless of the ordering in which the whiteout file was encountered", and "MUST only apply
 *     to resources in lower/parent layers". They are hidden themselves (layer.md, "Whiteouts").
 *  2. Everything else "is extracted like a regular tar archive": in order, each entry on top of what is there.
 *  3. "If the entry and the existing path are both directories, then the existing path's attributes MUST be replaced. In
 *     all other cases": remove, then create ("Changeset over existing files").
 *  4. A layer is a change, not a walk through a tree: an entry's parents are followed through symlinks of its own layer
 *     only. What a lower layer has in the place of such a parent is replaced by a directory, as overlayfs would show it.
 *  5. Parents without an entry, a whiteout's included, are directories with the metadata that lower layers gave them, and
 *     else 0755, 0:0, time zero (design, section 7).
 *  6. A hard link is another name of the file that its target names then: this layer's, or else the one that the layers
 *     below have there, once this layer's whiteouts have acted.
 */
import { createHash } from "node:crypto";
import type { EntryFacts, TreeFacts } from "./compare-trees.ts";
import type { LayerItem, LayerStack } from "./layer-items.ts";
import type { Quirk } from "./layer-quirks.ts";

/** A stack that cannot be applied: its reader must refuse it as well. */
class Refusal extends Error {}

export interface Applied {
  /** Undefined when the stack is refused. */
  readonly tree: TreeFacts | undefined;
  readonly refusal: string | undefined;
  readonly quirks: ReadonlySet<Quirk>;
  /** Directories that no layer describes. */
  readonly implied: ReadonlySet<string>;
  /** Directories in which, at some time, one that nobody described was made. */
  readonly disturbed: ReadonlySet<string>;
}

interface Leaf {
  readonly item: LayerItem;
  /** Why this is no file: a hard link to nothing, which is refused if it stays. */
  readonly broken?: string;
  readonly children?: undefined;
}

interface Directory {
  /** Undefined while nothing describes it. */
  item: LayerItem | undefined;
  readonly children: Map<string, Slot>;
}

/** A name in a directory. `layer` brought it; `symlink` says that it did so by a symlink's own entry. */
interface Slot {
  readonly node: Leaf | Directory;
  readonly layer: number;
  readonly symlink: boolean;
}

interface Named {
  readonly item: LayerItem;
  readonly parts: readonly string[];
  readonly kind: "entry" | "whiteout" | "opaque";
}

const MAX_LINKS = 40;

export function applyLayers(stack: LayerStack): Applied {
  const model = new LayerModel();
  const implied = new Set<string>();
  const { quirks, disturbed } = model;
  try {
    for (const layer of stack) model.apply(layer);
    return { tree: model.facts(implied), refusal: undefined, quirks, implied, disturbed };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return { tree: undefined, refusal: error.message, quirks, implied, disturbed };
  }
}

export class LayerModel {
  readonly quirks = new Set<Quirk>();
  readonly disturbed = new Set<string>();
  readonly #root: Directory;
  #layer: number;
  /** The tree below this layer, its whiteouts applied: what hard links to lower layers mean. */
  #lower: Directory;
  /** Paths at which this layer put a directory in the place of its own file, and targets of its links to lower files. */
  #emptied: string[] = [];
  #lowerTargets: string[] = [];
  #broken = false;
  /** Where this layer's entries were put, so far. */
  #placed: string[] = [];

  constructor(root: Directory = { item: undefined, children: new Map() }, layer = -1) {
    this.#root = root;
    this.#lower = root;
    this.#layer = layer;
  }

  /** The model with one layer more, which has the quirks of that layer alone; undefined when it refuses the layer. */
  with(layer: readonly LayerItem[]): LayerModel | undefined {
    const more = new LayerModel(copyOf(this.#root), this.#layer);
    try {
      more.apply(layer);
      return more;
    } catch (error) {
      if (error instanceof Refusal) return undefined;
      throw error;
    }
  }

  /** Throws when the layer is refused; of no use any more then. */
  apply(layer: readonly LayerItem[]): void {
    this.#layer += 1;
    this.#emptied = [];
    this.#lowerTargets = [];
    this.#broken = false;
    this.#placed = [];
    const named = layer.flatMap((each) => this.#name(each));
    for (const each of named) this.#hide(each);
    this.#lower = copyOf(this.#root);
    for (const each of named) {
      if (each.kind === "entry") this.#place(each);
      else {
        if (this.#placed.some((place) => isWithin(place, each))) this.quirks.add("marker-after-entry");
        this.#implyFor(each);
      }
    }
    if (this.#lowerTargets.some((target) => this.#emptied.some((path) => target.startsWith(`${path}/`))))
      this.quirks.add("link-into-emptied");
    if (named.some((each) => each.kind !== "entry" && this.#isLost(each))) this.quirks.add("link-to-whited-out");
    refuseBroken(this.#root);
    if (this.#broken) this.quirks.add("broken-link-replaced");
    this.#findOverlaps(named);
  }

  facts(implied: Set<string>): TreeFacts {
    const tree: TreeFacts = new Map();
    const names = new Map<Leaf, string[]>();
    const visit = (path: string, node: Leaf | Directory): void => {
      if (node.children === undefined) names.set(node, [...(names.get(node) ?? []), path]);
      else if (node.item === undefined) implied.add(path);
      tree.set(path, factsOf(node));
      for (const [name, slot] of node.children ?? []) visit(path === "." ? name : `${path}/${name}`, slot.node);
    };
    visit(".", this.#root);
    for (const group of names.values()) {
      if (group.length < 2) continue;
      const links = group.sort().join(" = ");
      for (const path of group) tree.set(path, { ...(tree.get(path) as EntryFacts), links });
    }
    return tree;
  }

  /** What an entry's name says: nothing for what aufs left. */
  #name(each: LayerItem): Named[] {
    const parts = normalise(each.name);
    const name = parts.at(-1) ?? "";
    const above = parts.slice(0, -1);
    if (above.some((part) => part.startsWith(".wh..wh."))) return this.#aufs();
    if (above.some((part) => part.startsWith(".wh."))) throw new Refusal(`${each.name} lies inside a whiteout`);
    if (name === ".wh..wh..opq") return [{ item: each, parts: above, kind: "opaque" }];
    if (name.startsWith(".wh..wh.")) return this.#aufs();
    if (!name.startsWith(".wh.")) return [{ item: each, parts, kind: "entry" }];
    const hidden = name.slice(".wh.".length);
    if (["", ".", ".."].includes(hidden)) throw new Refusal(`${each.name} is a whiteout of nothing`);
    return [{ item: each, parts: [...above, hidden], kind: "whiteout" }];
  }

  #aufs(): [] {
    this.quirks.add("aufs");
    return [];
  }

  #hide({ kind, parts }: Named): void {
    if (kind === "entry") return;
    if (kind === "opaque") {
      const node = find(this.#root, parts)?.node;
      node?.children?.clear();
      return;
    }
    find(this.#root, parts.slice(0, -1))?.node.children?.delete(parts.at(-1) as string);
  }

  /** Rule 5 for whiteouts, which are not redirected by symlinks (rule 4), and mean nothing below what replaced a directory. */
  #implyFor({ kind, parts }: Named): void {
    const parent = kind === "opaque" ? parts : parts.slice(0, -1);
    for (let length = 1; length <= parent.length; length += 1) {
      const slot = find(this.#root, parent.slice(0, length));
      if (slot === undefined) break;
      if (slot.node.children !== undefined || slot.layer !== this.#layer) continue;
      this.quirks.add("whiteout-below-own-leaf");
      return;
    }
    if (find(this.#root, parent)?.node.children === undefined) this.quirks.add("whiteout-implies-parent");
    this.#directory(parent);
  }

  #place({ item, parts }: Named): void {
    const name = parts.at(-1);
    if (name === undefined) {
      if (item.type !== "dir") throw new Refusal("the root becomes something else than a directory");
      this.#root.item = item;
      return;
    }
    const place = this.#resolve(parts.slice(0, -1));
    const parent = this.#directory(place);
    this.#placed.push([...place, name].join("/"));
    const existing = parent.children.get(name);
    const own = existing?.layer === this.#layer;
    if (item.type === "dir") {
      if (existing?.node.children !== undefined) {
        existing.node.item = item;
        parent.children.set(name, { ...existing, layer: this.#layer });
        return;
      }
      if (own) {
        this.#emptied.push([...place, name].join("/"));
        this.quirks.add("duplicate");
      }
      this.#set(parent, name, { item, children: new Map() });
      return;
    }
    if (own && existing?.node.children !== undefined) this.quirks.add("duplicate");
    // removed first: what is below a directory is not there any more for a link that takes the directory's place
    parent.children.delete(name);
    if (item.type === "hardlink") this.#set(parent, name, this.#linked(item, [...place, name]));
    else if (item.type === "char" && item.major === 0 && item.minor === 0)
      throw new Refusal("the character device 0:0 is overlayfs' whiteout");
    else this.#set(parent, name, { item }, item.type === "symlink");
  }

  #set(parent: Directory, name: string, node: Leaf | Directory, symlink = false): void {
    parent.children.set(name, { node, layer: this.#layer, symlink });
  }

  #linked(item: LayerItem, own: readonly string[]): Leaf {
    const raw = normalise(item.link);
    const name = raw.at(-1);
    if (name === undefined) throw new Refusal("a hard link to the root");
    const target = [...this.#resolve(raw.slice(0, -1)), name];
    if (target.join("/") === own.join("/")) throw new Refusal("a hard link to itself");
    const slot = find(this.#root, target);
    if (slot?.layer === this.#layer) {
      if (slot.node.children !== undefined) throw new Refusal("a hard link to a directory");
      return slot.node;
    }
    for (let length = 1; length < target.length; length += 1) {
      const above = find(this.#root, target.slice(0, length));
      if (above?.layer === this.#layer && above.node.children === undefined) this.quirks.add("link-below-own-leaf");
    }
    this.#lowerTargets.push(target.join("/"));
    const lower = find(this.#lower, target)?.node;
    if (lower !== undefined && lower.children === undefined) return lower;
    this.#broken = true;
    return { item, broken: `a hard link to ${lower === undefined ? "nothing" : "a directory of a lower layer"}` };
  }

  /** Rule 4: like a chroot, and lexically wherever this layer has no symlink. */
  #resolve(parts: readonly string[]): string[] {
    const pending = [...parts];
    let resolved: string[] = [];
    let links = 0;
    while (pending.length > 0) {
      const part = pending.shift() as string;
      if (part === "" || part === ".") continue;
      if (part === "..") {
        resolved.pop();
        continue;
      }
      resolved.push(part);
      const slot = find(this.#root, resolved);
      if (slot?.layer !== this.#layer || slot.node.children !== undefined || slot.node.item.type !== "symlink")
        continue;
      if (!slot.symlink) this.quirks.add("through-linked-symlink");
      links += 1;
      if (links > MAX_LINKS) throw new Refusal("a path through too many symlinks");
      const { link } = slot.node.item;
      resolved = link.startsWith("/") ? [] : resolved.slice(0, -1);
      pending.unshift(...link.split("/"));
    }
    return resolved;
  }

  /** The directory at a resolved path: made where it is missing, and where a lower layer has something else. */
  #directory(parts: readonly string[]): Directory {
    let directory = this.#root;
    for (const [at, part] of parts.entries()) {
      const slot = directory.children.get(part);
      if (slot?.node.children !== undefined) {
        directory.children.set(part, { ...slot, layer: this.#layer });
        directory = slot.node;
        continue;
      }
      if (slot?.layer === this.#layer) throw new Refusal("an entry below a file of its own layer");
      if (slot !== undefined) this.quirks.add("through-lower-link");
      this.disturbed.add(at === 0 ? "." : parts.slice(0, at).join("/"));
      const made: Directory = { item: undefined, children: new Map() };
      this.#set(directory, part, made);
      directory = made;
    }
    return directory;
  }

  /** Whether links go to what a marker hides, while this layer has something else in its place or above. */
  #isLost(each: Named): boolean {
    const { kind, parts } = each;
    if (!this.#lowerTargets.some((target) => isWithin(target, each))) return false;
    if (kind === "whiteout" && find(this.#root, parts) !== undefined) return true;
    return parts.some((_, at) => {
      const above = parts.slice(0, at + 1);
      const slot = find(this.#root, above);
      const leaf = slot?.layer === this.#layer && slot.node.children === undefined;
      return leaf || this.#emptied.includes(above.join("/"));
    });
  }

  /** Quirks that show in the names of a layer alone. */
  #findOverlaps(named: readonly Named[]): void {
    const entries = named.filter(({ kind }) => kind === "entry").map(({ parts }) => parts.join("/"));
    if (new Set(entries).size < entries.length) this.quirks.add("duplicate");
    if (this.#lowerTargets.some((target) => entries.some((each) => target === each || target.startsWith(`${each}/`))))
      this.quirks.add("link-to-replaced");
  }
}

/** Whether a path is what a marker hides, or lies in it. */
function isWithin(path: string, { kind, parts }: Named): boolean {
  const hidden = parts.join("/");
  return hidden === "" || path.startsWith(`${hidden}/`) || (kind === "whiteout" && path === hidden);
}

function normalise(name: string): string[] {
  const parts = name.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.includes("..")) throw new Refusal(`${name} leaves the tree`);
  return parts;
}

function find(root: Directory, parts: readonly string[]): Slot | undefined {
  let slot: Slot | undefined = { node: root, layer: -1, symlink: false };
  for (const part of parts) slot = slot?.node.children?.get(part);
  return slot;
}

function refuseBroken({ children }: Directory): void {
  for (const { node } of children.values()) {
    if (node.children !== undefined) refuseBroken(node);
    else if (node.broken !== undefined) throw new Refusal(node.broken);
  }
}

function copyOf(directory: Directory): Directory {
  const children = new Map<string, Slot>();
  for (const [name, slot] of directory.children)
    children.set(name, slot.node.children === undefined ? slot : { ...slot, node: copyOf(slot.node) });
  return { item: directory.item, children };
}

const IMPLIED = { mode: 0o755, uid: 0, gid: 0, mtimeSec: 0, mtimeNsec: 0, xattrs: {} };

function factsOf({ item, children }: Leaf | Directory): EntryFacts {
  const type = children === undefined ? (item?.type as Exclude<LayerItem["type"], "hardlink">) : "dir";
  const { mode, uid, gid, mtimeSec, mtimeNsec, xattrs } = item ?? IMPLIED;
  return {
    type,
    // Linux keeps no mode for symlinks
    mode: type === "symlink" ? 0o777 : mode,
    uid,
    gid,
    size: type === "file" ? BigInt(item?.content.length ?? 0) : 0n,
    mtime: BigInt(mtimeSec) * 1_000_000_000n + BigInt(mtimeNsec),
    links: "",
    target: type === "symlink" ? (item?.link ?? "") : "",
    device: type === "char" || type === "block" ? `${item?.major}:${item?.minor}` : "",
    xattrs: describeXattrs(Object.entries(xattrs).map(([name, value]) => [name, Buffer.from(value, "latin1")])),
    content: type === "file" ? contentHash(Buffer.from(item?.content ?? "", "latin1")) : "",
  };
}

/** As compare-trees.ts writes them. */
export function describeXattrs(xattrs: readonly (readonly [name: string, value: Uint8Array])[]): string {
  return xattrs
    .map(([name, value]) => `${name}=0x${Buffer.from(value).toString("hex")}`)
    .sort()
    .join(" ");
}

export function contentHash(content: Uint8Array): string {
  return createHash("sha256").update(content).digest("hex");
}
