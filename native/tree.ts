/**
 * File operations inside one directory that nothing can be named out of: see "The addon" in README.md.
 *
 * Paths, link targets and xattr names are byte strings: every character is one byte, 1 to 255. All calls are
 * synchronous and throw `NativeError` with the name of the errno as its code.
 */
import { type Addon, type FlatXattrs, type Handle, loadAddon } from "./addon.ts";
import { NativeError, readable } from "./errors.ts";
import { STAT_NUMBERS, type Stat, statFromNumbers } from "./stat.ts";

export type Xattr = readonly [name: string, value: Uint8Array];

export interface Attributes {
  /** 0 to 0o7777; what a symlink's mode would be is ignored. */
  readonly mode: number;
  /** -1 leaves the owner. */
  readonly uid: number;
  readonly gid: number;
  /** Seconds since 1970, negative before; the access time is set to the same. Out of the file system's range: clamped. */
  readonly mtimeSec: number;
  readonly mtimeNsec: number;
  /** Set in this order, after owner and mode. More than 1000 are E2BIG. */
  readonly xattrs?: readonly Xattr[];
}

export type NodeKind = "character" | "block" | "fifo";
export type CloneMethod = "reflink" | "copy_file_range" | "read-write";

/** A large file in pieces. Disposing one that was not finished closes it and leaves what was written. */
export interface FileWriter extends Disposable {
  append(chunk: Uint8Array): void;
  /** The next append goes to `offset` bytes from the start; what is skipped is a hole. */
  seek(offset: number): void;
  /** Sets the size (not less than what was written) and the attributes, and closes. */
  finish(size: number, attributes: Attributes): void;
}

/** A root directory, held open until disposed. Belongs to one thread; restructure a directory through one Tree only. */
export interface Tree extends Disposable {
  /** The creators: an existing name, of whatever type, is EEXIST; nothing is left behind on failure. */
  createFile(path: string, data: Uint8Array, attributes: Attributes): void;
  openFile(path: string): FileWriter;
  /** Without attributes: for its owner alone, until `setAttributes`. */
  mkdir(path: string, attributes?: Attributes): void;
  symlink(path: string, target: string, attributes: Attributes): void;
  /** A hard link to `existing`, which is resolved in this root; a symlink there is linked itself. */
  link(path: string, existing: string): void;
  mknod(path: string, kind: NodeKind, major: number, minor: number, attributes: Attributes): void;
  /** Content of a regular file of another tree, holes included. `bytes` is what was copied or shared. */
  clone(path: string, from: Tree, fromPath: string, attributes: Attributes): { method: CloneMethod; bytes: number };
  /** A final symlink is changed itself. */
  setAttributes(path: string, attributes: Attributes): void;
  setXattr(path: string, name: string, value: Uint8Array): void;
  xattrs(path: string): Xattr[];
  /** Of the root itself: what is created in it from now on inherits none. Having none is fine, and so are file systems without. */
  dropAcls(): void;
  /** Undefined where there is nothing (ENOENT, ENOTDIR). */
  lstat(path: string): Stat | undefined;
  readlink(path: string): string;
  /** A regular file of at most `maxBytes` (EFBIG). A final symlink is ELOOP, or resolved in the root if so asked. */
  readFile(path: string, maxBytes: number, options?: { followFinal?: boolean }): Buffer;
  /** Names in a directory, sorted bytewise. */
  list(path: string): string[];
  /** Whatever is there and all below it; missing is fine; "." empties the root. A mount point below is EBUSY, untouched. */
  removeTree(path: string): void;
  /** syncfs(2) of the file system that the root is on. */
  sync(): void;
}

const NODE_KINDS: Readonly<Record<NodeKind, number>> = { character: 0, block: 1, fifo: 2 };
const CLONE_METHODS: readonly CloneMethod[] = ["reflink", "copy_file_range", "read-write"];

/** A plain array of our own: the addon may read it without running anybody's getters. */
function flatten(xattrs: readonly Xattr[] | undefined): FlatXattrs {
  if (xattrs === undefined || xattrs.length === 0) return undefined;
  const flat: (string | Uint8Array)[] = [];
  for (const [name, value] of xattrs) flat.push(name, value);
  return flat;
}

/** No handle has this number. */
const CLOSED: Handle = Number.MAX_SAFE_INTEGER;

class NativeFileWriter implements FileWriter {
  readonly #addon: Addon;
  #handle: Handle;

  constructor(addon: Addon, handle: Handle) {
    this.#addon = addon;
    this.#handle = handle;
  }

  append(chunk: Uint8Array): void {
    this.#addon.append(this.#handle, chunk);
  }

  seek(offset: number): void {
    this.#addon.seek(this.#handle, offset);
  }

  finish(size: number, a: Attributes): void {
    this.#addon.finish(this.#handle, size, a.mode, a.uid, a.gid, a.mtimeSec, a.mtimeNsec, flatten(a.xattrs));
    this.#handle = CLOSED;
  }

