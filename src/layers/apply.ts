/**
 * Applies one layer's tar entries to an empty tree in overlay form, and settles what the layer contains.
 *
 * The model (a map of entries by path) decides, the tree follows: what the map does not have is not on disk, so nearly
 * every entry is one call that creates and never one that asks. Directory attributes and overlayfs' markers wait for
 * `finish`, since whatever is put into a directory changes its time, and permission bits could lock us out.
 */
import { type Entry, impliedDirectory, parentPath } from "./entry.ts";
import { FileContent } from "./file-content.ts";
import { invalid, normalisePath, PATH_MAX, resolveDirectories, tooLong } from "./layer-path.ts";
import type { LayerTree } from "./layer-tree.ts";
import { DEFAULT_LIMITS, type LayerLimits, tooLarge } from "./limits.ts";
import type { TarPart, Whitelist } from "./part.ts";
import type { TarConsumer, TarEntry } from "./tar-entries.ts";
import { classifyWhiteout } from "./whiteout.ts";

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

const NO_WHITEOUT = { kind: "none" } as const;

/** Entries that may be looked at to find what lies below replaced directories. */
const LOOKS = 500_000_000;
/** Names in targets of symbolic links that may be gone through: a few for an entry are usual, thousands are an attack. */
const STEPS = 20_000_000;

/** A file of several names: the entry under `holder` has its content and metadata, the others link to it. */
interface LinkedFile {
  holder: string;
  readonly others: Set<string>;
}

export class LayerApplier implements TarConsumer, Disposable {
  readonly #tree: LayerTree;
  readonly #limits: LayerLimits;
  readonly #part: TarPart | undefined;
  readonly #content: FileContent;
  readonly #entries = new Map<string, Mutable<Entry>>();
  /** Of each name of a file that has several: all of them. */
  readonly #links = new Map<string, LinkedFile>();
  #parent: readonly [raw: string, resolved: string] = ["", ""];
  #seen = 0;
  #looked = 0;
  #steps = 0;
  #bytes = 0;

  /** With a `part`, the tree is that part of the tar, and nothing is a whiteout. */
  constructor(tree: LayerTree, limits: LayerLimits, part?: TarPart) {
    this.#tree = tree;
    this.#limits = limits;
    this.#part = part;
    this.#content = new FileContent(tree);
    this.#entries.set("", { ...impliedDirectory("") });
  }

