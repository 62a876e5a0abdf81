/**
 * `keepBytes`: when it returns, bytes that came from outside are a blob, under the digest that they were promised to have or
 * turned out to have. A download that is broken off goes on where it stopped, also in another process.
 */
import type { Blob, Digest, Ingest, Lease, Store } from "../../store/index.ts";
import { AppError, toAppError } from "../errors.ts";
import type { Emit } from "../events.ts";
import { feedWorker } from "./feed.ts";
import { fetchToPort, type OpenStream } from "./fetch.ts";
import type { LayerLimits } from "./limits.ts";
import type { FileRange, StoreResult } from "./tasks.ts";
import { waitTurn } from "./wait-turn.ts";
import type { WorkerPool } from "./worker-pool.ts";

export interface KeepContext {
  readonly store: Store;
  readonly pool: WorkerPool;
  /** Holds what is kept. */
  readonly lease: Lease;
  readonly emit: Emit;
  readonly signal: AbortSignal;
  readonly limits: LayerLimits;
}

export interface Wanted {
  /** Names what is fetched, with all that tells one version of it from the next. */
  readonly key: string;
  /** When it is known before. */
  readonly digest?: Digest;
  readonly sizeBytes?: number;
  readonly open: OpenStream;
  /** For messages and progress. */
  readonly what: string;
}

export interface Kept {
  readonly digest: Digest;
  readonly file: FileRange;
}

/** Throws `blob-corrupt` for other bytes than were promised, `layer-too-large`, `disk-full`, and what `open` throws. */
export async function keepBytes(wanted: Wanted, context: KeepContext): Promise<Kept> {
  const { store, lease, emit, signal } = context;
  const { key, digest, what, sizeBytes } = wanted;
  const size = sizeBytes === undefined ? {} : { size: sizeBytes };
  const report = (state: "cached" | "waiting" | "started" | "done", doneBytes: number): void =>
    emit({ type: "download", what, state, doneBytes, ...(sizeBytes !== undefined && { sizeBytes }) });
  for (;;) {
    const claim = await waitTurn(
      () =>
        digest === undefined
          ? store.blobs.ingestUnnamed({ key, ...size, lease })
          : store.blobs.ingest({ digest, ...size, lease }),
      signal,
      () => report("waiting", 0),
    );
    if (claim.state === "present") {
      report("cached", claim.blob.size);
      return toKept(claim.blob);
    }
    using ingest = claim.ingest;
    report("started", ingest.offset);
    try {
      const blob = ingest.commit(await fetchInto(ingest, wanted, context));
      report("done", blob.size);
      return toKept(blob);
    } catch (error) {
      const failure = toAppError(error);
      // what is wrong must not be taken up again, nor what nobody will want
      if (failure.kind === "integrity" || failure.code === "layer-too-large") ingest.discard();
      if (failure.kind !== "integrity") throw error;
      // when part of it was here before, that may have been at fault
      if (ingest.offset === 0) throw asCorrupt(failure, what);
      emit({ type: "warning", message: `${failure.message}; fetching ${what} again from its start` });
    }
  }
}

function fetchInto(ingest: Ingest, wanted: Wanted, context: KeepContext): Promise<StoreResult> {
  const { pool, emit, limits } = context;
  const { what, digest, sizeBytes, open } = wanted;
  const total = sizeBytes === undefined ? {} : { sizeBytes };
  const { path, offset } = ingest;
  return feedWorker(
    (port, signal) =>
      fetchToPort({ what, sizeBytes, maxBytes: limits.maxBytes, open, port, start: offset, emit, signal }),
    (bytes, signal) =>
      pool.run(
        { kind: "store", bytes, ingest: { path, offset }, digest, sizeBytes },
        {
          signal,
          transfer: [bytes.port],
          onProgress: (doneBytes) => emit({ type: "download", what, state: "going", doneBytes, ...total }),
        },
      ),
    context.signal,
  );
}

function toKept({ digest, path, size }: Blob): Kept {
  return { digest, file: { path, offset: 0, sizeBytes: size } };
}

/** The store speaks of digests; here it is said what they are of. */
function asCorrupt(failure: AppError, what: string): AppError {
  if (failure.code !== "blob-digest-mismatch" && failure.code !== "blob-size-mismatch") return failure;
  const { expected, found } = failure.details;
  const message = `Cannot fetch ${what}: other bytes came than were promised (${String(expected)} expected, ${String(found)} found)`;
  return new AppError("blob-corrupt", message, {
    hint: "its origin sent other bytes than it promised; try again",
    details: { expected, found },
    cause: failure,
  });
}
