/**
 * Applies one layer's tar entries to an empty tree in overlay form, and settles what the layer contains.
 *
 * The model (a map of entries by path) decides, the tree follows: what the map does not have is not on disk, so nearly
 * every entry is one call that creates and never one that asks. Directory attributes and overlayfs' markers wait for
 * `finish`, since whatever is put into a directory changes its time, and permission bits could lock us out.
 */
import { crc32 } from "node:zlib";
import { type Entry, impliedDirectory, parentPath } from "./entry.ts";
import { invalid, normalisePath, resolveDirectories } from "./layer-path.ts";
import { type LayerTree, OPEN_FILE_ABOVE } from "./layer-tree.ts";
import { DEFAULT_LIMITS, type LayerLimits, tooLarge } from "./limits.ts";
import type { TarPart, Whitelist } from "./part.ts";
import type { TarConsumer, TarEntry } from "./tar-entries.ts";
import { classifyWhiteout } from "./whiteout.ts";

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

const NO_WHITEOUT = { kind: "none" } as const;

/** Entries that may be looked at to find what lies below replaced directories. */
const LOOKS = 500_000_000;

interface OpenFile {
  readonly entry: Mutable<Entry>;
  readonly chunks: Uint8Array[];
  readonly writer: { append(chunk: Uint8Array): void; finish(entry: Entry): void } | undefined;
}

export class LayerApplier implements TarConsumer {
  readonly #tree: LayerTree;
  readonly #limits: LayerLimits;
  readonly #part: TarPart | undefined;
  readonly #entries = new Map<string, Mutable<Entry>>();
  /** Files with several names: the first one → the others. */
  readonly #links = new Map<string, Set<string>>();
  #parent: readonly [raw: string, resolved: string] = ["", ""];
  #file: OpenFile | undefined;
  #seen = 0;
  #looked = 0;
  #bytes = 0;

  /** With a `part`, the tree is that part of the tar, and nothing is a whiteout. */
  constructor(tree: LayerTree, limits: LayerLimits, part?: TarPart) {
    this.#tree = tree;
    this.#limits = limits;
    this.#part = part;
    this.#entries.set("", { ...impliedDirectory("") });
  }

  begin(header: TarEntry): void {
    this.#file = undefined;
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
    const place = slash < 0 ? path : join(this.#directory(path.slice(0, slash)), path.slice(slash + 1));
    this.#create(place, header);
  }

  data(chunk: Uint8Array): void {
    const file = this.#file;
    if (file === undefined) return;
    file.entry.checksum = crc32(chunk, file.entry.checksum);
    if (file.writer === undefined) file.chunks.push(chunk);
    else file.writer.append(chunk);
  }

  end(): void {
    const file = this.#file;
    if (file === undefined) return;
    this.#file = undefined;
    if (file.writer !== undefined) file.writer.finish(file.entry);
    else
      this.#tree.createFile(
        file.entry,
        file.chunks.length === 1 ? (file.chunks[0] as Uint8Array) : Buffer.concat(file.chunks),
      );
  }

  /** Writes markers and directory attributes; returns the layer's entries, sorted by path, parents first. */
  finish(): Entry[] {
    for (const whitelist of this.#part?.whitelists ?? []) this.#keepOnly(whitelist);
    const entries = [...this.#entries.values()].sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
    for (const entry of entries) {
      if (entry.type === "directory" && entry.opaque) this.#tree.markOpaque(entry.path);
      // below an opaque directory there is nothing left to hide
      if (entry.type === "whiteout" && !this.#entries.get(parentPath(entry.path))?.opaque)
        this.#tree.whiteout(entry.path);
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
    else if (header.type === "file") this.#openFile(entry);
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

  #openFile(entry: Mutable<Entry>): void {
    this.#file = { entry, chunks: [], writer: entry.size > OPEN_FILE_ABOVE ? this.#tree.openFile(entry) : undefined };
  }

  /** A directory is described by its entry, whether it was implied before, is new, or replaces something else. */
  #describe(path: string, header: TarEntry): void {
    const existing = this.#entries.get(path);
    if (existing?.type === "directory") {
      Object.assign(existing, toEntry(path, header), { opaque: existing.opaque });
      return;
    }
    // a whiteout of this name hides the lower directory: what is new starts empty
    const opaque = existing?.type === "whiteout";
    if (existing !== undefined) this.#remove(existing);
    this.#tree.mkdir(path);
    this.#entries.set(path, { ...toEntry(path, header), opaque });
  }

  #hardlink(entry: Mutable<Entry>, header: TarEntry): void {
    const named = normalisePath(header.link);
    const raw = this.#part === undefined ? named : this.#part.target(header.path, named);
    this.#checkDepth(raw);
    const slash = raw.lastIndexOf("/");
    const target = slash < 0 ? raw : join(resolveDirectories(raw.slice(0, slash), this.#entries), raw.slice(slash + 1));
    if (target === entry.path || raw === "") throw invalid(header.path, "is a hard link to itself or to the root");
    const file = this.#entries.get(target);
    if (file?.type === "directory" || file?.type === "whiteout")
      throw invalid(header.path, "is a hard link to a directory or a removed file");
    entry.link = file?.type === "hardlink" || file?.type === "lower-hardlink" ? file.link : target;
    // a name that this layer does not have is a file of a lower layer: merge finds it, the tree has no entry
    if (file === undefined || file.type === "lower-hardlink") entry.type = "lower-hardlink";
    else {
      this.#tree.link(entry.path, entry.link);
      const names = this.#links.get(entry.link) ?? new Set();
      this.#links.set(entry.link, names.add(entry.path));
    }
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
    for (const each of gone) {
      if (each.type === "hardlink") this.#links.get(each.link)?.delete(each.path);
      else this.#promoteLink(each);
    }
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

  #promoteLink(gone: Mutable<Entry>): void {
    const names = [...(this.#links.get(gone.path) ?? [])];
    this.#links.delete(gone.path);
    const [heir, ...others] = names.flatMap((name) => this.#entries.get(name) ?? []);
    if (heir === undefined) return;
    Object.assign(heir, gone, { path: heir.path });
    for (const other of others) other.link = heir.path;
    this.#links.set(heir.path, new Set(others.map((other) => other.path)));
  }

  /** The directory `raw` of this layer, with symlinks resolved and missing parts made. */
  #directory(raw: string): string {
    if (raw === "") return "";
    if (this.#parent[0] === raw) return this.#parent[1];
    const resolved = resolveDirectories(raw, this.#entries);
    this.#ensureDirectory(resolved);
    this.#parent = [raw, resolved];
    return resolved;
  }

  /** Whether this layer has something else than a directory at `path` or above it. */
  #replaces(path: string): boolean {
    for (let at = path; at !== ""; at = parentPath(at)) {
      const type = this.#entries.get(at)?.type;
      if (type !== undefined && type !== "directory" && type !== "whiteout") return true;
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
  const { type, mode, uid, gid, size, mtimeSec, mtimeNsec, link, major, minor, xattrs, offset } = header;
  return {
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
}

function join(directory: string, name: string): string {
  return directory === "" ? name : `${directory}/${name}`;
}
