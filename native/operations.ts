/**
 * Mount operations as data, and their wire format: NUL-terminated fields, an empty field ends an operation.
 *
 * The keys are those of README.md's table. Paths are absolute, normal, and beneath an allowed root; the mount program
 * checks that, all of it before anything is done.
 */
import { NativeError } from "./errors.ts";

export interface MountFlags {
  readonly readonly?: boolean;
  readonly nosuid?: boolean;
  readonly nodev?: boolean;
  readonly noexec?: boolean;
}

export interface OverlayOperation extends MountFlags {
  readonly op: "overlay";
  readonly target: string;
  /** TOP first. At least two where there is no upper. */
  readonly lower: readonly string[];
  /** Both or neither; without them the overlay is read-only. */
  readonly upper?: string;
  readonly work?: string;
  /** `user.overlay.*` instead of `trusted.overlay.*`: what a user namespace may write. */
  readonly userxattr?: boolean;
  /** No syncs: the upper directory is worthless after a crash. */
  readonly volatile?: boolean;
  readonly xino?: "on" | "off" | "auto";
  readonly metacopy?: "on" | "off";
  readonly redirect_dir?: "on" | "off" | "follow" | "nofollow";
  readonly index?: "on" | "off";
  readonly nfs_export?: "on" | "off";
}

export interface BindOperation extends MountFlags {
  readonly op: "bind";
  readonly source: string;
  readonly target: string;
  /** With the mounts below the source, to which the flags apply too. */
  readonly recursive?: boolean;
}

/** Flags that are not named stay as they are. */
export interface RemountOperation extends MountFlags {
  readonly op: "remount";
  readonly target: string;
}

export interface TmpfsOperation extends MountFlags {
  readonly op: "tmpfs";
  readonly target: string;
  /** Bytes; half of the memory if not given. */
  readonly size?: number;
  /** Of the root directory; 0o755 if not given. */
  readonly mode?: number;
}

export interface PropagationOperation {
  readonly op: "propagation";
  readonly target: string;
  readonly mode: "private" | "slave" | "shared" | "unbindable" | "slave+shared";
}

export interface UnmountOperation {
  readonly op: "unmount";
  readonly target: string;
  /** Now, even if a process is inside; the mount itself ends when the last one leaves. */
  readonly detach?: boolean;
}

export type Operation =
  | OverlayOperation
  | BindOperation
  | RemountOperation
  | TmpfsOperation
  | PropagationOperation
  | UnmountOperation;

/** One line of the mount program's answer. */
export interface OperationResult {
  readonly index: number;
  readonly op: Operation["op"];
  readonly target: string;
  readonly ok: boolean;
  /** This line tells of taking an operation back. */
  readonly undo?: boolean;
  /** How it was done, where kernels differ. */
  readonly method?: string;
  readonly errno?: string;
  readonly message?: string;
  readonly hint?: string;
}

/** What the mount program reads at most. */
const LIMIT_BYTES = 1024 * 1024;

function formatValue(key: string, value: unknown): string {
  if (typeof value === "number") {
    if (!Number.isSafeInteger(value) || value < 0) {
      throw new NativeError("helper-refused", `Cannot send a mount operation: ${key} is ${value}, not a whole number`);
    }
    return key === "mode" ? value.toString(8) : String(value);
  }
  const text = String(value);
  if (text.includes("\0")) {
    throw new NativeError("helper-refused", `Cannot send a mount operation: ${key} has a NUL character`);
  }
  return text;
}

function formatOperation(operation: Operation): string {
  const fields = [formatValue("op", operation.op)];
  for (const [key, value] of Object.entries(operation) as [string, unknown][]) {
    if (key === "op" || value === undefined) continue;
    for (const item of Array.isArray(value) ? (value as unknown[]) : [value]) {
      fields.push(`${formatValue("key", key)}=${formatValue(key, item)}`);
    }
  }
  return `${fields.join("\0")}\0\0`;
}

/** The bytes of a request. Throws `helper-refused` for what has no form on the wire. */
export function formatRequest(operations: readonly Operation[]): Buffer {
  const bytes = Buffer.from(operations.map(formatOperation).join(""), "utf8");
  if (bytes.length > LIMIT_BYTES) {
    throw new NativeError("helper-refused", `Cannot send ${operations.length} mount operations: they are over 1 MiB`, {
      hint: "send them in several requests",
    });
  }
  return bytes;
}
