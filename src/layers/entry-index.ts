/**
 * The entry index: the file `layers/<id>/index`, which says what one layer contains (design §6), sorted by path.
 *
 *   "RWINDEX1" · uvarint count · count records · CRC-32 of everything before, 4 bytes little-endian
 *   record: type u8 · flags u8 (1 implied, 2 opaque, 4 sparse) · path · mode · uid · gid · mtime seconds (zigzag) · nanoseconds
 *           · by type: file size, offset, crc32, and if sparse count, (bytes since the piece before, length)…
 *                      links target · devices major, minor
 *           · xattr count, (name, value)…
 *
 * Numbers are LEB128 varints, strings and values a varint length and bytes. A path is stored as the length it shares
 * with the path before it and the rest, since sorted paths mostly repeat their neighbour.
 */
import { crc32 } from "node:zlib";
import { AppError } from "../errors.ts";
import { ByteReader, ByteWriter } from "./bytes.ts";
import type { Entry, EntryType, Segment, Xattr } from "./entry.ts";

/** Twice PATH_MAX: a place behind symlinks may be longer than the name that leads there. */
const MAX_PATH = 8192;
const MAGIC = Buffer.from("RWINDEX1");
const IMPLIED = 1;
const OPAQUE = 2;
const SPARSE = 4;
const TYPES: readonly EntryType[] = [
  "file",
  "directory",
  "symlink",
  "hardlink",
  "lower-hardlink",
  "character",
  "block",
  "fifo",
  "whiteout",
];

export function encodeEntryIndex(entries: readonly Entry[]): Buffer {
  const writer = new ByteWriter();
  writer.raw(MAGIC);
  writer.uint(entries.length);
  let previous = "";
  for (const entry of entries) {
    writer.byte(TYPES.indexOf(entry.type));
    const sparse = entry.type === "file" ? entry.sparse : undefined;
    writer.byte((entry.implied ? IMPLIED : 0) | (entry.opaque ? OPAQUE : 0) | (sparse === undefined ? 0 : SPARSE));
    const shared = sharedLength(previous, entry.path);
    writer.uint(shared);
    writer.text(entry.path.slice(shared));
    previous = entry.path;
    writer.uint(entry.mode);
    writer.uint(entry.uid);
    writer.uint(entry.gid);
    writer.int(entry.mtimeSec);
    writer.uint(entry.mtimeNsec);
    if (entry.type === "file") {
      writer.uint(entry.size);
      writer.uint(entry.offset);
      writer.uint(entry.checksum);
      if (sparse !== undefined) encodeSegments(writer, sparse);
    } else if (entry.type === "symlink" || entry.type === "hardlink" || entry.type === "lower-hardlink")
      writer.text(entry.link);
    else if (entry.type === "character" || entry.type === "block") {
      writer.uint(entry.major);
      writer.uint(entry.minor);
    }
    writer.uint(entry.xattrs.length);
    for (const [name, value] of entry.xattrs) {
      writer.text(name);
      writer.uint(value.length);
      writer.raw(value);
    }
  }
  const checksum = Buffer.alloc(4);
  checksum.writeUInt32LE(crc32(writer.bytes()));
  writer.raw(checksum);
  return Buffer.from(writer.bytes());
}

function encodeSegments(writer: ByteWriter, segments: readonly Segment[]): void {
  writer.uint(segments.length);
  let end = 0;
  for (const { offset, length } of segments) {
    writer.uint(offset - end);
    writer.uint(length);
    end = offset + length;
  }
}

/** `where` names the file in errors. Throws `layer-corrupt`: an index that is damaged must not become a wrong tree. */
export function decodeEntryIndex(bytes: Buffer, where: string): Entry[] {
  const body = bytes.subarray(0, Math.max(0, bytes.length - 4));
  if (!body.subarray(0, MAGIC.length).equals(MAGIC)) throw damaged(where, "it is not an entry index");
  if (crc32(body) !== bytes.readUInt32LE(body.length)) throw damaged(where, "its checksum does not match");
  const reader = new ByteReader(body, MAGIC.length, (why) => damaged(where, why));
  const count = reader.uint();
  const entries: Entry[] = [];
  let previous = "";
  for (let index = 0; index < count; index += 1) {
    const entry = decodeEntry(reader, previous, where);
    previous = entry.path;
    entries.push(entry);
  }
  if (reader.left > 0) throw damaged(where, "it has bytes behind its last record");
  return entries;
}

function decodeEntry(reader: ByteReader, previous: string, where: string): Entry {
  const type = TYPES[reader.byte()];
  if (type === undefined) throw damaged(where, "it has a record of unknown type");
  const flags = reader.byte();
  const shared = reader.uint();
  const known = IMPLIED | OPAQUE | (type === "file" ? SPARSE : 0);
  if ((flags & ~known) !== 0 || shared > previous.length) throw damaged(where, "it has a malformed record");
  const path = previous.slice(0, shared) + reader.text();
  if (path.length > MAX_PATH) throw damaged(where, "it has a path that is too long");
  const [mode, uid, gid] = [reader.uint(), reader.uint(), reader.uint()];
  const [mtimeSec, mtimeNsec] = [reader.int(), reader.uint()];
  let [size, offset, checksum, link, major, minor] = [0, 0, 0, "", 0, 0];
  let sparse: readonly Segment[] | undefined;
  if (type === "file") {
    [size, offset, checksum] = [reader.uint(), reader.uint(), reader.uint()];
    if ((flags & SPARSE) !== 0) sparse = decodeSegments(reader, size, where);
  } else if (type === "symlink" || type === "hardlink" || type === "lower-hardlink") link = reader.text();
  else if (type === "character" || type === "block") [major, minor] = [reader.uint(), reader.uint()];
  const xattrs: Xattr[] = [];
  for (let left = reader.uint(); left > 0; left -= 1) xattrs.push([reader.text(), reader.raw(reader.uint())]);
  const implied = (flags & IMPLIED) !== 0;
  const opaque = (flags & OPAQUE) !== 0;
  return {
    path,
    type,
    mode,
    uid,
    gid,
    size,
    mtimeSec,
    mtimeNsec,
    link,
    major,
    minor,
    xattrs,
    checksum,
    offset,
    implied,
    opaque,
    ...(sparse !== undefined && { sparse }),
  };
}

function decodeSegments(reader: ByteReader, size: number, where: string): Segment[] {
  const segments: Segment[] = [];
  let end = 0;
  for (let left = reader.uint(); left > 0; left -= 1) {
    const gap = reader.uint();
    const [offset, length] = [end + gap, reader.uint()];
    end = offset + length;
    // as the tar reader gives them: adjacent pieces are one, and none is empty
    if (length === 0 || end > size || (gap === 0 && segments.length > 0))
      throw damaged(where, "it has a malformed map of a sparse file");
    segments.push({ offset, length });
  }
  return segments;
}

function sharedLength(a: string, b: string): number {
  const limit = Math.min(a.length, b.length);
  let length = 0;
  while (length < limit && a.charCodeAt(length) === b.charCodeAt(length)) length += 1;
  return length;
}

function damaged(where: string, why: string): AppError {
  return new AppError("layer-corrupt", `Cannot read the entry index ${where}: ${why}`, {
    hint: "remove the image and pull it again; the layer is then unpacked anew",
  });
}
