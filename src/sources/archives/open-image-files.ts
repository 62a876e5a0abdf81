/**
 * From a path, or a stream, to ImageFiles. A plain tar is read where it lies; what is compressed as a whole is expanded
 * first, because it cannot be read by seeking.
 */
import { stat } from "node:fs/promises";
import { AppError } from "../../errors.ts";
import { type Compression, compressionOf, MAGIC_BYTES } from "../../image/compression.ts";
import type { FileRange, ResolveContext } from "../source.ts";
import { openDirectoryFiles } from "./directory-files.ts";
import { archiveInvalid, type ImageFiles } from "./image-files.ts";
import { notRegular, openRegular, unreadable } from "./open-regular.ts";
import { readStart } from "./read-range.ts";
import { openTarFiles } from "./tar-files.ts";

/**
 * `path` is absolute; `shown` is what people call it, where that is something else. Throws AppErrors `archive-missing`,
 * `archive-invalid`, and what the workshop throws.
 */
export async function openImageFiles(path: string, context: ResolveContext, shown = path): Promise<ImageFiles> {
  const found = await stat(path).catch((error: unknown) => {
    throw unreadable(shown, error);
  });
  if (found.isDirectory()) {
    return await openDirectoryFiles(path).catch((error: unknown) => {
      throw error instanceof AppError ? error : unreadable(path, error);
    });
  }
  const names = { what: `archive ${shown}`, path: shown };
  // not opened even to see: that of a FIFO somebody may be waiting for
  if (!found.isFile()) throw notRegular(shown);
  const whole: FileRange = { path, offset: 0, sizeBytes: await sizeOf(path, shown) };
  if (whole.sizeBytes === 0) throw archiveInvalid(names.what, "it is empty");
  const compression = compressionOf(await readStart(whole, MAGIC_BYTES));
  if (compression === "none") return await openTarFiles(whole, names, context.signal);
  return await openTarFiles(await expand(whole, names.what, compression, context), names, context.signal);
}

/** The bytes of an archive, compressed or not; they are kept in a file while they are needed. */
export async function openStreamedFiles(
  stream: AsyncIterable<Uint8Array>,
  context: ResolveContext,
): Promise<ImageFiles> {
  const names = { what: "the archive on the standard input", path: "standard input" };
  const range = await expand(stream, names.what, "compressed", context);
  if (range.sizeBytes === 0) throw archiveInvalid(names.what, "it is empty");
  return await openTarFiles(range, names, context.signal);
}

async function expand(
  bytes: FileRange | AsyncIterable<Uint8Array>,
  what: string,
  compression: Compression | "compressed",
  { workshop, signal }: ResolveContext,
): Promise<FileRange> {
  signal?.throwIfAborted();
  try {
    const range = await workshop.expand(bytes, what);
    const again = compressionOf(await readStart(range, MAGIC_BYTES));
    if (again !== "none") throw archiveInvalid(what, `it is compressed twice; inside, it is ${again}`);
    return range;
  } catch (error) {
    // the workshop knows layers; here it was the archive around them
    if (!(error instanceof AppError) || error.code !== "layer-invalid") throw error;
    throw archiveInvalid(what, `its ${compression} stream is damaged or ends too early`, { cause: error });
  }
}

async function sizeOf(path: string, shown: string): Promise<number> {
  await using file = await openRegular(path, shown);
  return (await file.stat()).size;
}
