/**
 * What the store throws. A code says what happened; the message says what was tried, where, and why it failed; the hint
 * says what to do. No SQLite or file-system error leaves the store unexplained: `explainFileError` is its twin here,
 * `explainDatabaseError` in db.ts.
 */
import { statfsSync } from "node:fs";

/** Stable: callers and scripts match on them. */
export type StoreErrorCode =
  | "invalid-digest" // not sha256:<64 hex> or sha512:<128 hex>
  | "store-not-writable" // no permission, or a read-only file system
  | "store-not-a-store" // the directory is missing, or holds something else
  | "store-newer" // made by a newer rootwright
  | "store-busy" // the index stayed locked by another process
  | "store-io" // the disk or the file system failed
  | "database-not-a-database" // index.db is not SQLite
  | "database-corrupt" // index.db is damaged
  | "disk-full" // no space or no inodes left
  | "blob-digest-mismatch" // bytes do not have their digest
  | "blob-size-mismatch" // bytes do not have their size
  | "blob-missing" // a needed blob is not here
  | "blob-too-large" // a blob is bigger than the reader allows
  | "layer-missing" // a needed layer is not here
  | "layer-invalid-facts" // facts of a layer are no small JSON object
  | "layer-in-use" // a rootfs stands on it
  | "image-invalid" // an image's name or platform cannot be stored
  | "image-not-found"
  | "rootfs-exists"
  | "rootfs-not-found"
  | "rootfs-invalid-id"
  | "rootfs-busy" // another live process prepares or destroys it
  | "rootfs-mounted" // something is still mounted inside a tree that is to be removed
  | "lease-lost"; // a lease or a claim is not, or no longer, held

export interface StoreErrorFacts {
  readonly details?: Readonly<Record<string, unknown>>;
  readonly hint?: string;
  readonly cause?: unknown;
}

export class StoreError extends Error {
  readonly code: StoreErrorCode;
  readonly details: Readonly<Record<string, unknown>>;
  readonly hint: string | undefined;

  constructor(code: StoreErrorCode, message: string, facts: StoreErrorFacts = {}) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.name = "StoreError";
    this.code = code;
    this.details = facts.details ?? {};
    this.hint = facts.hint;
  }
}

/** The errno name of a file-system error, such as `ENOENT`; undefined for anything else. */
export function errnoOf(error: unknown): string | undefined {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  return typeof code === "string" && /^E[A-Z0-9]+$/.test(code) ? code : undefined;
}

/** Bytes that an ordinary user may still write where `path` lies; undefined when it cannot be asked. */
export function freeBytesAt(path: string): number | undefined {
  try {
    const { bavail, bsize } = statfsSync(path);
    return bavail * bsize;
  } catch {
    return undefined;
  }
}

export interface FileErrorContext {
  /** What was tried, to follow "Cannot": `write blob sha256:…`. */
  readonly doing: string;
  readonly path: string;
  /** A directory on the same file system, asked for free space when the disk is full. */
  readonly root: string;
  /** Bytes still to be written, when known. */
  readonly neededBytes?: number | undefined;
}

/** A file-system error as a StoreError. StoreErrors pass unchanged, and so do errors that are no file-system errors: those are bugs. */
export function explainFileError(error: unknown, context: FileErrorContext): unknown {
  const errno = errnoOf(error);
  if (error instanceof StoreError || errno === undefined) return error;
  const { doing, path } = context;
  switch (errno) {
    case "ENOSPC":
    case "EDQUOT":
      return diskFull(error, errno, context);
    case "EACCES":
    case "EPERM":
      return new StoreError("store-not-writable", `Cannot ${doing}: no permission for ${path}`, {
        details: { path, errno, uid: process.getuid?.() },
        hint: "run as the owner of the store, or choose a directory of your own with --root",
        cause: error,
      });
    case "EROFS":
      return new StoreError("store-not-writable", `Cannot ${doing}: ${path} is on a read-only file system`, {
        details: { path, errno },
        hint: "remount the file system writable, or choose another directory with --root",
        cause: error,
      });
    case "ENOTDIR":
    case "EEXIST":
    case "ENOENT":
    case "ENAMETOOLONG":
      return new StoreError(
        "store-not-a-store",
        `Cannot ${doing}: ${path} is not a directory, and cannot become one (${errno})`,
        {
          details: { path, errno },
          hint: "choose another directory with --root",
          cause: error,
        },
      );
    default:
      return new StoreError("store-io", `Cannot ${doing}: ${errno} at ${path}`, {
        details: { path, errno },
        hint: "check that directory and its disk",
        cause: error,
      });
  }
}

function diskFull(error: unknown, errno: string, { doing, path, root, neededBytes }: FileErrorContext): StoreError {
  const freeBytes = freeBytesAt(root);
  const needed = neededBytes === undefined ? "" : `, ${neededBytes} bytes are still needed`;
  const free = freeBytes === undefined ? "" : `, ${freeBytes} are free`;
  const why = errno === "EDQUOT" ? "the disk quota is used up" : "no space (or no inodes) left on the file system";
  return new StoreError("disk-full", `Cannot ${doing}: ${why} at ${path}${needed}${free}`, {
    details: { path, errno, neededBytes, freeBytes },
    hint: "remove images that are not needed (`rootwright rm`), or make the file system larger",
    cause: error,
  });
}

/** Runs `action` and explains the file-system error that it may throw. */
export function withFileErrors<T>(context: FileErrorContext, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw explainFileError(error, context);
  }
}
