/**
 * PAX extended header records (POSIX.1-2017 pax, "pax Extended Header"), decoded as bytes.
 *
 * A record is "LENGTH KEY=VALUE\n", LENGTH counting itself. Keys and values are byte strings (see entry.ts): extended
 * attributes are binary. Of several records of one key the last one counts. An empty value takes back what a global header
 * said and leaves what the entry's own header says; an extended attribute may be empty, though.
 */
import { AppError } from "../errors.ts";
import { displayPath, type Xattr } from "./entry.ts";
import { encodeAcl } from "./tar-acl.ts";
import { MAX_ENTRY_XATTRS, tooManyEntryXattrs } from "./tar-limits.ts";
import { parseDecimal } from "./tar-number.ts";
import type { TarType } from "./tar-types.ts";

export type PaxRecords = ReadonlyMap<string, string>;

const SPACE = 0x20;
const NEWLINE = 0x0a;
const EQUALS = 0x3d;
const ZERO = 0x30;

/** GNU's sparse format 0.0 says each piece in two records of the same names; they are given as format 0.1's one record. */
const SPARSE_OFFSET = "GNU.sparse.offset";
const SPARSE_LENGTH = "GNU.sparse.numbytes";
export const SPARSE_MAP = "GNU.sparse.map";

/** Names of files, which end at a NUL for the kernel and for nobody else. */
const NAMES: ReadonlySet<string> = new Set(["path", "linkpath", "GNU.sparse.name"]);

/** Throws `layer-invalid` for a record that is not one: a reader that guesses sees another image than its neighbour. */
export function decodePax(bytes: Uint8Array): PaxRecords {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const records = new Map<string, string>();
  const pieces: string[] = [];
  let at = 0;
  while (at < buffer.length && buffer[at] !== 0) {
    const [space, end] = recordAt(buffer, at);
    let equals = space + 1;
    while (equals < end && buffer[equals] !== EQUALS) equals += 1;
    const key = buffer.toString("latin1", space + 1, equals);
    if (equals === end || key === "" || key.includes("\0")) throw malformed();
    const value = buffer.toString("latin1", equals + 1, end - 1);
    if (key === SPARSE_OFFSET || key === SPARSE_LENGTH) {
      if ((key === SPARSE_OFFSET) !== (pieces.length % 2 === 0) || value.includes(",")) throw malformed();
      pieces.push(value);
    } else {
      if (NAMES.has(key) && value.includes("\0")) throw malformed();
      records.set(key, value);
    }
    at = end;
  }
  const size = records.get("size") ?? "";
  if (size !== "" && Number.isNaN(parseDecimal(size))) throw malformed();
  if (pieces.length > 0) {
    if (records.has(SPARSE_MAP)) throw malformed();
    records.set(SPARSE_MAP, pieces.join(","));
  }
  return records;
}

/** Where the blank behind a record's length is, and where the record ends. */
function recordAt(buffer: Buffer, start: number): readonly [space: number, end: number] {
  let length = 0;
  let at = start;
  for (; at < start + 10; at += 1) {
    const digit = (buffer[at] ?? 0) - ZERO;
    if (digit < 0 || digit > 9) break;
    length = length * 10 + digit;
  }
  const end = start + length;
  // it has at least a key of one byte, an equals sign and a newline
  if (buffer[at] !== SPACE || end < at + 4 || end > buffer.length || buffer[end - 1] !== NEWLINE) throw malformed();
  return [at, end];
}

function malformed(): AppError {
  return new AppError("layer-invalid", "Cannot unpack a layer: a PAX header has a malformed record");
}

/** "SECONDS[.FRACTION]", possibly negative, as whole seconds and nanoseconds, rounded down; NaN for what is no time. */
export function paxTime(text: string): readonly [seconds: number, nanoseconds: number] {
  const match = /^(-?)([0-9]{1,15})(?:\.([0-9]*))?$/.exec(text);
  if (match === null) return [Number.NaN, 0];
  const whole = Number(match[2]);
  const fraction = match[3] ?? "";
  const nanoseconds = Number(fraction.slice(0, 9).padEnd(9, "0"));
  if (match[1] !== "-") return [whole, nanoseconds];
  // what is less than a nanosecond is one more before zero
  const below = nanoseconds + (/[1-9]/.test(fraction.slice(9)) ? 1 : 0);
  return below === 0 ? [0 - whole, 0] : [0 - whole - 1, 1_000_000_000 - below];
}

