/**
 * The sending side of a worker's port: network bytes in batches of a size that is worth a message, with a window so
 * that a slow disk slows the download instead of filling memory. Batches are handed over, not copied, and come
 * back when they are used up.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { MessagePort } from "node:worker_threads";
import type { Digest } from "../../store/index.ts";
import { AppError, toAppError } from "../errors.ts";
import type { Emit } from "../events.ts";

const BATCH = 256 * 1024;
const WINDOW = 2 * 1024 * 1024;

export class PortFeed {
  readonly #port: MessagePort;
  readonly #signal: AbortSignal;
  /** Batches that came back empty: memory that is used again is memory that no collector has to find. */
  readonly #spare: ArrayBuffer[] = [];
  #batch = new Uint8Array(new ArrayBuffer(BATCH));
  #filled = 0;
  #outstanding = 0;
  #wake: () => void = () => {};

  constructor(port: MessagePort, signal: AbortSignal) {
    this.#port = port;
    this.#signal = signal;
    port.on("message", (empty: ArrayBuffer) => {
      this.#outstanding -= BATCH;
      this.#spare.push(empty);
      this.#wake();
    });
    signal.addEventListener("abort", () => this.#wake(), { once: true });
  }

  async write(chunk: Uint8Array): Promise<void> {
    let at = 0;
    while (at < chunk.length) {
      const step = Math.min(chunk.length - at, BATCH - this.#filled);
      this.#batch.set(chunk.subarray(at, at + step), this.#filled);
      this.#filled += step;
      at += step;
      if (this.#filled === BATCH) await this.#flush();
    }
  }

  async end(): Promise<void> {
    await this.#flush();
    this.#port.postMessage(null);
  }

  async #flush(): Promise<void> {
    if (this.#filled > 0) {
      const batch = this.#batch.subarray(0, this.#filled);
      this.#outstanding += BATCH;
      this.#port.postMessage(batch, [batch.buffer]);
      this.#batch = new Uint8Array(this.#spare.pop() ?? new ArrayBuffer(BATCH));
      this.#filled = 0;
    }
    while (this.#outstanding >= WINDOW) {
      this.#signal.throwIfAborted();
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    this.#signal.throwIfAborted();
  }
}

/** Bytes of a layer from `offset` on, or from before it where a source cannot start in the middle. */
export type OpenStream = (
  offset: number,
  signal: AbortSignal,
) => Promise<{ readonly offset: number; readonly body: AsyncIterable<Uint8Array> }>;

export interface FeedOptions {
  readonly blob: { readonly digest: Digest; readonly size: number };
  readonly open: OpenStream;
  readonly port: PortFeed;
  /** Bytes that are here already. */
  readonly start: number;
  readonly emit: Emit;
  readonly signal: AbortSignal;
}

/** How often in a row a download may break without a single new byte. */
const FRUITLESS_ATTEMPTS = 5;
const LONGEST_PAUSE_MS = 3000;

/** Sends a layer's bytes, taking a connection that breaks up again where it broke. */
export async function feedLayer({ blob, open, port, start, emit, signal }: FeedOptions): Promise<void> {
  let sent = start;
  let fruitless = 0;
  while (sent < blob.size) {
    const before = sent;
    try {
      for await (const chunk of chunksFrom(open, sent, signal)) {
        sent += chunk.length;
        if (sent > blob.size)
          throw new AppError(
            "blob-corrupt",
            `Cannot fetch ${blob.digest}: more than the promised ${blob.size} bytes came`,
          );
        await port.write(chunk);
      }
      if (sent < blob.size)
        throw new AppError(
          "registry-unreachable",
          `Cannot fetch ${blob.digest}: the connection ended after ${sent} of ${blob.size} bytes`,
        );
    } catch (error) {
      signal.throwIfAborted();
      const failure = toAppError(error);
      fruitless = sent > before ? 1 : fruitless + 1;
      if (failure.code !== "registry-unreachable" || fruitless > FRUITLESS_ATTEMPTS) throw failure;
      const delayMs = Math.min(50 * 2 ** fruitless, LONGEST_PAUSE_MS);
      emit({ type: "retry", what: blob.digest, attempt: fruitless, delayMs, reason: failure.message });
      await delay(delayMs, undefined, { signal });
    }
  }
  await port.end();
}

/** Non-empty chunks from exactly `start` on. */
async function* chunksFrom(open: OpenStream, start: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const { offset, body } = await open(start, signal);
  let skip = start - offset;
  for await (const chunk of body) {
    const fresh = skip > 0 ? chunk.subarray(Math.min(skip, chunk.length)) : chunk;
    skip -= chunk.length - fresh.length;
    if (fresh.length > 0) yield fresh;
  }
}
