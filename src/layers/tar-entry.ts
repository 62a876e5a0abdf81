/** From a header and what extension headers say of it to an entry: the metadata that a tree gets. */
import type { Metadata, Xattr } from "./entry.ts";
import { invalid } from "./layer-path.ts";
import { ACCESS_ACL, paxTime } from "./pax.ts";
import { modeWithAcl } from "./tar-acl.ts";
import type { Overrides } from "./tar-extensions.ts";
import type { TarHeader } from "./tar-header.ts";
import { isCount, parseDecimal } from "./tar-number.ts";
import type { TarType } from "./tar-types.ts";

/** One entry of a tar, PAX and GNU extensions applied, otherwise as written: paths are raw byte strings. */
export interface TarEntry extends Metadata {
  readonly path: string;
  readonly type: TarType;
}

/** 70 million years around 1970: what the entry index can hold, and more than file systems can. */
const MAX_SECONDS = 2 ** 51;

/** Path that the entry has before a sparse format gives it another. */
export function pathOf(header: TarHeader, overrides: Overrides): string {
  return overrides.longName || overrides.get("path") || header.name;
}

/** Throws `layer-invalid` for numbers that no file can have. A file's size here is that of what is stored. */
export function describeEntry(
  header: TarHeader,
  overrides: Overrides,
  { path, type, offset }: Pick<TarEntry, "path" | "type" | "offset">,
): TarEntry {
  const plain = overrides.isEmpty;
  const time = plain ? undefined : overrides.get("mtime");
  const [mtimeSec, mtimeNsec] = time === undefined ? [header.mtimeSec, 0] : paxTime(time);
  const number = (key: string, own: number): number => {
    const text = plain ? undefined : overrides.get(key);
    return text === undefined ? own : parseDecimal(text);
  };
  const xattrs = plain ? [] : overrides.xattrs(type);
  const entry: TarEntry = {
    path,
    type,
    mode: modeOf(header.mode & 0o7777, xattrs),
    uid: number("uid", header.uid),
    gid: number("gid", header.gid),
    // only files have a body, whatever size other headers declare (as archive/tar reads them)
    size: type === "file" ? number("size", header.size) : 0,
    mtimeSec,
    mtimeNsec,
    link: plain ? header.link : overrides.longLink || overrides.get("linkpath") || header.link,
    major: header.major,
    minor: header.minor,
    xattrs,
    offset,
  };
  const wrong = findWrong(entry);
  if (wrong !== undefined) throw invalid(path, `has an invalid ${wrong}`);
  return entry;
}

/** Where the header and an access list disagree, the list counts: on disk it would in any case. */
function modeOf(mode: number, xattrs: readonly Xattr[]): number {
  for (const [name, value] of xattrs) if (name === ACCESS_ACL) return modeWithAcl(mode, value);
  return mode;
}

function findWrong({ uid, gid, size, mtimeSec, major, minor }: TarEntry): string | undefined {
  if (!isId(uid)) return "owner";
  if (!isId(gid)) return "group";
  if (!isCount(size)) return "size";
  if (!(Math.abs(mtimeSec) < MAX_SECONDS)) return "time";
  // the kernel has 12 and 20 bits for them, and cuts what is more: another device would come of it
  return isUpTo(major, 0xfff) && isUpTo(minor, 0xfffff) ? undefined : "device number";
}

/** All ones is the kernel's word for "leave it as it is". */
function isId(value: number): boolean {
  return isUpTo(value, 0xfffffffe);
}

function isUpTo(value: number, limit: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= limit;
}
