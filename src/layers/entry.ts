/**
 * What a layer contains, one record an entry. Pure data: the tar reader makes them, the applier settles them, the entry
 * index stores them, merge reads them.
 *
 * Every path, link target and xattr name in here is a *byte string*: a JavaScript string in which each character stands
 * for one byte (latin1), so that names which are not UTF-8 survive and strings can be map keys. `displayPath` is for people.
 */

/** `hardlink` names a file of the same layer; `lower-hardlink` one of a layer below, which only merge can find. */
export type EntryType =
  | "file"
  | "directory"
  | "symlink"
  | "hardlink"
  | "lower-hardlink"
  | "character"
  | "block"
  | "fifo"
  | "whiteout";

export type Xattr = readonly [name: string, value: Uint8Array];

/** What a tar header says of a file of whatever type, and an entry keeps. */
export interface Metadata {
  /** Permission and set-id bits, 0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes of content of a file; 0 for everything else. */
  readonly size: number;
  readonly mtimeSec: number;
  readonly mtimeNsec: number;
  /** Target of a symlink (verbatim), or the file that a hard link names (in an Entry: its normalised path). */
  readonly link: string;
  readonly major: number;
  readonly minor: number;
  readonly xattrs: readonly Xattr[];
  /** Where a file's stored bytes begin, from the start of the uncompressed tar: its content, or the pieces of `sparse`. */
  readonly offset: number;
  /** Of a file that the tar keeps without its holes: where the stored bytes belong, in ascending order, not overlapping. */
  readonly sparse?: readonly Segment[];
}

/** A piece of a file, in bytes. */
export interface Segment {
  readonly offset: number;
  readonly length: number;
}

export interface Entry extends Metadata {
  /** Normalised: no leading, trailing or doubled slashes, no `.` or `..`; the root is the empty string. */
  readonly path: string;
  readonly type: EntryType;
  /** CRC-32 of a file's content. */
  readonly checksum: number;
  /** A directory that no entry of this layer describes: a parent that other entries imply. */
  readonly implied: boolean;
  /** A directory that hides what lower layers put into it. */
  readonly opaque: boolean;
}

/** Metadata of a directory that no layer describes. Time zero, so that the same image always gives the same tree. */
export function impliedDirectory(path: string): Entry {
  return {
    path,
    type: "directory",
    mode: 0o755,
    uid: 0,
    gid: 0,
    size: 0,
    mtimeSec: 0,
    mtimeNsec: 0,
    link: "",
    major: 0,
    minor: 0,
    xattrs: [],
    checksum: 0,
    offset: 0,
    implied: true,
    opaque: false,
  };
}

export function parentPath(path: string): string {
  const slash = path.lastIndexOf("/");
  return slash < 0 ? "" : path.slice(0, slash);
}

export function baseName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** Characters of a name that are shown. A tar may have one of a megabyte, and it would go to terminals and logs. */
const MAX_SHOWN = 200;

/**
 * A byte string as a person reads it: UTF-8 where it is; stray bytes, and what a terminal would obey, as escapes; of a
 * long one the beginning, and how long it is.
 */
export function displayPath(path: string): string {
  let end = path.length;
  if (end > MAX_SHOWN) {
    end = MAX_SHOWN;
    // a character has three bytes behind its first at most
    while (end > MAX_SHOWN - 3 && (path.charCodeAt(end) & 0xc0) === 0x80) end -= 1;
  }
  const head = path.slice(0, end);
  const bytes = Buffer.from(head, "latin1");
  const text = bytes.toString("utf8");
  const readable = Buffer.from(text, "utf8").equals(bytes) ? text : head.replace(/[\x80-\xff]/g, hexEscape);
  let shown = "";
  for (const character of readable) {
    const next = character.replace(/[\p{Cc}\p{Cf}]/u, hexEscape);
    if (shown.length + next.length > MAX_SHOWN) return `${shown}… (${path.length} bytes)`;
    shown += next;
  }
  return end < path.length ? `${shown}… (${path.length} bytes)` : shown;
}

function hexEscape(character: string): string {
  const code = character.codePointAt(0) as number;
  return code > 0xff ? `\\u{${code.toString(16)}}` : `\\x${code.toString(16).padStart(2, "0")}`;
}
