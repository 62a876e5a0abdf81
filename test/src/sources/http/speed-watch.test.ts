/** When a transfer counts as stalled. The clock is the test's own: nothing here waits. */
import { describe, expect, test } from "vitest";
import { type Clock, createSpeedWatch, type SpeedWatch } from "../../../../src/sources/http/speed-watch.ts";

interface Scene extends SpeedWatch {
  /** Time goes by, without bytes. */
  pass(ms: number): void;
  /** The reader waits, and gets bytes after `ms`. */
  arrive(ms: number, bytes: number): void;
  /** Bytes of the window in which it was too slow; empty as long as it is not. */
  readonly slow: readonly number[];
  readonly timers: () => number;
}

function scene(windowMs: number, minBytesPerSecond: number): Scene {
  let now = 0;
  let pending: { at: number; call: () => void }[] = [];
  const clock: Clock = {
    now: () => now,
    after(ms, call) {
      const timer = { at: now + ms, call };
      pending.push(timer);
      return () => {
        pending = pending.filter((other) => other !== timer);
      };
    },
  };
  const pass = (ms: number): void => {
    const end = now + ms;
    for (;;) {
      const next = pending.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (next === undefined) break;
      pending = pending.filter((other) => other !== next);
      now = Math.max(now, next.at);
      next.call();
    }
    now = end;
  };
  const slow: number[] = [];
  const watch = createSpeedWatch({ windowMs, minBytesPerSecond }, (bytes) => slow.push(bytes), clock);
  const arrive = (ms: number, bytes: number): void => {
    watch.waiting();
    pass(ms);
    watch.received(bytes);
  };
  return { ...watch, pass, arrive, slow, timers: () => pending.length };
}

const KIB = 1024;

describe("the speed watch", () => {
  test("leaves a steady transfer alone", () => {
    const watch = scene(60_000, KIB);
    for (let count = 0; count < 1000; count += 1) watch.arrive(1000, 2 * KIB);
    expect(watch.slow).toEqual([]);
  });

  test("gives a transfer that never begins one window", () => {
    const watch = scene(60_000, KIB);
    watch.waiting();
    watch.pass(59_999);
    expect(watch.slow).toEqual([]);
    watch.pass(1);
    expect(watch.slow).toEqual([0]);
  });

  test("gives a transfer that stops one window more, whatever came before", () => {
    const watch = scene(60_000, KIB);
    for (let count = 0; count < 100; count += 1) watch.arrive(1000, 1000 * KIB);
    watch.waiting();
    watch.pass(57_000);
    expect(watch.slow).toEqual([]);
    // one part of the window late at most
    watch.pass(5000);
    expect(watch.slow).toHaveLength(1);
  });

  test("catches a trickle that no idle timer would", () => {
    const watch = scene(60_000, KIB);
    for (let count = 0; count < 30; count += 1) watch.arrive(3000, 1);
    expect(watch.slow[0]).toBeLessThan(30);
  });

  test("lets the same trickle be where nothing faster is asked for", () => {
    const watch = scene(60_000, 0);
    for (let count = 0; count < 100; count += 1) watch.arrive(3000, 1);
    expect(watch.slow).toEqual([]);
    watch.waiting();
    watch.pass(63_000);
    expect(watch.slow).toHaveLength(1);
  });

  test("does not take a slow reader for a slow server", () => {
    const watch = scene(60_000, KIB);
    for (let count = 0; count < 50; count += 1) {
      watch.arrive(1, 64 * KIB);
      watch.pass(600_000);
    }
    expect(watch.slow).toEqual([]);
  });

  test("counts only what was waited, however long the reader was away in between", () => {
    const watch = scene(60_000, KIB);
    watch.arrive(30_000, 1);
    watch.pass(600_000);
    watch.waiting();
    watch.pass(29_000);
    expect(watch.slow).toEqual([]);
    watch.pass(1001);
    expect(watch.slow).toEqual([1]);
  });

  test("forgives a pause that is made up for within the window", () => {
    const watch = scene(60_000, KIB);
    for (let count = 0; count < 20; count += 1) watch.arrive(50_000, 100 * KIB);
    expect(watch.slow).toEqual([]);
  });

  test("of no window watches nothing", () => {
    const watch = scene(0, KIB);
    watch.waiting();
    watch.pass(600_000);
    expect(watch.slow).toEqual([]);
    expect(watch.timers()).toBe(0);
  });

  test("has one timer at most, and none when it is over", () => {
    const watch = scene(60_000, KIB);
    for (let count = 0; count < 1000; count += 1) {
      watch.arrive(0.1, 64 * KIB);
      expect(watch.timers()).toBeLessThanOrEqual(1);
    }
    watch.stop();
    expect(watch.timers()).toBe(0);
    watch.pass(600_000);
    expect(watch.slow).toEqual([]);
  });
});
