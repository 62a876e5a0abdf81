/** Tokens are fetched once, kept while they are fresh, and dropped when refused. */
import { describe, expect, test } from "vitest";
import { createTokenCache } from "../../../src/sources/registry/token-cache.ts";

describe("createTokenCache", () => {
  test("lets callers at the same moment share one flight", async () => {
    const cache = createTokenCache();
    let fetched = 0;
    const fetch = async (): Promise<{ value: string; lifetimeMs: number }> => {
      fetched += 1;
      return { value: `t${fetched}`, lifetimeMs: 60_000 };
    };
    expect(await Promise.all([1, 2, 3].map(() => cache.get("k", fetch)))).toEqual(["t1", "t1", "t1"]);
    expect(await cache.get("other", fetch)).toBe("t2");
  });

  test("renews a token a little before it runs out", async () => {
    let now = 0;
    const cache = createTokenCache(() => now);
    const fetch = async (): Promise<{ value: string; lifetimeMs: number }> => ({
      value: `at ${now}`,
      lifetimeMs: 60_000,
    });
    await cache.get("k", fetch);
    now = 49_000;
    expect(await cache.get("k", fetch)).toBe("at 0");
    now = 50_000;
    expect(await cache.get("k", fetch)).toBe("at 50000");
  });

  test("forgets a refused token, but not the one that replaced it", async () => {
    const cache = createTokenCache();
    const fetch = (value: string) => async () => ({ value, lifetimeMs: 60_000 });
    await cache.get("k", fetch("old"));
    cache.forget("k", "old");
    await cache.get("k", fetch("new"));
    cache.forget("k", "old");
    expect(await cache.get("k", fetch("newer"))).toBe("new");
  });

  test("does not keep a failure", async () => {
    const cache = createTokenCache();
    await expect(cache.get("k", () => Promise.reject(new Error("no")))).rejects.toThrow("no");
    expect(await cache.get("k", async () => ({ value: "yes", lifetimeMs: 1000 }))).toBe("yes");
  });

  test("lets one caller leave without ending the flight for the others", async () => {
    const cache = createTokenCache();
    const { promise, resolve } = Promise.withResolvers<{ value: string; lifetimeMs: number }>();
    const controller = new AbortController();
    const leaving = cache.get("k", () => promise, controller.signal);
    const staying = cache.get("k", () => promise);
    controller.abort(new Error("left"));
    await expect(leaving).rejects.toThrow("left");
    resolve({ value: "t", lifetimeMs: 1000 });
    expect(await staying).toBe("t");
  });
});
