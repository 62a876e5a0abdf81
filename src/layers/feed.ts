/**
 * The sending side of a worker's port: network bytes in batches of a size that is worth a message. They lie in memory that
 * both threads see and that is used again and again: handing buffers over would leave each one to a collector, which looks
 * through all of the heap to find it. When all batches are under way the sender waits, so that a slow disk slows the
 * download instead of filling memory.
 */
import { once } from "node:events";
import { MessageChannel, type MessagePort } from "node:worker_threads";
import type { Batch, PortBytes } from "./tasks.ts";

const BATCH = 256 * 1024;
const BATCHES = 8;

export class PortFeed {
  readonly #port: MessagePort;
  readonly #memory: SharedArrayBuffer;
  readonly #signal: AbortSignal;
  /** Offsets of batches that nobody uses. */
  readonly #free: number[];
  #batch: Uint8Array;
  #filled = 0;
  #wake: () => void = () => {};
  #giveUp: (reason: unknown) => void = () => {};

  constructor(port: MessagePort, { memory }: Pick<PortBytes, "memory">, signal: AbortSignal) {
    this.#port = port;
    this.#memory = memory;
    this.#signal = signal;
    this.#free = Array.from({ length: BATCHES }, (_, at) => at * BATCH);
    this.#batch = this.#nextBatch();
    port.on("message", (empty: number) => {
      this.#free.push(empty);
      this.#wake();
    });
    const stop = (): void => {
      this.#wake();
      this.#giveUp(signal.reason);
    };
    signal.addEventListener("abort", stop, { once: true });
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

  /** All of a stream that knows nothing of the signal: when that fires, the stream is left, whatever it is waiting for. */
  async writeAll(chunks: AsyncIterable<Uint8Array>): Promise<void> {
    const iterator = chunks[Symbol.asyncIterator]();
    try {
      for (;;) {
        this.#signal.throwIfAborted();
        const next = await new Promise<IteratorResult<Uint8Array>>((resolve, reject) => {
          this.#giveUp = reject;
          iterator.next().then(resolve, reject);
        });
        if (next.done === true) break;
        await this.write(next.value);
      }
    } catch (error) {
      iterator.return?.().catch(() => {});
      throw error;
    }
    await this.end();
  }

  async #flush(): Promise<void> {
    if (this.#filled > 0) {
      const message: Batch = [this.#batch.byteOffset, this.#filled];
      this.#port.postMessage(message);
      this.#filled = 0;
      while (this.#free.length === 0) {
        this.#signal.throwIfAborted();
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
      this.#batch = this.#nextBatch();
    }
    this.#signal.throwIfAborted();
  }

  #nextBatch(): Uint8Array {
    return new Uint8Array(this.#memory, this.#free.pop(), BATCH);
  }
}

/** The other end of a port, and the memory that its batches lie in. */
export function openPortBytes(port: MessagePort): PortBytes {
  return { port, memory: new SharedArrayBuffer(BATCHES * BATCH) };
}

/**
 * Runs a worker's task on bytes that come over a port. Whichever of the two fails first stops the other, and its error is
 * the one that is told; both have stopped by then, so that nobody writes any more to what the caller gives up.
 *
 * Nothing is sent, and nothing opened to be sent, before a worker has taken the task: connections are few, and one that is
 * held for a task that waits for a worker is one that a task with a worker may wait for.
 */
export async function feedWorker<T>(
  send: (port: PortFeed, signal: AbortSignal) => Promise<void>,
  work: (bytes: PortBytes, signal: AbortSignal) => Promise<T>,
  outer: AbortSignal,
): Promise<T> {
  const { port1, port2 } = new MessageChannel();
  const failed = new AbortController();
  const signal = AbortSignal.any([outer, failed.signal]);
  try {
    const bytes = openPortBytes(port2);
    const working = work(bytes, signal);
    working.catch((error: unknown) => failed.abort(error));
    const sending = once(port1, "message", { signal }).then(() => send(new PortFeed(port1, bytes, signal), signal));
    sending.catch((error: unknown) => failed.abort(error));
    const [worked] = await Promise.allSettled([working, sending]);
    outer.throwIfAborted();
    failed.signal.throwIfAborted();
    return (worked as PromiseFulfilledResult<T>).value;
  } finally {
    port1.close();
  }
}
