/**
 * `ensureLayer`: when it returns, the layer is unpacked, verified and committed — by us now, by another process while we
 * waited, or long ago. Two commit points, in this order: the blob (if it is kept), then the layer.
 */
import type { Digest, Ingest, Layer, Lease, StagedLayer, Store } from "../../store/index.ts";
import { toAppError } from "../errors.ts";
import type { Emit } from "../events.ts";
import { feedWorker } from "./feed.ts";
import { fetchToPort, type OpenStream } from "./fetch.ts";
import { DEFAULT_LIMITS, type LayerLimits } from "./limits.ts";
import type { PartOptions } from "./part.ts";
import { reworded } from "./reword.ts";
import type { FileRange, LayerBytes, UnpackResult } from "./tasks.ts";
import { waitTurn } from "./wait-turn.ts";
import type { WorkerPool } from "./worker-pool.ts";

/** Where a layer comes from, as a source describes it; structural, since layers know nothing of sources. */
export interface LayerOrigin {
  readonly blob: { readonly digest: Digest; readonly size: number };
  readonly diffId: Digest;
  readonly keepBlob: boolean;
  readonly bytes:
    | { readonly file: FileRange }
    | {
        readonly open: OpenStream;
        /** Told that the bytes were bad; true when the next `open` asks somebody else. */
        readonly distrust?: () => boolean;
      };
  /** When the tree is not all of the tar: what it is, and the key under which it is kept. */
  readonly part?: PartOptions & { readonly key: Digest };
  /** What it is and where it comes from, for messages. */
  readonly what?: string;
}

export interface EnsureContext {
  readonly store: Store;
  readonly pool: WorkerPool;
  readonly lease: Lease;
  readonly emit: Emit;
  readonly signal: AbortSignal;
  /** Whether owners, devices and overlayfs' markers can be set: root in the initial user namespace. */
  readonly privileged: boolean;
  readonly limits?: LayerLimits;
}

export async function ensureLayer(
  origin: LayerOrigin,
  position: { index: number; count: number },
  context: EnsureContext,
): Promise<Layer> {
  const { store, lease, emit, signal } = context;
  const report = (state: "cached" | "waiting" | "started" | "done"): void =>
    emit({ type: "layer", diffId: keyOf(origin), state, sizeBytes: origin.blob.size, ...position });
  for (;;) {
    const claim = await waitTurn(
      () => store.layers.stage({ key: keyOf(origin), kind: "layer", lease }),
      signal,
      () => report("waiting"),
    );
    if (claim.state === "present") {
      report("cached");
      return claim.layer;
    }
    using staged = claim.staged;
    report("started");
    const layer = await bringIn(origin, staged, context);
    if (layer === undefined) continue;
    report("done");
    return layer;
  }
}

/** Undefined when the bytes were bad and others may be had: what was there is gone then, and it is worth another attempt. */
async function bringIn(origin: LayerOrigin, staged: StagedLayer, context: EnsureContext): Promise<Layer | undefined> {
  if (!origin.keepBlob) {
    try {
      return await bring(origin, staged, undefined, context);
    } catch (error) {
      if (askAnother(origin, error, context)) return undefined;
      throw error;
    }
  }
  const { store, lease, signal } = context;
  const wanted = { digest: origin.blob.digest, size: origin.blob.size, lease };
  const claim = await waitTurn(() => store.blobs.ingest(wanted), signal);
  try {
    if (claim.state === "present") {
      const file = { path: claim.blob.path, offset: 0, sizeBytes: claim.blob.size };
      return commit(staged, await unpack(origin, { file }, undefined, staged, context), context);
    }
    using ingest = claim.ingest;
    return await bring(origin, staged, ingest, context);
  } catch (error) {
    if (toAppError(error).kind !== "integrity") throw error;
    const keptBytesAreBad =
      claim.state === "present" ? !store.blobs.recheck(claim.blob.digest) : claim.ingest.offset > 0;
    if (keptBytesAreBad || (claim.state === "claimed" && askAnother(origin, error, context))) return undefined;
    throw error;
  }
}