const SCHILY = "SCHILY.xattr.";
const LIBARCHIVE = "LIBARCHIVE.xattr.";
export const ACCESS_ACL = "system.posix_acl_access";
const DEFAULT_ACL = "system.posix_acl_default";
/** Records with an access control list in text: the attribute that it becomes. */
const ACLS: ReadonlyMap<string, string> = new Map([
  ["SCHILY.acl.access", ACCESS_ACL],
  ["SCHILY.acl.default", DEFAULT_ACL],
]);
/** Bytes of a name (Linux). */
const XATTR_NAME_MAX = 255;
const NO_XATTRS: readonly Xattr[] = [];

/** What a record says of an attribute; without a value: that there is none. Of several records the highest rank counts. */
export interface ToldXattr {
  readonly name: string;
  readonly value: Buffer | undefined;
  readonly rank: number;
}

/** Whether `readXattr` may make something of it. */
export function isXattrRecord(key: string): boolean {
  return ACLS.has(key) || nameOf(key) !== undefined;
}

/**
 * Undefined for records that are about nothing that a tree gets. Left out: `security.selinux` (a label of the machine that
 * built the image, image-spec layer.md leaves it to the host) and overlayfs' own attributes, with which an image could
 * make overlayfs show files of other places. Access control lists in text become the kernel's attributes, unless these
 * are there themselves. Throws `layer-invalid` for a name that no attribute can have.
 */
export function readXattr(key: string, value: string): ToldXattr | undefined {
  const acl = ACLS.get(key);
  if (acl !== undefined) return { name: acl, value: encodeAcl(value), rank: 1 };
  const name = nameOf(key);
  if (name === undefined) return undefined;
  if (name.length > XATTR_NAME_MAX) {
    const what = `an extended attribute whose name is longer than ${XATTR_NAME_MAX} bytes`;
    throw new AppError("layer-invalid", `Cannot unpack a layer: it has ${what}`, {
      details: { name: displayPath(name) },
    });
  }
  // libarchive writes the same attribute twice, once in base64 under its own prefix
  if (key.startsWith(LIBARCHIVE)) return { name, value: Buffer.from(value, "base64"), rank: 2 };
  return { name, value: Buffer.from(value, "latin1"), rank: 3 };
}

/** Extended attributes that an entry should get, sorted by name: its own, and what its archive says of all (`inherited`). */
export function paxXattrs(pax: PaxRecords, type: TarType = "file", inherited = NO_XATTRS): readonly Xattr[] {
  const told: ToldXattr[] = [];
  for (const [key, value] of pax) {
    const one = readXattr(key, value);
    if (one !== undefined) told.push(one);
  }
  return selectXattrs(told, type, inherited);
}

/** The same of records that were read before. Gives `inherited` itself when they add nothing to it. */
export function selectXattrs(told: Iterable<ToldXattr>, type: TarType, inherited = NO_XATTRS): readonly Xattr[] {
  const own = new Map<string, ToldXattr>();
  for (const one of told)
    if (isPossible(one.name, type) && one.rank >= (own.get(one.name)?.rank ?? 0)) own.set(one.name, one);
  if (own.size === 0) return inherited;
  const xattrs = inherited.filter(([name]) => !own.has(name));
  for (const { name, value } of own.values()) if (value !== undefined) xattrs.push([name, value]);
  if (xattrs.length > MAX_ENTRY_XATTRS) throw tooManyEntryXattrs();
  return xattrs.sort(([a], [b]) => (a < b ? -1 : 1));
}

/**
 * Attributes that Linux can have (xattr(7), acl(5)). Others come from other systems (`com.apple.…`), or say something of
 * another kind of file, and no tool sets them.
 */
function isPossible(name: string, type: TarType): boolean {
  if (name.startsWith("user.")) return type === "file" || type === "directory";
  if (name === ACCESS_ACL) return type !== "symlink";
  if (name === DEFAULT_ACL) return type === "directory";
  return name.startsWith("security.") || name.startsWith("trusted.");
}

/** The attribute that a record is about; undefined when it is about none, or one that is left out. */
function nameOf(key: string): string | undefined {
  const own = key.startsWith(LIBARCHIVE);
  if (!own && !key.startsWith(SCHILY)) return undefined;
  const name = own ? unescapeName(key.slice(LIBARCHIVE.length)) : key.slice(SCHILY.length);
  if (name === "" || name.includes("\0") || name === "security.selinux") return undefined;
  return /^(trusted|user)\.overlay\./.test(name) ? undefined : name;
}

/** libarchive percent-encodes the attribute names; an escape that is none stays as it is. */
function unescapeName(name: string): string {
  return name.replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}
