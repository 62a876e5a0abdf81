/**
 * The sending side of a worker's port: network bytes in batches of a size that is worth a message, with a window so
 * that a slow disk slows the download instead of filling memory. Batches are handed over, not copied, and come
 * back when they are used up.
 */
import { once } from "node:events";
import { MessageChannel, type MessagePort } from "node:worker_threads";

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
  #giveUp: (reason: unknown) => void = () => {};

  constructor(port: MessagePort, signal: AbortSignal) {
    this.#port = port;
    this.#signal = signal;
    port.on("message", (empty: ArrayBuffer) => {
      this.#outstanding -= BATCH;
      this.#spare.push(empty);
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

/**
 * Runs a worker's task on bytes that come over a port. Whichever of the two fails first stops the other, and its error is
 * the one that is told; both have stopped by then, so that nobody writes any more to what the caller gives up.
 *
 * Nothing is sent, and nothing opened to be sent, before a worker has taken the task: connections are few, and one that is
 * held for a task that waits for a worker is one that a task with a worker may wait for.
 */
export async function feedWorker<T>(
  send: (port: PortFeed, signal: AbortSignal) => Promise<void>,
  work: (bytes: { readonly port: MessagePort }, signal: AbortSignal) => Promise<T>,
  outer: AbortSignal,
): Promise<T> {
  const { port1, port2 } = new MessageChannel();
  const failed = new AbortController();
  const signal = AbortSignal.any([outer, failed.signal]);
  try {
    const working = work({ port: port2 }, signal);
    working.catch((error: unknown) => failed.abort(error));
    const sending = once(port1, "message", { signal }).then(() => send(new PortFeed(port1, signal), signal));
    sending.catch((error: unknown) => failed.abort(error));
    const [worked] = await Promise.allSettled([working, sending]);
    outer.throwIfAborted();
    failed.signal.throwIfAborted();
    return (worked as PromiseFulfilledResult<T>).value;
  } finally {
    port1.close();
  }
}