  [Symbol.dispose](): void {
    if (this.#handle === CLOSED) return;
    this.#addon.closeFile(this.#handle);
    this.#handle = CLOSED;
  }
}

class NativeTree implements Tree {
  readonly #addon: Addon;
  readonly #numbers = new Float64Array(STAT_NUMBERS);
  #handle: Handle;

  constructor(addon: Addon, handle: Handle) {
    this.#addon = addon;
    this.#handle = handle;
  }

  createFile(path: string, data: Uint8Array, a: Attributes): void {
    const xattrs = flatten(a.xattrs);
    this.#addon.createFile(this.#handle, path, data, a.mode, a.uid, a.gid, a.mtimeSec, a.mtimeNsec, xattrs);
  }

  openFile(path: string): FileWriter {
    return new NativeFileWriter(this.#addon, this.#addon.openFile(this.#handle, path));
  }

  mkdir(path: string, a?: Attributes): void {
    if (a === undefined) this.#addon.mkdir(this.#handle, path);
    else this.#addon.mkdir(this.#handle, path, a.mode, a.uid, a.gid, a.mtimeSec, a.mtimeNsec, flatten(a.xattrs));
  }

  symlink(path: string, target: string, a: Attributes): void {
    const xattrs = flatten(a.xattrs);
    this.#addon.symlink(this.#handle, path, target, a.mode, a.uid, a.gid, a.mtimeSec, a.mtimeNsec, xattrs);
  }

  link(path: string, existing: string): void {
    this.#addon.link(this.#handle, path, existing);
  }

  mknod(path: string, kind: NodeKind, major: number, minor: number, a: Attributes): void {
    const number = NODE_KINDS[kind];
    const xattrs = flatten(a.xattrs);
    this.#addon.mknod(this.#handle, path, number, major, minor, a.mode, a.uid, a.gid, a.mtimeSec, a.mtimeNsec, xattrs);
  }

  clone(path: string, from: Tree, fromPath: string, a: Attributes): { method: CloneMethod; bytes: number } {
    if (!(from instanceof NativeTree)) {
      throw new NativeError("EINVAL", `Cannot clone file to ${readable(path)}: the source is not a tree of openTree()`);
    }
    const outcome = new Float64Array(2);
    const xattrs = flatten(a.xattrs);
    const source = from.#handle;
    this.#addon.clone(
      this.#handle,
      path,
      source,
      fromPath,
      a.mode,
      a.uid,
      a.gid,
      a.mtimeSec,
      a.mtimeNsec,
      xattrs,
      outcome,
    );
    return { method: CLONE_METHODS[outcome[0] ?? 0] ?? "read-write", bytes: outcome[1] ?? 0 };
  }

  setAttributes(path: string, a: Attributes): void {
    const xattrs = flatten(a.xattrs);
    this.#addon.setAttributes(this.#handle, path, a.mode, a.uid, a.gid, a.mtimeSec, a.mtimeNsec, xattrs);
  }

  setXattr(path: string, name: string, value: Uint8Array): void {
    this.#addon.setXattr(this.#handle, path, name, value);
  }

  xattrs(path: string): Xattr[] {
    const flat = this.#addon.xattrs(this.#handle, path);
    const pairs: Xattr[] = [];
    for (let i = 0; i < flat.length; i += 2) pairs.push([flat[i] as string, flat[i + 1] as Buffer]);
    return pairs;
  }

  dropAcls(): void {
    this.#addon.dropAcls(this.#handle);
  }

  lstat(path: string): Stat | undefined {
    return this.#addon.lstat(this.#handle, path, this.#numbers) ? statFromNumbers(this.#numbers) : undefined;
  }

  readlink(path: string): string {
    return this.#addon.readlink(this.#handle, path);
  }

  readFile(path: string, maxBytes: number, options: { followFinal?: boolean } = {}): Buffer {
    return this.#addon.readFile(this.#handle, path, maxBytes, options.followFinal ?? false);
  }

  list(path: string): string[] {
    return this.#addon.list(this.#handle, path);
  }

  removeTree(path: string): void {
    this.#addon.removeTree(this.#handle, path);
  }

  sync(): void {
    this.#addon.sync(this.#handle);
  }

  [Symbol.dispose](): void {
    if (this.#handle === CLOSED) return;
    this.#addon.close(this.#handle);
    this.#handle = CLOSED;
  }
}

/** Opens the directory at a path of the host (an ordinary string; symlinks are followed). ENOENT, ENOTDIR, EACCES. */
export function openTree(path: string): Tree {
  const addon = loadAddon();
  if (typeof path !== "string") throw new NativeError("EINVAL", "Cannot open tree: the path must be a string");
  return new NativeTree(addon, addon.open(Buffer.from(path, "utf8").toString("latin1")));
}
