/**
 * The table of contents of a plain tar file, read by seeking from header to header: bodies are never read, however large.
 *
 * tar-stream decodes the headers. It is given each one alone, together with the long-name and PAX records that belong to
 * it, and is thrown away before it would ask for the body.
 */
import type { FileHandle } from "node:fs/promises";
import { extract, type Header } from "tar-stream";
import type { AppError } from "../../errors.ts";
import type { FileRange } from "../source.ts";
import { archiveInvalid, MAX_ENTRIES, shownName } from "./image-files.ts";

export interface ArchiveEntry {
  /** As written in the archive. */
  readonly name: string;
  readonly type: "file" | "symlink" | "link" | "directory" | "other";
  /** Target of a symlink or hard link. */
  readonly linkname: string;
  /** Where the body is in the file, and its length, in bytes. */
  readonly offset: number;
  readonly sizeBytes: number;
}

const BLOCK = 512;
/** Long names and PAX records; nothing that an image archive needs comes near. */
const MAX_EXTENSION_BYTES = 1024 * 1024;
/** PATH_MAX: no archive of images has longer ones. */
const MAX_NAME_BYTES = 4096;
/** All of them are kept in memory. */
const MAX_ALL_NAMES_BYTES = 64 * 1024 * 1024;
/** Typeflags of records that only describe the entry behind them: PAX (x, g), GNU long name and long link (L, K). */
const EXTENSIONS = new Set(["x", "g", "L", "K", "N"]);

/** Types of entries that have no body (POSIX pax, "ustar Interchange Format"). Old tars gave directories a size. */
const BODILESS = new Set(["symlink", "link", "character-device", "block-device", "fifo"]);

/** A tar in an open file: `range` says which part of the file it is, `what` names it for messages. */
export interface TarFile {
  readonly file: FileHandle;
  readonly range: FileRange;
  readonly what: string;
}

/** Yields every entry in order; offsets count from the start of the file. Throws AppError `archive-invalid`. */
export async function* walkTarHeaders(tar: TarFile, signal?: AbortSignal): AsyncGenerator<ArchiveEntry> {
  const { what, range } = tar;
  const end = range.offset + range.sizeBytes;
  if (range.sizeBytes < BLOCK) throw noTar(what);
  let position = range.offset;
  let allNamesBytes = 0;
  for (let count = 0; position < end; count += 1) {
    signal?.throwIfAborted();
    if (count >= MAX_ENTRIES) throw archiveInvalid(what, `it has more than ${MAX_ENTRIES} entries`);
    const found = await readEntryHeader(tar, position);
    if (found === undefined) return;
    const { header, bodyOffset } = found;
    const sizeBytes = header.type === "directory" ? 0 : header.size;
    // some tools pass over so many bytes then, others do not: to them it would be another archive
    if (BODILESS.has(header.type ?? "") && sizeBytes !== 0) {
      throw archiveInvalid(what, `its entry ${shownName(header.name)} has a size, though it is no file`);
    }
    if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 0 || bodyOffset + padded(sizeBytes) > end) {
      throw archiveInvalid(what, `it is truncated: ${shownName(header.name)} goes on behind its end`);
    }
    const { name } = header;
    allNamesBytes += name.length + (header.linkname ?? "").length;
    if (allNamesBytes > MAX_ALL_NAMES_BYTES) {
      throw archiveInvalid(what, `its names are longer than ${MAX_ALL_NAMES_BYTES} bytes together`);
    }
    if (name.length > MAX_NAME_BYTES || (header.linkname ?? "").length > MAX_NAME_BYTES) {
      throw archiveInvalid(what, `it has a name of more than ${MAX_NAME_BYTES} bytes`);
    }
    yield { name, type: typeOf(header), linkname: header.linkname ?? "", offset: bodyOffset, sizeBytes };
    position = bodyOffset + padded(sizeBytes);
  }
}

interface FoundHeader {
  readonly header: Header;
  readonly bodyOffset: number;
}

/** Undefined at the end-of-archive marker. */
async function readEntryHeader(tar: TarFile, start: number): Promise<FoundHeader | undefined> {
  const { what } = tar;
  const blocks: Buffer[] = [];
  let position = start;
  for (;;) {
    const block = await readInside(tar, position, BLOCK);
    if (block.every((byte) => byte === 0)) {
      if (blocks.length > 0) throw archiveInvalid(what, "an extension header has no entry behind it");
      return undefined;
    }
    position += BLOCK;
    blocks.push(block);
    if (!EXTENSIONS.has(String.fromCharCode(block[156] ?? 0))) break;
    const size = Number.parseInt(
      block
        .toString("latin1", 124, 136)
        .trimStart()
        .replace(/[\0 ].*$/s, "") || "0",
      8,
    );
    const total = position - start + padded(size);
    if (!(total <= MAX_EXTENSION_BYTES)) throw archiveInvalid(what, "an extension header is too long or malformed");
    blocks.push(await readInside(tar, position, padded(size)));
    position += padded(size);
  }
  return { header: await decode(Buffer.concat(blocks), what), bodyOffset: position };
}

/** `blocks` ends with the header of an entry. What tar-stream reads as something else has no end there: it fails then. */
async function decode(blocks: Buffer, what: string): Promise<Header> {
  const { promise, resolve, reject } = Promise.withResolvers<Header>();
  const parser = extract();
  parser.on("entry", (header, body) => {
    // destroying the parser below fails the body, which nobody reads
    body.on("error", () => {});
    resolve(header);
  });
  parser.on("error", (error: Error) => reject(noTar(what, error)));
  parser.on("close", () => reject(archiveInvalid(what, "it has a header that is none of an entry")));
  parser.end(blocks);
  try {
    return await promise;
  } finally {
    parser.destroy();
  }
}

/** Bytes at an offset of the file. Throws AppError `archive-invalid` when the tar ends before. */
export async function readInside(tar: TarFile, position: number, length: number): Promise<Buffer> {
  const { file, range, what } = tar;
  const buffer = Buffer.alloc(length);
  let done = position + length > range.offset + range.sizeBytes ? -1 : 0;
  while (done >= 0 && done < length) {
    const { bytesRead } = await file.read(buffer, done, length - done, position + done);
    done = bytesRead === 0 ? -1 : done + bytesRead;
  }
  if (done < 0) throw archiveInvalid(what, "it is truncated");
  return buffer;
}

function noTar(what: string, cause?: unknown): AppError {
  return archiveInvalid(what, "it is no tar file, or is damaged", { cause });
}

function typeOf(header: Header): ArchiveEntry["type"] {
  if (header.type === "contiguous-file") return "file";
  const known = ["file", "symlink", "link", "directory"] as const;
  return known.find((type) => type === header.type) ?? "other";
}

function padded(size: number): number {
  return Math.ceil(size / BLOCK) * BLOCK;
}
