/**
 * Every error a user can meet: one class, one table of codes.
 *
 * A code says what happened, its kind says what that means to a caller (HTTP status, exit code). The table is printed
 * in the README and a test keeps the two equal. `store/` and `native/` throw errors of their own with the same shape;
 * `toAppError` gives them a kind here, so that nothing below `src/` needs to know of exit codes.
 */

import type { StoreErrorCode } from "../store/index.ts";

export const KINDS = {
  internal: { http: 500, exit: 1 },
  invalid: { http: 400, exit: 2 },
  "not-found": { http: 404, exit: 3 },
  denied: { http: 403, exit: 4 },
  conflict: { http: 409, exit: 5 },
  integrity: { http: 422, exit: 6 },
  unavailable: { http: 503, exit: 7 },
  unsupported: { http: 501, exit: 8 },
  exhausted: { http: 507, exit: 9 },
  partial: { http: 207, exit: 10 },
  canceled: { http: 499, exit: 130 },
} as const;

export type ErrorKind = keyof typeof KINDS;

/** code → [kind, what it means]. Codes are stable: scripts and agents match on them. */
export const ERROR_CODES = {
  usage: ["invalid", "the command line is not one that rootwright understands"],
  "config-invalid": ["invalid", "a configuration file, variable or flag has a bad value"],
  "reference-invalid": ["invalid", "an image reference does not parse; the message says which part"],
  "platform-invalid": ["invalid", "a platform is not os/arch[/variant]"],
  "manifest-invalid": ["integrity", "a manifest, index or image configuration is not what the specification says"],
  "archive-invalid": ["integrity", "an image archive is damaged or of no known layout"],
  "credentials-invalid": ["invalid", "a credentials file cannot be read or parsed"],
  "aci-invalid": [
    "integrity",
    "an ACI or its manifest is not what the Appc specification says, or not what was asked for",
  ],
  "dependency-cycle": ["integrity", "an Appc image depends on itself"],
  "image-unknown": ["not-found", "no such repository, tag, manifest or archive entry"],
  "platform-unknown": ["not-found", "the image has no manifest for the asked platform"],
  "archive-ambiguous": ["invalid", "an archive or layout holds several images, and which one is meant is not said"],
  "archive-missing": ["not-found", "there is no archive at that path"],
  "registry-denied": ["denied", "the registry refused these credentials, or the lack of them"],
  "registry-error": ["unavailable", "the registry answered with an error"],
  "registry-unreachable": ["unavailable", "no connection, a time-out, or a connection that broke"],
  "provider-disabled": ["denied", "images of that type are not taken here (image_providers)"],
  "registry-blocked": ["denied", "registries.conf blocks that registry"],
  "registry-insecure": [
    "denied",
    "plain http where it may not be spoken, or an address of this machine that somebody elsewhere led to",
  ],
  "blob-corrupt": ["integrity", "bytes that were received do not have the promised digest or size"],
  "layer-corrupt": ["integrity", "an unpacked layer does not have the DiffID that the image configuration promises"],
  "layer-invalid": ["integrity", "a layer is not a tar archive, is truncated, or holds an entry that no tree can have"],
  "layer-escape": ["integrity", "an entry of a layer names a place outside the tree"],
  "layer-too-large": ["exhausted", "a layer goes beyond a configured limit"],
  "layer-unsupported": ["unsupported", "a layer uses a compression or entry type that is not supported"],
  "media-type-unsupported": ["unsupported", "a manifest or layer of a kind that is no container image"],
  "backend-unsupported": ["unsupported", "this machine or store cannot use that backend"],
  "backend-denied": ["denied", "that backend needs a privilege that this process does not have"],
  "backend-layers": ["unsupported", "that backend cannot show an image of so many layers"],
  "privilege-missing": ["denied", "the kernel does not let this user do that"],
  "hadoop-failed": ["unavailable", "the Hadoop client failed, or WebHDFS answered with an error"],
  "helper-missing": ["unsupported", "the native parts are not built"],
  "image-ambiguous": ["invalid", "a name fits several images in the store, and one must be meant"],
  "image-not-cached": ["not-found", "the image is not in the store"],
  "partial-failure": ["partial", "some of several things failed; each is named"],
  canceled: ["canceled", "interrupted"],
  internal: ["internal", "a bug in rootwright"],
  // what store/ and native/ throw under the same codes
  "invalid-digest": ["invalid", "a digest is not sha256:<64 hex> or sha512:<128 hex>"],
  "store-not-writable": ["denied", "the store directory cannot be written by this user"],
  "store-not-a-store": ["invalid", "the store directory holds something else"],
  "store-newer": ["unsupported", "the store was made by a newer rootwright"],
  "store-busy": ["unavailable", "the index stayed locked by another process"],
  "store-io": ["unavailable", "the disk or the file system of the store failed"],
  "database-not-a-database": ["integrity", "index.db is not a SQLite database"],
  "database-corrupt": ["integrity", "index.db is damaged"],
  "disk-full": ["exhausted", "no space or no inodes are left on the store's file system"],
  "blob-digest-mismatch": ["integrity", "stored or received bytes do not have their digest"],
  "blob-size-mismatch": ["integrity", "stored or received bytes do not have their size"],
  "blob-missing": ["not-found", "a blob is not in the store"],
  "blob-too-large": ["integrity", "a stored document is larger than it can be"],
  "layer-in-use": ["conflict", "a layer is part of a provisioned root filesystem"],
  "layer-missing": ["not-found", "a layer is not in the store"],
  "layer-invalid-facts": ["internal", "a record about a layer cannot be stored"],
  "image-not-found": ["not-found", "no image of that name is in the store"],
  "image-invalid": ["invalid", "a name or platform of an image cannot be stored"],
  "rootfs-exists": ["conflict", "a root filesystem with that id exists"],
  "rootfs-not-found": ["not-found", "there is no root filesystem with that id"],
  "rootfs-invalid-id": ["invalid", "a root filesystem id has characters that are not allowed"],
  "rootfs-busy": ["conflict", "another process prepares or destroys that root filesystem"],
  "rootfs-mounted": ["conflict", "something is still mounted inside what is to be removed"],
  "lease-lost": ["conflict", "a lease was released while it was needed"],
  "helper-refused": ["internal", "the mount program refused a request as malformed"],
  "operation-failed": ["internal", "a mount operation failed and was rolled back"],
} as const satisfies Record<string, readonly [ErrorKind, string]> &
  Record<StoreErrorCode, readonly [ErrorKind, string]>;