/** Whether the failure is one of the bytes that came, and somebody else may have better ones. */
function askAnother({ bytes, blob }: LayerOrigin, error: unknown, { emit }: EnsureContext): boolean {
  const failure = toAppError(error);
  // with `layer-corrupt` the bytes had their digest: everybody else has the same ones
  if (failure.kind !== "integrity" || failure.code === "layer-corrupt") return false;
  if (!("open" in bytes) || bytes.distrust?.() !== true) return false;
  emit({ type: "warning", message: `${failure.message}; asking somebody else for ${blob.digest}` });
  return true;
}

async function bring(
  origin: LayerOrigin,
  staged: StagedLayer,
  ingest: Ingest | undefined,
  context: EnsureContext,
): Promise<Layer> {
  try {
    const result =
      "file" in origin.bytes
        ? await unpack(origin, { file: fileFrom(origin.bytes.file, ingest?.offset ?? 0) }, ingest, staged, context)
        : await download(origin, origin.bytes.open, staged, ingest, context);
    if (ingest !== undefined && result.blob !== undefined) ingest.commit(result.blob); // commit point 1: the blob
    return commit(staged, result, context);
  } catch (error) {
    // what does not verify must not be taken up again
    if (toAppError(error).kind === "integrity") ingest?.discard();
    throw error;
  }
}

function fileFrom({ path, offset, sizeBytes }: FileRange, start: number): FileRange {
  return { path, offset: offset + start, sizeBytes: Math.max(0, sizeBytes - start) };
}

function download(
  origin: LayerOrigin,
  open: OpenStream,
  staged: StagedLayer,
  ingest: Ingest | undefined,
  context: EnsureContext,
): Promise<UnpackResult> {
  const { digest, size } = origin.blob;
  return feedWorker(
    (port, signal) =>
      fetchToPort({
        what: digest,
        sizeBytes: size,
        maxBytes: size,
        open,
        port,
        start: ingest?.offset ?? 0,
        emit: context.emit,
        signal,
      }),
    (bytes, signal) => unpack(origin, bytes, ingest, staged, { ...context, signal }),
    context.signal,
  );
}

function unpack(
  origin: LayerOrigin,
  bytes: LayerBytes,
  ingest: Ingest | undefined,
  staged: StagedLayer,
  context: EnsureContext,
): Promise<UnpackResult> {
  const { pool, signal, privileged, emit } = context;
  const task = {
    kind: "unpack",
    diffId: origin.diffId,
    bytes,
    blob: { digest: origin.blob.digest, sizeBytes: origin.blob.size },
    ...(ingest !== undefined && { ingest: { path: ingest.path, offset: ingest.offset } }),
    ...(origin.part !== undefined && { part: origin.part }),
    fsPath: staged.fsPath,
    indexPath: staged.indexPath,
    privileged,
    limits: context.limits ?? DEFAULT_LIMITS,
  } as const;
  const unpacked = pool.run(task, {
    signal,
    onProgress: (doneBytes) => emit({ type: "bytes", diffId: keyOf(origin), doneBytes, sizeBytes: origin.blob.size }),
    transfer: "port" in bytes ? [bytes.port] : [],
  });
  if (origin.what === undefined) return unpacked;
  return unpacked.catch((error: unknown) => {
    throw reworded(error, `unpack ${origin.what}`);
  });
}

function commit(staged: StagedLayer, result: UnpackResult, context: EnsureContext): Layer {
  const facts = { stackable: context.privileged && result.markersRefused === 0 };
  return staged.commit({ sizeBytes: result.sizeBytes, entryCount: result.entryCount, facts }); // commit point 2: the layer
}

/** Under which its tree is kept, and its events told. */
function keyOf({ diffId, part }: LayerOrigin): Digest {
  return part?.key ?? diffId;
}
