import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { OpenStoreOptions } from "../../store/index.ts";
import { temporaryStore } from "./fixtures/temporary-store.ts";

/** Longer than the store waits after a commit. */
const A_WHILE_MS = 2000;

/** A callback that stays under way until it is let go, and counts how often it began. */
function heldBack() {
  const waiting: PromiseWithResolvers<void>[] = [];
  let begun = 0;
  return {
    run: () => {
      begun++;
      const call = Promise.withResolvers<void>();
      waiting.push(call);
      return call.promise;
    },
    get begun() {
      return begun;
    },
    get pending() {
      return waiting.length;
    },
    async letGo(error?: Error) {
      const call = waiting.shift();
      if (error === undefined) call?.resolve();
      else call?.reject(error);
      await vi.advanceTimersByTimeAsync(0);
    },
  };
}

function flushingStore(options: Partial<OpenStoreOptions>) {
  const temporary = temporaryStore({ syncOnClose: false, ...options });
  let count = 0;
  return {
    ...temporary,
    commit: () => void temporary.store.blobs.put(Buffer.from(`content ${count++}`), { lease: temporary.lease }),
    unsynced: () => temporary.store.usage().unsynced,
  };
}

describe("flushing in the background", () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test("has one flush under way at a time, however many commits come meanwhile", async () => {
    const sync = heldBack();
    using temporary = flushingStore({ syncInBackground: sync.run });
    for (let i = 0; i < 6; i++) {
      temporary.commit();
      await vi.advanceTimersByTimeAsync(A_WHILE_MS);
    }
    expect(sync.begun).toBe(1);
  });

  test("marks only what was there when the flush began, and flushes the rest afterwards", async () => {
    const sync = heldBack();
    using temporary = flushingStore({ syncInBackground: sync.run });
    temporary.commit();
    await vi.advanceTimersByTimeAsync(A_WHILE_MS);
    temporary.commit();
    temporary.commit();
    await sync.letGo();
    expect(temporary.unsynced()).toBe(2);
    await vi.advanceTimersByTimeAsync(A_WHILE_MS);
    expect(sync.begun).toBe(2);
    await sync.letGo();
    expect(temporary.unsynced()).toBe(0);
  });

  test("takes along what is committed while it waits for its time, and does not flush again for that", async () => {
    const pause = heldBack();
    const sync = heldBack();
    using temporary = flushingStore({ beforeBackgroundSync: pause.run, syncInBackground: sync.run });
    temporary.commit();
    await vi.advanceTimersByTimeAsync(A_WHILE_MS);
    for (let i = 0; i < 3; i++) {
      temporary.commit();
      await vi.advanceTimersByTimeAsync(A_WHILE_MS);
    }
    expect([pause.begun, sync.begun]).toEqual([1, 0]);
    await pause.letGo();
    expect(sync.begun).toBe(1);
    await sync.letGo();
    expect(temporary.unsynced()).toBe(0);
    await vi.advanceTimersByTimeAsync(A_WHILE_MS);
    expect([pause.begun, sync.begun]).toEqual([1, 1]);
  });

  test.each(["pause", "sync"])(
    "leaves everything unflushed when its %s fails, and tries again after the next commit",
    async (which) => {
      const pause = heldBack();
      const sync = heldBack();
      using temporary = flushingStore({ beforeBackgroundSync: pause.run, syncInBackground: sync.run });
      temporary.commit();
      await vi.advanceTimersByTimeAsync(A_WHILE_MS);
      if (which === "sync") await pause.letGo();
      await (which === "sync" ? sync : pause).letGo(new Error("the disk is on fire"));
      expect(temporary.unsynced()).toBe(1);
      await vi.advanceTimersByTimeAsync(A_WHILE_MS);
      expect(pause.begun).toBe(1);
      temporary.commit();
      await vi.advanceTimersByTimeAsync(A_WHILE_MS);
      await pause.letGo();
      await sync.letGo();
      expect(temporary.unsynced()).toBe(0);
    },
  );

  test("begins nothing once the store is closed", async () => {
    const pause = heldBack();
    const sync = heldBack();
    {
      using temporary = flushingStore({ beforeBackgroundSync: pause.run, syncInBackground: sync.run });
      temporary.commit();
      await vi.advanceTimersByTimeAsync(A_WHILE_MS);
      temporary.commit();
    }
    await pause.letGo();
    await vi.advanceTimersByTimeAsync(A_WHILE_MS);
    expect([pause.begun, pause.pending, sync.begun]).toEqual([1, 0, 0]);
  });

  test("without a callback of the caller's, flushes blob by blob", async () => {
    using temporary = flushingStore({});
    temporary.commit();
    await vi.advanceTimersByTimeAsync(A_WHILE_MS);
    vi.useRealTimers();
    await expect.poll(temporary.unsynced).toBe(0);
  });
});