export type ErrorCode = keyof typeof ERROR_CODES;

export interface ErrorFacts {
  readonly hint?: string;
  readonly details?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

/** The only error that leaves `src/`. `message` follows "Cannot <do> <what>: <why>"; `hint` says what to do about it. */
export class AppError extends Error {
  readonly code: ErrorCode;
  readonly kind: ErrorKind;
  readonly hint: string | undefined;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, facts: ErrorFacts = {}) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.name = "AppError";
    this.code = code;
    this.kind = ERROR_CODES[code][0];
    this.hint = facts.hint;
    this.details = facts.details ?? {};
  }

  get exitCode(): number {
    if (this.code === "canceled" && this.details["signal"] === "SIGTERM") return 143;
    return KINDS[this.kind].exit;
  }
}

export function isErrorCode(code: unknown): code is ErrorCode {
  return typeof code === "string" && Object.hasOwn(ERROR_CODES, code);
}

/** Gives any thrown value a code: AppErrors pass, errors with a known code keep it, aborts become `canceled`. */
export function toAppError(error: unknown): AppError {
  if (error instanceof AppError) return error;
  // what went wrong first is what is told; what failed while cleaning up after it is not
  if (error instanceof SuppressedError) return toAppError(error.suppressed);
  if (!(error instanceof Error))
    return new AppError("internal", `Unexpected failure: ${String(error)}`, { cause: error });
  if (error.name === "AbortError") return new AppError("canceled", "Interrupted", { cause: error });
  const shaped = error as Error & { code?: unknown; hint?: unknown; details?: unknown };
  const facts: ErrorFacts = {
    cause: error,
    ...(typeof shaped.hint === "string" && { hint: shaped.hint }),
    ...(isRecord(shaped.details) && { details: shaped.details }),
  };
  if (isErrorCode(shaped.code)) return new AppError(shaped.code, error.message, facts);
  if (shaped.code === "ENOSPC" || shaped.code === "EDQUOT") {
    return new AppError("disk-full", error.message, { ...facts, hint: "free space, or point --root at a larger disk" });
  }
  if (shaped.code === "EPERM") return new AppError("privilege-missing", error.message, facts);
  if (shaped.code === "EROFS" || shaped.code === "EACCES") {
    return new AppError("store-not-writable", error.message, {
      hint: "check who owns the store, or use another --root",
      ...facts,
    });
  }
  return new AppError("internal", error.message, facts);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
