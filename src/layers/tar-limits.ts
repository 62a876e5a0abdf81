/**
 * What one archive may put into memory. Everything else of it goes through; these wait for the entry that they are about,
 * or stay in the entry index. Tars that programs write are far below, so that there is nothing to configure.
 */
import { AppError } from "../errors.ts";

/** Of one PAX header, long name or long link, and of all global records together (archive/tar has the same limit). */
export const MAX_EXTENSION = 1024 * 1024;

/** Records of all global headers. Git writes one, with the commit. */
export const MAX_GLOBALS = 1024;

/** Pieces of all sparse files. */
export const MAX_PIECES = 1024 * 1024;

/**
 * Names and values of all extended attributes, and what each costs beside them (a string, a Buffer and the pair), as often
 * as entries have them: the index keeps them for each. Signatures (security.ima) of 100 000 files are a third of it.
 */
export const MAX_XATTRS = 256 * 1024 * 1024;
export const XATTR_COST = 256;

/** Of one entry. Linux lists 64 KiB of names, and few file systems take a hundred. */
export const MAX_ENTRY_XATTRS = 1000;

export function tooManyPieces(): AppError {
  return beyond(`sparse files of more than ${MAX_PIECES} pieces together`);
}

export function tooManyXattrs(): AppError {
  return beyond(`extended attributes of more than ${MAX_XATTRS} bytes together`);
}

export function tooManyEntryXattrs(): AppError {
  return beyond(`an entry with more than ${MAX_ENTRY_XATTRS} extended attributes`);
}

export function tooManyGlobals(): AppError {
  return beyond(`global PAX headers with more than ${MAX_GLOBALS} records or ${MAX_EXTENSION} bytes`);
}

export function tooLongExtension(sizeBytes: number): AppError {
  return beyond(`an extension header of ${sizeBytes} bytes, more than ${MAX_EXTENSION}`);
}

function beyond(what: string): AppError {
  return new AppError("layer-too-large", `Cannot unpack a layer: it has ${what}`, {
    hint: "no program writes such a tar for an image; it is hostile, or damaged",
  });
}
