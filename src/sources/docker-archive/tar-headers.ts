/**
 * The table of contents of a plain tar file, read by seeking from header to header: bodies are never read, however large.
 *
 * tar-stream decodes the headers. It is given each one alone, together with the long-name and PAX records that belong to
 * it, and is thrown away before it would ask for the body.
 */
import type { FileHandle } from "node:fs/promises";
import { extract, type Header } from "tar-stream";
import { AppError } from "../../errors.ts";

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
const MAX_ENTRIES = 200_000;
/** PATH_MAX: no archive of images has longer ones, and all of them are kept in memory. */
const MAX_NAME_BYTES = 4096;
/** Typeflags of records that only describe the entry behind them: PAX (x, g), GNU long name and long link (L, K). */
const EXTENSIONS = new Set(["x", "g", "L", "K", "N"]);

/** Yields every entry in order. Throws AppError `archive-invalid` for what is no tar or ends too early. */
export async function* walkTarHeaders(
  file: FileHandle,
  path: string,
  fileBytes: number,
  signal?: AbortSignal,
): AsyncGenerator<ArchiveEntry> {
  let position = 0;
  for (let count = 0; position < fileBytes; count += 1) {
    signal?.throwIfAborted();
    if (count >= MAX_ENTRIES) throw archiveInvalid(path, `it has more than ${MAX_ENTRIES} entries`);
    const found = await readEntryHeader(file, path, position);
    if (found === undefined) return;
    const { header, bodyOffset } = found;
    const sizeBytes = header.type === "directory" ? 0 : header.size;
    if (!Number.isSafeInteger(sizeBytes) || bodyOffset + padded(sizeBytes) > fileBytes) {
      throw archiveInvalid(path, `it is truncated: ${JSON.stringify(header.name)} goes on behind its end`);
    }
    const { name } = header;
    if (name.length > MAX_NAME_BYTES || (header.linkname ?? "").length > MAX_NAME_BYTES) {
      throw archiveInvalid(path, `it has a name of more than ${MAX_NAME_BYTES} bytes`);
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
async function readEntryHeader(file: FileHandle, path: string, start: number): Promise<FoundHeader | undefined> {
  const blocks: Buffer[] = [];
  let position = start;
  for (;;) {
    const block = await readExactly(file, path, position, BLOCK);
    if (block.every((byte) => byte === 0)) {
      if (blocks.length > 0) throw archiveInvalid(path, "an extension header has no entry behind it");
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
    if (!(total <= MAX_EXTENSION_BYTES)) throw archiveInvalid(path, "an extension header is too long or malformed");
    blocks.push(await readExactly(file, path, position, padded(size)));
    position += padded(size);
  }
  return { header: await decode(Buffer.concat(blocks), path), bodyOffset: position };
}

/** `blocks` ends with the header of an entry. What tar-stream reads as something else has no end there: it fails then. */
async function decode(blocks: Buffer, path: string): Promise<Header> {
  const { promise, resolve, reject } = Promise.withResolvers<Header>();
  const parser = extract();
  parser.on("entry", (header, body) => {
    // destroying the parser below fails the body, which nobody reads
    body.on("error", () => {});
    resolve(header);
  });
  parser.on("error", (error: Error) => reject(archiveInvalid(path, "it is no tar file, or is damaged", error)));
  parser.on("close", () => reject(archiveInvalid(path, "it has a header that is none of an entry")));
  parser.end(blocks);
  try {
    return await promise;
  } finally {
    parser.destroy();
  }
}

/** Throws AppError `archive-invalid` when the file ends before. */
export async function readExactly(file: FileHandle, path: string, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  let done = 0;
  while (done < length) {
    const { bytesRead } = await file.read(buffer, done, length - done, position + done);
    if (bytesRead === 0) throw archiveInvalid(path, "it is truncated");
    done += bytesRead;
  }
  return buffer;
}

function typeOf(header: Header): ArchiveEntry["type"] {
  if (header.type === "contiguous-file") return "file";
  const known = ["file", "symlink", "link", "directory"] as const;
  return known.find((type) => type === header.type) ?? "other";
}

function padded(size: number): number {
  return Math.ceil(size / BLOCK) * BLOCK;
}

export function archiveInvalid(path: string, why: string, cause?: unknown): AppError {
  return new AppError("archive-invalid", `Cannot use archive ${path}: ${why}`, {
    hint: "write it again with docker save, or skopeo copy … docker-archive:PATH",
    cause,
  });
}
