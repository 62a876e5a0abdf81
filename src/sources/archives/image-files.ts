/**
 * ImageFiles: the files of which an image archive or layout consists, whether they lie in a tar that is read by seeking or
 * in a directory. Every reader of a format works on this noun, and nothing that it asks for can lie outside.
 */
import { posix } from "node:path";
import { AppError } from "../../errors.ts";
import { printable } from "../../image/remote-text.ts";
import type { FileRange } from "../source.ts";

export interface ImageFiles extends AsyncDisposable {
  /** For messages: `archive /x/app.tar`, `directory /x/app`. */
  readonly what: string;
  /** Where it is, for people: absolute, or `standard input`. */
  readonly path: string;
  /** First components of all names. */
  readonly topLevel: readonly string[];
  /** All of it as one uncompressed tar; absent for a directory. */
  readonly whole?: FileRange;
  /** Whether there is anything of that name; a link counts whatever it leads to. */
  has(name: string): Promise<boolean>;
  /** Where the file `name` is; links are followed, inside. Throws AppError `archive-invalid`. */
  range(name: string): Promise<FileRange>;
  /** The content of a small file. Throws AppError `archive-invalid`, also where it is larger than `maxBytes`. */
  read(name: string, maxBytes: number): Promise<Buffer>;
}

/** No archive of images has more; what is counted is kept in memory. */
export const MAX_ENTRIES = 200_000;

/** Bytes; manifest.json, index.json and repositories name images and files, and a few thousand of them fit. */
export const MAX_LIST_BYTES = 4 * 1024 * 1024;

/** What to do about bytes that are not what they should be. */
export const DAMAGED = "it was damaged on its way here, or changed since: copy or save it again";

/** The one spelling of a name; undefined when it is absolute or climbs out. */
export function nameInside(name: string): string | undefined {
  if (name.includes("\0")) return undefined;
  const normal = posix.normalize(name).replace(/\/+$/, "");
  return normal.startsWith("/") || normal === ".." || normal.startsWith("../") ? undefined : normal;
}

/** A name from an archive, for messages. */
export function shownName(name: string): string {
  return `"${printable(name, 200)}"`;
}

/** `what` as in ImageFiles. */
export function archiveInvalid(what: string, why: string, facts: { hint?: string; cause?: unknown } = {}): AppError {
  const hint = facts.hint ?? "write it again with docker save, podman save or skopeo copy";
  return new AppError("archive-invalid", `Cannot use ${what}: ${why}`, { hint, cause: facts.cause });
}

export function missingFile(what: string, name: string): AppError {
  return archiveInvalid(what, `it has no ${shownName(name)}, although it names it`);
}
