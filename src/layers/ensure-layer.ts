/**
 * `ensureLayer`: when it returns, the layer is unpacked, verified and committed — by us now, by another process while we
 * waited, or long ago. Two commit points, in this order: the blob (if it is kept), then the layer.
 */
import { MessageChannel } from "node:worker_threads";
import type { Digest, Ingest, Layer, Lease, StagedLayer, Store } from "../../store/index.ts";
import { toAppError } from "../errors.ts";
import type { Emit } from "../events.ts";
import { feedLayer, type OpenStream, PortFeed } from "./feed.ts";
import { DEFAULT_LIMITS, type LayerLimits } from "./limits.ts";
import type { LayerBytes, UnpackResult } from "./tasks.ts";
import { waitTurn } from "./wait-turn.ts";
import type { WorkerPool } from "./worker-pool.ts";

/** Where a layer comes from, as a source describes it; structural, since layers know nothing of sources. */
export interface LayerOrigin {
  readonly blob: { readonly digest: Digest; readonly size: number };
  readonly diffId: Digest;
  readonly keepBlob: boolean;
  readonly bytes:
    | { readonly file: { readonly path: string; readonly offset: number; readonly sizeBytes: number } }
    | { readonly open: OpenStream };
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
    emit({ type: "layer", diffId: origin.diffId, state, sizeBytes: origin.blob.size, ...position });
  for (;;) {
    const claim = await waitTurn(
      () => store.layers.stage({ key: origin.diffId, kind: "layer", lease }),
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

/** Undefined when bytes that an earlier attempt had left were bad: they are gone now, and it is worth another attempt. */
async function bringIn(origin: LayerOrigin, staged: StagedLayer, context: EnsureContext): Promise<Layer | undefined> {
  const { store, lease, signal } = context;
  if ("file" in origin.bytes)
    return commit(staged, await unpack(origin, origin.bytes, undefined, staged, context), context);
  if (!origin.keepBlob) return await download(origin, origin.bytes.open, staged, undefined, context);
  const wanted = { digest: origin.blob.digest, size: origin.blob.size, lease };
  const claim = await waitTurn(() => store.blobs.ingest(wanted), signal);
  try {
    if (claim.state === "present") {
      const file = { path: claim.blob.path, offset: 0, sizeBytes: claim.blob.size };
      return commit(staged, await unpack(origin, { file }, undefined, staged, context), context);
    }
    using ingest = claim.ingest;
    return await download(origin, origin.bytes.open, staged, ingest, context);
  } catch (error) {
    if (toAppError(error).kind !== "integrity") throw error;
    const keptBytesAreBad =
      claim.state === "present" ? !store.blobs.recheck(claim.blob.digest) : claim.ingest.offset > 0;
    if (keptBytesAreBad) return undefined;
    throw error;
  }
}

async function download(
  origin: LayerOrigin,
  open: OpenStream,
  staged: StagedLayer,
  ingest: Ingest | undefined,
  context: EnsureContext,
): Promise<Layer> {
  const { port1, port2 } = new MessageChannel();
  const failed = new AbortController();
  const signal = AbortSignal.any([context.signal, failed.signal]);
  try {
    const feeding = feedLayer({
      ...origin,
      open,
      port: new PortFeed(port1, signal),
      start: ingest?.offset ?? 0,
      emit: context.emit,
      signal,
    });
    // whichever fails first stops the other; its error is the one that is told
    feeding.catch((error: unknown) => failed.abort(error));
    const unpacking = unpack(origin, { port: port2 }, ingest, staged, { ...context, signal });
    unpacking.catch((error: unknown) => failed.abort(error));
    // both have stopped before anything is given up that they write to
    const [unpacked] = await Promise.allSettled([unpacking, feeding]);
    context.signal.throwIfAborted();
    failed.signal.throwIfAborted();
    const result = (unpacked as PromiseFulfilledResult<UnpackResult>).value;
    if (ingest !== undefined && result.blob !== undefined) ingest.commit(result.blob); // commit point 1: the blob
    return commit(staged, result, context);
  } catch (error) {
    // what does not verify must not be taken up again
    if (toAppError(error).kind === "integrity") ingest?.discard();
    throw error;
  } finally {
    port1.close();
  }
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
    fsPath: staged.fsPath,
    indexPath: staged.indexPath,
    privileged,
    limits: context.limits ?? DEFAULT_LIMITS,
  } as const;
  return pool.run(task, {
    signal,
    onProgress: (doneBytes) => emit({ type: "bytes", diffId: origin.diffId, doneBytes, sizeBytes: origin.blob.size }),
    transfer: "port" in bytes ? [bytes.port] : [],
  });
}

function commit(staged: StagedLayer, result: UnpackResult, context: EnsureContext): Layer {
  const facts = { stackable: context.privileged && result.markersRefused === 0 };
  return staged.commit({ sizeBytes: result.sizeBytes, entryCount: result.entryCount, facts }); // commit point 2: the layer
}
