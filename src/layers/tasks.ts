/**
 * What is asked of an extraction worker, and what it answers. Plain data: it crosses a thread boundary.
 */
import type { MessagePort } from "node:worker_threads";
import type { Digest, DigestAlgorithm } from "../../store/index.ts";
import type { Share } from "./copy-tree.ts";
import type { LayerLimits } from "./limits.ts";
import type { PartOptions } from "./part.ts";

/** A range of a file that the worker reads itself. */
export interface FileRange {
  readonly path: string;
  readonly offset: number;
  readonly sizeBytes: number;
}

/**
 * Bytes that come in batches: over the port comes where each lies in the memory, and `null` for a complete end; when it is
 * used up, its offset goes back. The worker that takes the task says so on the port first (`TAKEN`).
 */
export interface PortBytes {
  readonly port: MessagePort;
  readonly memory: SharedArrayBuffer;
}

export type Batch = readonly [offset: number, length: number];

/** Bytes of one layer. */
export type LayerBytes = { readonly file: FileRange } | PortBytes;

export const TAKEN = "taken";

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
  /** When not all of the tar is the tree. */
  readonly part?: PartOptions;
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
  /** The shares of the content may be written at once; `finish` comes after all of them. */
  readonly stage: "content" | "finish" | "all";
  readonly share: Share;
}

/** Flushes the file system that `path` is on: syncfs(2), which takes its time. */
export interface SyncTask {
  readonly kind: "sync";
  readonly path: string;
}

/** Bytes become the content of an ingest, as they are. */
export interface StoreTask {
  readonly kind: "store";
  readonly bytes: LayerBytes;
  readonly ingest: { readonly path: string; readonly offset: number };
  /** When it is known before. */
  readonly digest: Digest | undefined;
  readonly sizeBytes: number | undefined;
}

export interface StoreResult {
  readonly digest: Digest;
  readonly size: number;
}

/** Reads a tar from its first byte to its last, without unpacking it. */
export interface ScanTask {
  readonly kind: "scan";
  readonly file: FileRange;
  readonly algorithm: DigestAlgorithm;
  /** Names of files whose content is wanted, and how many bytes they may have. */
  readonly documents: Readonly<Record<string, number>>;
  readonly limits: LayerLimits;
}

export interface ScanResult {
  /** Of the uncompressed tar. */
  readonly digest: Digest;
  readonly sizeBytes: number;
  readonly entryCount: number;
  readonly documents: ReadonlyMap<string, Uint8Array>;
  readonly topLevel: readonly string[];
}

/** Writes what bytes are uncompressed into a new file. */
export interface ExpandTask {
  readonly kind: "expand";
  readonly bytes: LayerBytes;
  readonly path: string;
  /** For messages. */
  readonly what: string;
  readonly maxBytes: number;
  readonly maxRatio?: number;
}

export interface ExpandResult {
  readonly sizeBytes: number;
}

export type Task = UnpackTask | FixUpTask | CopyTask | SyncTask | StoreTask | ScanTask | ExpandTask;

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
