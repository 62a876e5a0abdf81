/** Network bytes to a worker, whole, though connections break: each time it goes on where it broke. */
import { setTimeout as delay } from "node:timers/promises";
import { AppError, toAppError } from "../errors.ts";
import type { Emit } from "../events.ts";
import type { PortFeed } from "./feed.ts";

/** Bytes from `offset` on, or from before it where a source cannot start in the middle. */
export type OpenStream = (
  offset: number,
  signal: AbortSignal,
) => Promise<{ readonly offset: number; readonly body: AsyncIterable<Uint8Array> }>;

export interface FetchOptions {
  /** For messages: a digest, or what is fetched. */
  readonly what: string;
  /** When it is known. Otherwise the end is where the source ends. */
  readonly sizeBytes: number | undefined;
  /** When it is not known: more than so many are not taken. */
  readonly maxBytes: number;
  readonly open: OpenStream;
  readonly port: PortFeed;
  /** Bytes that are here already, from an earlier run. */
  readonly start: number;
  readonly emit: Emit;
  readonly signal: AbortSignal;
}

/** How often in a row an attempt may bring next to nothing. */
const FRUITLESS_ATTEMPTS = 5;
/** What an attempt must bring to count: a server that lets a few bytes through each time is not asked for ever. */
const FRUIT_BYTES = 64 * 1024;
const LONGEST_PAUSE_MS = 3000;
/** The longest that a server may ask us to wait. */
const LONGEST_ASKED_PAUSE_MS = 60_000;

export async function fetchToPort(options: FetchOptions): Promise<void> {
  const { what, sizeBytes, port, start, emit, signal } = options;
  const progress = { sent: start };
  let fruitless = 0;
  while (sizeBytes === undefined || progress.sent < sizeBytes) {
    const before = progress.sent;
    try {
      await attempt(options, progress);
      if (sizeBytes === undefined) break;
      if (progress.sent < sizeBytes) throw brokenOff(what, progress.sent, sizeBytes);
    } catch (error) {
      signal.throwIfAborted();
      const failure = toAppError(error);
      fruitless = progress.sent - before >= FRUIT_BYTES ? 1 : fruitless + 1;
      const delayMs = pauseAfter(failure, fruitless);
      if (delayMs === undefined || fruitless > FRUITLESS_ATTEMPTS) throw failure;
      emit({ type: "retry", what, attempt: fruitless, delayMs, reason: failure.message });
      await delay(delayMs, undefined, { signal });
    }
  }
  await port.end();
}

async function attempt(options: FetchOptions, progress: { sent: number }): Promise<void> {
  const over = new AbortController();
  try {
    await readFrom(options, AbortSignal.any([options.signal, over.signal]), progress);
  } catch (error) {
    // a body that was opened and not begun would keep its connection
    over.abort();
    throw error;
  }
}

async function readFrom(options: FetchOptions, signal: AbortSignal, progress: { sent: number }): Promise<void> {
  const { what, sizeBytes, open, port, emit } = options;
  const here = progress.sent;
  const { offset, body } = await open(here, signal);
  if (offset > here)
    throw new AppError("blob-corrupt", `Cannot fetch ${what}: asked for byte ${here}, its source began at ${offset}`);
  if (here > 0) emit({ type: "decision", topic: "resume", message: describeResume(options, here, offset) });
  let skip = here - offset;
  for await (const chunk of body) {
    const fresh = skip > 0 ? chunk.subarray(Math.min(skip, chunk.length)) : chunk;
    skip -= chunk.length - fresh.length;
    if (fresh.length === 0) continue;
    progress.sent += fresh.length;
    checkSize(options, progress.sent);
    await port.write(fresh);
  }
  if (sizeBytes !== undefined || skip === 0) return;
  // a version of it that is shorter than what is here: what is here is of another one
  throw new AppError(
    "blob-corrupt",
    `Cannot fetch ${what}: it ended after ${here - skip} bytes, ${here} are here already`,
  );
}

function checkSize({ what, sizeBytes, maxBytes }: FetchOptions, sent: number): void {
  if (sizeBytes !== undefined && sent > sizeBytes)
    throw new AppError("blob-corrupt", `Cannot fetch ${what}: more than the promised ${sizeBytes} bytes came`);
  if (sizeBytes !== undefined || sent <= maxBytes) return;
  throw new AppError("layer-too-large", `Cannot fetch ${what}: it has more than ${maxBytes} bytes`, {
    hint: "raise max_bytes if its origin is trusted (flag, variable or configuration file)",
  });
}

function brokenOff(what: string, sent: number, sizeBytes: number): AppError {
  return new AppError(
    "registry-unreachable",
    `Cannot fetch ${what}: the connection ended after ${sent} of ${sizeBytes} bytes`,
    { hint: "try again: what came is kept" },
  );
}

function describeResume({ what, sizeBytes, start }: FetchOptions, here: number, offset: number): string {
  const where = `byte ${here}${sizeBytes === undefined ? "" : ` of ${sizeBytes}`}`;
  if (offset < here) return `${what}: ${here} bytes are here, but its source begins at byte ${offset} again`;
  if (here === start) return `${what}: going on at ${where}, with what an earlier run left`;
  return `${what}: going on at ${where}, where the connection broke`;
}

/**
 * Milliseconds until the next attempt; undefined for a failure that will not pass. An answer that refuses is final too:
 * sources ask again themselves before they pass one on.
 */
function pauseAfter({ kind, code, details }: AppError, fruitless: number): number | undefined {
  if (kind !== "unavailable" || code === "registry-error" || details["temporary"] === false) return undefined;
  const ours = Math.min(50 * 2 ** fruitless, LONGEST_PAUSE_MS);
  const asked = details["retryAfterMs"];
  if (typeof asked !== "number") return ours;
  return asked <= LONGEST_ASKED_PAUSE_MS ? Math.max(asked, ours) : undefined;
}
