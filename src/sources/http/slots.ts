/** Slots: how many requests to one host may be under way at once. Who comes first is served first. */

export interface Slots {
  /** Waits for a slot. The returned function gives it back; more than once does no harm. Rejects with the signal's reason. */
  take(host: string, signal?: AbortSignal): Promise<() => void>;
}

interface Queue {
  taken: number;
  readonly waiting: (() => void)[];
}

export function createSlots(perHost: number): Slots {
  const queues = new Map<string, Queue>();

  const release = (host: string, queue: Queue): void => {
    const next = queue.waiting.shift();
    // a slot goes from hand to hand, so that nobody who comes now overtakes
    if (next !== undefined) next();
    else queue.taken -= 1;
    if (queue.taken === 0) queues.delete(host);
  };

  return {
    async take(host, signal) {
      signal?.throwIfAborted();
      const queue = queues.get(host) ?? { taken: 0, waiting: [] };
      queues.set(host, queue);
      if (queue.taken < perHost) queue.taken += 1;
      else await turn(queue, signal);
      let held = true;
      return () => {
        if (!held) return;
        held = false;
        release(host, queue);
      };
    },
  };
}

async function turn(queue: Queue, signal: AbortSignal | undefined): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const leave = (): void => {
    queue.waiting.splice(queue.waiting.indexOf(begin), 1);
    reject(signal?.reason);
  };
  const begin = (): void => {
    signal?.removeEventListener("abort", leave);
    resolve();
  };
  queue.waiting.push(begin);
  signal?.addEventListener("abort", leave, { once: true });
  return promise;
}
