/** `copyLayers`: what a stack of layers shows, as a directory of its own, written by several workers. */
import { availableParallelism } from "node:os";
import type { CopyTask, StackLayer } from "./tasks.ts";
import type { WorkerPool } from "./worker-pool.ts";

export interface CopyOptions {
  /** An existing, empty directory; when this fails, what is in it is the caller's to remove. */
  readonly path: string;
  readonly privileged: boolean;
  /** Of what is copied: how much it is decides how many workers it is worth. */
  readonly entryCount: number;
  readonly sizeBytes: number;
  readonly signal: AbortSignal;
}

/** How many shares a copy is divided into. */
export interface Sharing {
  /** Below so many entries or bytes for each, one more worker costs more than it brings: it has to merge the layers too. */
  readonly worthEntries: number;
  readonly worthBytes: number;
  /** How many entries all workers together may have in memory. */
  readonly heldEntries: number;
  readonly cores: number;
}

/**
 * Each worker decodes the entry indexes and merges them for itself: about a kilobyte an entry, with the garbage that this
 * makes. `heldEntries` keeps what a copy takes within a few hundred megabytes on a machine with however many cores; an image
 * that has more by itself gets one worker, which is as little as it can be.
 */
const SHARING: Sharing = {
  worthEntries: 2000,
  worthBytes: 64 * 1024 * 1024,
  heldEntries: 250_000,
  cores: availableParallelism(),
};

/** `layers` base first. Nothing is written to `path` any more when this has failed. */
export async function copyLayers(
  pool: WorkerPool,
  layers: readonly StackLayer[],
  { path, privileged, entryCount, sizeBytes, signal }: CopyOptions,
  sharing: Partial<Sharing> = {},
): Promise<void> {
  const share = (stage: CopyTask["stage"], index = 0, count = 1): CopyTask => ({
    kind: "copy",
    layers,
    path,
    privileged,
    stage,
    share: { index, count },
  });
  const parts = Math.min(pool.size, countShares({ ...SHARING, ...sharing }, entryCount, sizeBytes));
  if (parts === 1) {
    await pool.run(share("all"), { signal });
    return;
  }
  const failed = new AbortController();
  const either = AbortSignal.any([signal, failed.signal]);
  const running = Array.from({ length: parts }, async (_, index) => {
    try {
      await pool.run(share("content", index, parts), { signal: either });
    } catch (error) {
      failed.abort(error);
      throw error;
    }
  });
  await Promise.allSettled(running);
  either.throwIfAborted();
  await pool.run(share("finish"), { signal });
}

function countShares(sharing: Sharing, entryCount: number, sizeBytes: number): number {
  const worth = Math.max(entryCount / sharing.worthEntries, sizeBytes / sharing.worthBytes);
  const held = sharing.heldEntries / Math.max(1, entryCount);
  return Math.max(1, Math.floor(Math.min(sharing.cores, worth, held)));
}
