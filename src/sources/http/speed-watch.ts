/**
 * Notices transfers that have stopped, or as good as: a server that sends a byte now and then keeps every idle timer happy
 * for ever. The bytes of the last `windowMs` are counted, and must not be fewer than the speed asks for.
 *
 * Only time spent waiting for the network counts. While the reader is busy elsewhere (a slow disk, a layer that is being
 * unpacked) the clock of the watch stands still: backpressure is not the server's fault.
 *
 *     waiting time  ─────┬───────────────── windowMs ─────────────────┬─►
 *     arrivals           ▲ leaves the window    ▲ ▲   counted    ▲    now
 */

/** Replaced in tests, so that they need not wait. */
export interface Clock {
  /** Milliseconds that never go backwards. */
  now(): number;
  /** Calls back once; the returned function prevents it. */
  after(ms: number, call: () => void): () => void;
}

export const REAL_CLOCK: Clock = {
  now: () => performance.now(),
  after(ms, call) {
    let immediate: NodeJS.Immediate | undefined;
    // a process that was held up must read what arrived meanwhile before it judges: timers come first in Node's loop
    const timer = setTimeout(() => {
      immediate = setImmediate(call);
    }, ms);
    return () => {
      clearTimeout(timer);
      clearImmediate(immediate);
    };
  },
};

export interface SpeedLimit {
  /** 0: nothing is watched. */
  readonly windowMs: number;
  readonly minBytesPerSecond: number;
}

export interface SpeedWatch {
  /** The reader begins to wait for bytes. */
  waiting(): void;
  /** They came. */
  received(sizeBytes: number): void;
  /** Nothing more is expected. */
  stop(): void;
}

const UNWATCHED: SpeedWatch = { waiting() {}, received() {}, stop() {} };

/** Arrivals are kept together in so many parts of a window, which bounds memory and makes the watch lenient by one part. */
const PARTS = 32;

/** `onSlow` is called once, while waiting, with the bytes of the last window. */
export function createSpeedWatch(limit: SpeedLimit, onSlow: (bytes: number) => void, clock = REAL_CLOCK): SpeedWatch {
  const { windowMs } = limit;
  if (windowMs <= 0) return UNWATCHED;
  // a pause of a whole window is too slow whatever the speed
  const enough = Math.max(1, (limit.minBytesPerSecond * windowMs) / 1000);
  const arrivals: { part: number; bytes: number }[] = [];
  const partMs = windowMs / PARTS;
  let inWindow = 0;
  let waitedMs = 0;
  let since: number | undefined;
  let cancel: (() => void) | undefined;

  /** Waiting time at which an arrival no longer counts. */
  const leavesAt = (part: number): number => (part + 1) * partMs + windowMs;
  const forget = (at: number): void => {
    while (arrivals[0] !== undefined && leavesAt(arrivals[0].part) <= at) inWindow -= arrivals.shift()?.bytes ?? 0;
  };
  /** The earliest waiting time at which there would be too few, if nothing more came. */
  const deadline = (): number => {
    let left = inWindow;
    if (left < enough) return windowMs;
    for (const { part, bytes } of arrivals) {
      left -= bytes;
      if (left < enough) return leavesAt(part);
    }
    return windowMs;
  };
  const arm = (at: number): void => {
    cancel = clock.after(Math.max(1, deadline() - at), look);
  };
  const look = (): void => {
    cancel = undefined;
    // when the reader comes back, the next wait arms it again
    if (since === undefined) return;
    const at = waitedMs + clock.now() - since;
    forget(at);
    if (at >= windowMs && inWindow < enough) onSlow(inWindow);
    else arm(at);
  };

  return {
    waiting() {
      since = clock.now();
      if (cancel === undefined) arm(waitedMs);
    },
    received(sizeBytes) {
      if (since !== undefined) waitedMs += clock.now() - since;
      since = undefined;
      forget(waitedMs);
      const part = Math.floor(waitedMs / partMs);
      const last = arrivals.at(-1);
      if (last?.part === part) last.bytes += sizeBytes;
      else arrivals.push({ part, bytes: sizeBytes });
      inWindow += sizeBytes;
    },
    stop() {
      cancel?.();
      cancel = undefined;
      since = undefined;
    },
  };
}
