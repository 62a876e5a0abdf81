/**
 * PAX extended header records (POSIX.1-2017 pax, "pax Extended Header"), decoded as bytes.
 *
 * A record is "LENGTH KEY=VALUE\n", LENGTH counting itself. Values are byte strings (see entry.ts): xattrs are binary.
 */
import { AppError } from "../errors.ts";
import type { Xattr } from "./entry.ts";

export type PaxRecords = Record<string, string>;

const SPACE = 0x20;
const NEWLINE = 0x0a;
const EQUALS = 0x3d;

/** Throws `layer-invalid` for a record that is not one: a reader that guesses sees another image than its neighbour. */
export function decodePax(bytes: Uint8Array): PaxRecords {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const records: PaxRecords = Object.create(null) as PaxRecords;
  let at = 0;
  while (at < buffer.length && buffer[at] !== 0) {
    const space = buffer.indexOf(SPACE, at);
    const digits = space < 0 ? "" : buffer.toString("latin1", at, space);
    const length = /^[0-9]{1,10}$/.test(digits) ? Number(digits) : 0;
    const end = at + length;
    if (length < 5 || end > buffer.length || buffer[end - 1] !== NEWLINE) throw malformed();
    const equals = buffer.indexOf(EQUALS, space);
    if (equals < 0 || equals >= end) throw malformed();
    records[buffer.toString("latin1", space + 1, equals)] = buffer.toString("latin1", equals + 1, end - 1);
    at = end;
  }
  for (const key of ["path", "linkpath"]) {
    if (records[key]?.includes("\0")) throw malformed();
  }
  if (records["size"] !== undefined && !/^[0-9]{1,16}$/.test(records["size"])) throw malformed();
  return records;
}

function malformed(): AppError {
  return new AppError("layer-invalid", "Cannot unpack a layer: a PAX header has a malformed record");
}

/** "SECONDS[.FRACTION]", possibly negative, as whole seconds (rounded down) and nanoseconds. */
export function paxTime(text: string): readonly [seconds: number, nanoseconds: number] {
  const match = /^(-?)([0-9]{1,15})(?:\.([0-9]*))?$/.exec(text);
  if (match === null) return [Number.NaN, 0];
  const whole = Number(match[2]);
  const nanoseconds = Number((match[3] ?? "").slice(0, 9).padEnd(9, "0"));
  if (match[1] !== "-") return [whole, nanoseconds];
  return nanoseconds === 0 ? [-whole, 0] : [-whole - 1, 1_000_000_000 - nanoseconds];
}

const SCHILY = "SCHILY.xattr.";
const LIBARCHIVE = "LIBARCHIVE.xattr.";

/**
 * Extended attributes that a tree should get. Left out: `security.selinux` (a label of the machine that built the
 * image, image-spec layer.md leaves it to the host) and overlayfs' own attributes, with which an image could make
 * overlayfs show files of other places.
 */
export function paxXattrs(pax: PaxRecords): Xattr[] {
  const xattrs: Xattr[] = [];
  for (const [key, value] of Object.entries(pax)) {
    // libarchive writes the same attribute twice, once in base64 under its own prefix
    const own = key.startsWith(LIBARCHIVE);
    if (!own && !key.startsWith(SCHILY)) continue;
    const name = own ? unescapeName(key.slice(LIBARCHIVE.length)) : key.slice(SCHILY.length);
    if (name === "" || name === "security.selinux" || /^(trusted|user)\.overlay\./.test(name)) continue;
    if (own && pax[SCHILY + name] !== undefined) continue;
    xattrs.push([name, Buffer.from(value, own ? "base64" : "latin1")]);
  }
  return xattrs.sort(([a], [b]) => (a < b ? -1 : 1));
}

/** libarchive percent-encodes the attribute names; an escape that is none stays as it is. */
function unescapeName(name: string): string {
  return name.replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}
