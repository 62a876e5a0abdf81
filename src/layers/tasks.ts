/**
 * What is asked of an extraction worker, and what it answers. Plain data: it crosses a thread boundary.
 */
import type { MessagePort } from "node:worker_threads";
import type { Digest } from "../../store/index.ts";
import type { LayerLimits } from "./limits.ts";

/** Bytes of one layer: a range of a file that the worker reads itself, or chunks that come over a port. */
export type LayerBytes =
  | { readonly file: { readonly path: string; readonly offset: number; readonly sizeBytes: number } }
  | { readonly port: MessagePort };

export interface UnpackTask {
  readonly kind: "unpack";
  readonly diffId: Digest;
  readonly bytes: LayerBytes;
  /** The transported form, which is hashed on its way unless its digest is the DiffID. */
  readonly blob: { readonly digest: Digest; readonly sizeBytes: number };
  /** Where the transported bytes are kept as well, and how many of them are there already. */
  readonly ingest?: { readonly path: string; readonly offset: number };
  readonly fsPath: string;
  readonly indexPath: string;
  readonly privileged: boolean;
  readonly limits: LayerLimits;
}

export interface UnpackResult {
  readonly blob: { readonly digest: Digest; readonly size: number } | undefined;
  readonly entryCount: number;
  /** Bytes of file content. */
  readonly sizeBytes: number;
  readonly markersRefused: number;
}

/** One layer of a stack: its tree and its entry index. */
export interface StackLayer {
  readonly fsPath: string;
  readonly indexPath: string;
}

export interface FixUpTask {
  readonly kind: "fix-up";
  /** Base first. */
  readonly layers: readonly StackLayer[];
  readonly fsPath: string;
  readonly indexPath: string;
  /** False when the layers' trees are not what overlayfs could stack; then only the facts are wanted. */
  readonly stackable: boolean;
}

export interface CopyTask {
  readonly kind: "copy";
  readonly layers: readonly StackLayer[];
  readonly path: string;
  readonly privileged: boolean;
}

/** Flushes the file system that `path` is on: syncfs(2), which takes its time. */
export interface SyncTask {
  readonly kind: "sync";
  readonly path: string;
}

export type Task = UnpackTask | FixUpTask | CopyTask | SyncTask;

export type FromWorker =
  | { readonly type: "progress"; readonly doneBytes: number }
  | { readonly type: "done"; readonly result: unknown }
  | { readonly type: "failed"; readonly error: SerializedError };

export interface SerializedError {
  readonly name: string;
  readonly message: string;
  readonly code: string | undefined;
  readonly hint: string | undefined;
  readonly details: Readonly<Record<string, unknown>> | undefined;
  readonly stack: string | undefined;
}
