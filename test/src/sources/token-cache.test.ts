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
    const shared = await Promise.all([1, 2, 3].map(() => cache.get("k", fetch)));
    expect(shared.map(({ value }) => value)).toEqual(["t1", "t1", "t1"]);
    expect((await cache.get("other", fetch)).value).toBe("t2");
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
    expect((await cache.get("k", fetch)).value).toBe("at 0");
    now = 50_000;
    expect((await cache.get("k", fetch)).value).toBe("at 50000");
  });

  test("forgets a refused token, but not the one that replaced it", async () => {
    const cache = createTokenCache();
    const fetch = (value: string) => async () => ({ value, lifetimeMs: 60_000 });
    await cache.get("k", fetch("old"));
    cache.forget("k", "old");
    await cache.get("k", fetch("new"));
    cache.forget("k", "old");
    expect((await cache.get("k", fetch("newer"))).value).toBe("new");
  });

  test("does not keep a failure", async () => {
    const cache = createTokenCache();
    await expect(cache.get("k", () => Promise.reject(new Error("no")))).rejects.toThrow("no");
    expect((await cache.get("k", async () => ({ value: "yes", lifetimeMs: 1000 }))).value).toBe("yes");
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
    expect((await staying).value).toBe("t");
  });

  test("keeps a token of no lifetime for those who wait for it, and no longer", async () => {
    const cache = createTokenCache();
    let fetched = 0;
    const fetch = async (): Promise<{ value: string; lifetimeMs: number }> => {
      fetched += 1;
      return { value: "t", lifetimeMs: 0 };
    };
    await Promise.all([cache.get("k", fetch), cache.get("k", fetch)]);
    expect(fetched).toBe(1);
    await cache.get("k", fetch);
    expect(fetched).toBe(2);
  });

  test("does not grow for ever", async () => {
    const cache = createTokenCache();
    let fetched = 0;
    const fetch = async (): Promise<{ value: string; lifetimeMs: number }> => {
      fetched += 1;
      return { value: "t", lifetimeMs: Number.POSITIVE_INFINITY };
    };
    for (let index = 0; index <= 4096; index += 1) await cache.get(`k${index}`, fetch);
    await cache.get("k4096", fetch);
    expect(fetched).toBe(4097);
    await cache.get("k0", fetch);
    expect(fetched).toBe(4098);
  });
});
