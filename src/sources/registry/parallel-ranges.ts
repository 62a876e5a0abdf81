/**
 * One large blob over several connections: consecutive ranges are fetched side by side and handed on in order. It helps
 * where a registry, or a network on the way, limits each connection; elsewhere it only costs memory, so it is off unless
 * asked for.
 *
 * What is in memory at once is bounded by `parallelism` × `rangeBytes`. No range beyond the first is asked for before the
 * server has shown, by a 206 to the first, that it knows ranges.
 */
import { AppError } from "../../errors.ts";
import type { ByteStream } from "../source.ts";
import type { ByteRange, StreamedBlob } from "./blob-stream.ts";

export interface RangeOptions {
  /** Ranges under way at once; 1 is off. */
  readonly parallelism: number;
  readonly rangeBytes: number;
  /** Below this, what is left of a blob is fetched in one piece. */
  readonly minBytes: number;
}

export const DEFAULT_RANGES: RangeOptions = {
  parallelism: 1,
  rangeBytes: 16 * 1024 * 1024,
  minBytes: 256 * 1024 * 1024,
};

export type OpenRange = (range: ByteRange, signal: AbortSignal) => Promise<StreamedBlob>;

/**
 * The bytes of a blob of `size` from `offset` on; the whole blob where the server does not do ranges. A range that fails
 * ends the body with `registry-unreachable` after all bytes before it, so that the reader can go on from there.
 */
export async function openInParallel(
  open: OpenRange,
  blob: { readonly offset: number; readonly size: number; readonly what: string },
  options: RangeOptions,
  signal: AbortSignal,
): Promise<StreamedBlob> {
  const ranges = cut(blob.offset, blob.size, options.rangeBytes);
  const [first, ...rest] = ranges;
  if (first === undefined) throw new RangeError("an empty range was to be cut");
  const opened = await open(first, signal);
  if (opened === "refused-range" || !opened.isPart) return opened;
  const firstBytes = first.to - first.from + 1;
  return { ...opened, body: inOrder(opened, firstBytes, rest, open, blob.what, options.parallelism, signal) };
}

function cut(offset: number, size: number, rangeBytes: number): readonly Required<ByteRange>[] {
  const ranges: Required<ByteRange>[] = [];
  for (let from = offset; from < size; from += rangeBytes) {
    ranges.push({ from, to: Math.min(from + rangeBytes, size) - 1 });
  }
  return ranges;
}

async function* inOrder(
  first: ByteStream,
  firstBytes: number,
  rest: readonly Required<ByteRange>[],
  open: OpenRange,
  what: string,
  parallelism: number,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const given = new AbortController();
  const stop = AbortSignal.any([signal, given.signal]);
  const waiting = [...rest];
  const running: Promise<readonly Uint8Array[]>[] = [];
  const startNext = (): void => {
    const range = waiting.shift();
    if (range === undefined) return;
    const task = readRange(open, range, what, stop);
    // it is looked at when its turn comes; until then its failure is nobody's
    task.catch(() => {});
    running.push(task);
  };
  try {
    for (let count = 1; count < parallelism; count += 1) startNext();
    let length = 0;
    for await (const chunk of first.body) {
      length += chunk.byteLength;
      yield chunk;
    }
    // what follows would be taken for what is missing
    if (length !== firstBytes) throw broken(what, `its first range had ${length} bytes instead of ${firstBytes}`);
    startNext();
    for (let next = running.shift(); next !== undefined; next = running.shift()) {
      const chunks = await next;
      yield* chunks;
      startNext();
    }
  } finally {
    given.abort(new AppError("registry-unreachable", `Cannot fetch ${what}: the transfer was given up`));
    await Promise.allSettled(running);
  }
}

async function readRange(
  open: OpenRange,
  range: Required<ByteRange>,
  what: string,
  signal: AbortSignal,
): Promise<readonly Uint8Array[]> {
  const wanted = range.to - range.from + 1;
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    const opened = await open(range, signal);
    // a body that would be the whole blob is ended with the signal, when the error's turn has come
    if (opened === "refused-range" || !opened.isPart) throw broken(what, "the registry stopped to send ranges");
    for await (const chunk of opened.body) {
      length += chunk.byteLength;
      if (length > wanted) throw broken(what, "a range was longer than asked for");
      chunks.push(chunk);
    }
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof AppError && error.code === "registry-unreachable") throw error;
    throw broken(what, error instanceof Error ? error.message : String(error), error);
  }
  if (length < wanted) throw broken(what, `a range ended after ${length} of ${wanted} bytes`);
  return chunks;
}

function broken(what: string, why: string, cause?: unknown): AppError {
  return new AppError("registry-unreachable", `Cannot fetch ${what}: ${why}`, {
    hint: "if it happens again, fetch layers in one piece (parallel_ranges = 1)",
    details: { temporary: true },
    cause,
  });
}