  begin(header: TarEntry): void {
    this.#count(header);
    const name = normalisePath(header.path);
    const path = this.#part === undefined ? name : this.#part.place(name);
    if (path === undefined) return;
    this.#checkDepth(path);
    const whiteout = this.#part === undefined ? classifyWhiteout(path) : NO_WHITEOUT;
    if (whiteout.kind === "dropped") return;
    if (whiteout.kind !== "none") {
      // whiteouts speak of lower layers, so this layer's symlinks do not redirect them; and where this layer has put
      // something else in the place of a directory, all that was below it is hidden already
      const parent = parentPath(path);
      if (this.#replaces(parent)) return;
      this.#ensureDirectory(parent);
      if (whiteout.kind === "whiteout") this.#whiteout(join(parent, whiteout.name));
      else (this.#entries.get(parent) as Mutable<Entry>).opaque = true;
      return;
    }
    if (path === "") {
      if (header.type !== "directory") throw invalid(header.path, "would replace the root of the tree");
      this.#describe("", header);
      return;
    }
    const slash = path.lastIndexOf("/");
    this.#create(slash < 0 ? path : placeIn(this.#directory(path.slice(0, slash)), path, slash), header);
  }

  data(chunk: Uint8Array): void {
    this.#content.data(chunk);
  }

  end(): void {
    this.#content.end();
  }

  /** Closes what a layer that broke off has left open. */
  [Symbol.dispose](): void {
    this.#content[Symbol.dispose]();
  }

  /** Writes markers and directory attributes; returns the layer's entries, sorted by path, parents first. */
  finish(): Entry[] {
    for (const whitelist of this.#part?.whitelists ?? []) this.#keepOnly(whitelist);
    for (const [path, { holder }] of this.#links) {
      if (path !== holder) (this.#entries.get(path) as Mutable<Entry>).link = holder;
    }
    const entries = [...this.#entries.values()].sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
    for (const entry of entries) {
      if (entry.type === "directory" && entry.opaque) this.#tree.markOpaque(entry.path);
      // a link to a lower layer's file hides what was there too, though nothing of it can lie here; and below an opaque
      // directory there is nothing left to hide
      const hides = entry.type === "whiteout" || entry.type === "lower-hardlink";
      if (hides && !this.#entries.get(parentPath(entry.path))?.opaque) this.#tree.whiteout(entry.path);
    }
    for (let at = entries.length - 1; at >= 0; at -= 1) {
      const entry = entries[at] as Entry;
      if (entry.type === "directory") this.#tree.setDirectory(entry);
    }
    return entries;
  }

  #count(header: TarEntry): void {
    this.#countEntry();
    this.#bytes += header.size;
    const { maxBytes } = this.#limits;
    if (this.#bytes > maxBytes) throw tooLarge(`more than ${maxBytes} bytes`, "max_bytes");
  }

  #countEntry(): void {
    this.#seen += 1;
    const { maxEntries } = this.#limits;
    if (this.#seen > maxEntries) throw tooLarge(`more than ${maxEntries} entries`, "max_entries");
  }

  #checkDepth(path: string): void {
    const { maxDepth = DEFAULT_LIMITS.maxDepth } = this.#limits;
    // of most paths their length tells it
    if (path.length < 2 * maxDepth || path.split("/").length <= maxDepth) return;
    throw tooLarge(`a path of more than ${maxDepth} names`, "max_depth");
  }

  #create(path: string, header: TarEntry): void {
    this.#checkDepth(path);
    const existing = this.#entries.get(path);
    if (header.type === "directory") {
      this.#describe(path, header);
      return;
    }
    if (existing !== undefined) this.#remove(existing);
    const entry = toEntry(path, header);
    if (header.type === "hardlink") this.#hardlink(entry, header);
    else if (header.type === "file") this.#content.begin(entry);
    else if (header.type === "symlink") {
      if (entry.link === "" || entry.link.includes("\0") || entry.link.length >= 4096)
        throw invalid(header.path, "is a link to an impossible place");
      this.#tree.symlink(entry);
    } else {
      // on disk this would be a whiteout, and hide a file that the image shows
      if (header.type === "character" && header.major === 0 && header.minor === 0) {
        throw invalid(header.path, "is the character device 0:0, which overlayfs takes for a whiteout");
      }
      this.#tree.mknod(entry);
    }
    this.#entries.set(path, entry);
  }

  /** A directory is described by its entry, whether it was implied before, is new, or replaces something else. */
  #describe(path: string, header: TarEntry): void {
    const existing = this.#entries.get(path);
    if (existing?.type === "directory") {
      Object.assign(existing, toEntry(path, header), { opaque: existing.opaque });
      return;
    }
    // whatever had this name until now hides the lower directory: what is new starts empty
    const opaque = existing !== undefined;
    if (existing !== undefined) this.#remove(existing);
    this.#tree.mkdir(path);
    this.#entries.set(path, { ...toEntry(path, header), opaque });
  }

  #hardlink(entry: Mutable<Entry>, header: TarEntry): void {
    const named = normalisePath(header.link);
    const raw = this.#part === undefined ? named : this.#part.target(header.path, named);
    this.#checkDepth(raw);
    const slash = raw.lastIndexOf("/");
    const target = slash < 0 ? raw : placeIn(this.#resolve(raw.slice(0, slash)), raw, slash);
    if (target === entry.path || raw === "") throw invalid(header.path, "is a hard link to itself or to the root");
    const file = this.#entries.get(target);
    if (file === undefined && this.#replaces(parentPath(target)))
      throw invalid(header.path, "is a hard link to what another file of this layer takes the place of");
    if (file?.type === "directory" || file?.type === "whiteout")
      throw invalid(header.path, "is a hard link to a directory or a removed file");
    // a name that this layer does not have is a file of a lower layer: merge finds it, the tree has no entry
    if (file === undefined || file.type === "lower-hardlink") {
      entry.type = "lower-hardlink";
      entry.link = file?.link ?? target;
      return;
    }
    const linked = this.#links.get(target) ?? { holder: target, others: new Set() };
    this.#tree.link(entry.path, linked.holder);
    linked.others.add(entry.path);
    this.#links.set(linked.holder, linked).set(entry.path, linked);
  }

  #whiteout(path: string): void {
    const existing = this.#entries.get(path);
    if (existing === undefined) {
      this.#entries.set(path, { ...impliedDirectory(path), type: "whiteout", mode: 0, implied: false });
    } else if (existing.type === "directory") {
      // the lower directory goes, with its metadata; what this layer put here stays
      existing.opaque = true;
      existing.implied = false;
    }
  }

  /** Removes what this layer created at a path, keeping other names of a hard-linked file alive. */
  #remove(entry: Mutable<Entry>): void {
    const gone = entry.type === "directory" ? this.#below(entry.path) : [entry];
    for (const each of gone) this.#entries.delete(each.path);
    for (const each of gone) this.#unlink(each);
    if (entry.type !== "whiteout" && entry.type !== "lower-hardlink") this.#tree.remove(entry.path);
    this.#parent = ["", ""];
  }

  /** Files first and then directories from below, so that none is removed with what is still to be looked at. */
  #keepOnly(list: Whitelist): void {
    const { paths, directories } = list;
    const leaves = ({ path, type }: Entry): boolean =>
      paths.has(path) || (type === "directory" && (directories.has(path) || list.leads(path)));
    const gone = [...this.#entries.values()].filter((entry) => !leaves(entry));
    for (const entry of gone) if (entry.type !== "directory") this.#remove(entry);
    for (const { path } of gone.filter(({ type }) => type === "directory").sort((a, b) => (a.path < b.path ? 1 : -1))) {
      this.#entries.delete(path);
      this.#tree.remove(path);
    }
    for (const path of directories) this.#ensureDirectory(path);
  }

  /** Looks at every entry, which a real layer does a few times and a hostile one must not do without end. */
  #below(path: string): Mutable<Entry>[] {
    this.#looked += this.#entries.size;
    if (this.#looked > LOOKS) throw invalid(path, "is one of too many directories that their own layer replaces");
    return [...this.#entries.values()].filter((entry) => entry.path === path || entry.path.startsWith(`${path}/`));
  }

  /** One name less; when it was the one that has it all, another one has it from now on. */
  #unlink(gone: Mutable<Entry>): void {
    const linked = this.#links.get(gone.path);
    if (linked === undefined) return;
    this.#links.delete(gone.path);
    linked.others.delete(gone.path);
    if (gone.path !== linked.holder) return;
    for (const path of linked.others) {
      const heir = this.#entries.get(path);
      if (heir === undefined) continue;
      linked.others.delete(path);
      linked.holder = path;
      Object.assign(heir, gone, { path });
      return;
    }
  }

  /** The directory `raw` of this layer, with symlinks resolved and missing parts made. */
  #directory(raw: string): string {
    if (raw === "") return "";
    if (this.#parent[0] === raw) return this.#parent[1];
    const resolved = this.#resolve(raw);
    // a link's target may say what a name may not
    if (this.#part === undefined && /(^|\/)\.wh\./.test(resolved))
      throw invalid(raw, "lies behind a link into a whiteout");
    this.#ensureDirectory(resolved);
    this.#parent = [raw, resolved];
    return resolved;
  }

  #resolve(raw: string): string {
    const [resolved, steps] = resolveDirectories(raw, { get: (path) => this.#inode(path) });
    this.#steps += steps;
    if (this.#steps > STEPS) throw invalid(raw, "is one of too many that lie behind long symbolic links");
    return resolved;
  }

  /** What a name leads to: of a hard link, the entry that has its file, which may be a symlink. */
  #inode(path: string): Entry | undefined {
    const entry = this.#entries.get(path);
    return entry?.type === "hardlink" ? this.#entries.get((this.#links.get(path) as LinkedFile).holder) : entry;
  }

  /** Whether this layer has something else than a directory at `path` or above it. */
  #replaces(path: string): boolean {
    for (let at = path; at !== ""; at = parentPath(at)) {
      const type = this.#entries.get(at)?.type;
      // above a directory of this layer are directories of this layer
      if (type === "directory") return false;
      if (type !== undefined && type !== "whiteout") return true;
    }
    return false;
  }

  #ensureDirectory(path: string): void {
    const existing = this.#entries.get(path);
    if (existing?.type === "directory") return;
    if (existing !== undefined && existing.type !== "whiteout")
      throw invalid(path, "is not a directory, but other entries lie below it");
    // before the way down to the root: it is as long as the path is deep
    this.#checkDepth(path);
    this.#ensureDirectory(parentPath(path));
    this.#countEntry();
    this.#tree.mkdir(path);
    const implied = impliedDirectory(path);
    this.#entries.set(path, existing === undefined ? implied : { ...implied, implied: false, opaque: true });
  }
}

function toEntry(path: string, header: TarEntry): Mutable<Entry> {
  const { type, mode, uid, gid, size, mtimeSec, mtimeNsec, link, major, minor, xattrs, offset, sparse } = header;
  const entry: Mutable<Entry> = {
    path,
    type,
    mode,
    uid,
    gid,
    size,
    mtimeSec,
    mtimeNsec,
    link: type === "symlink" ? link : "",
    major,
    minor,
    xattrs,
    checksum: 0,
    offset,
    implied: false,
    opaque: false,
  };
  if (sparse !== undefined) entry.sparse = sparse;
  return entry;
}

function join(directory: string, name: string): string {
  return directory === "" ? name : `${directory}/${name}`;
}

/** What `path` names behind its last slash, in the directory that all before it leads to. */
function placeIn(directory: string, path: string, slash: number): string {
  const place = join(directory, path.slice(slash + 1));
  if (place.length >= PATH_MAX) throw tooLong(path);
  return place;
}
