/** When something is tried again, and after how long. */
import { describe, expect, test } from "vitest";
import { AppError } from "../../../src/errors.ts";
import { silent } from "../../../src/events.ts";
import { DEFAULT_RETRY, parseRetryAfter, retry } from "../../../src/sources/registry/retry.ts";

const passing = (facts: Readonly<Record<string, unknown>> = {}): AppError =>
  new AppError("registry-error", "no", { details: { temporary: true, ...facts } });

async function attempts(error: (count: number) => Error | undefined): Promise<{ count: number; delays: number[] }> {
  const delays: number[] = [];
  let count = 0;
  const policy = { ...DEFAULT_RETRY, delay: async (ms: number) => void delays.push(ms) };
  const attempt = async (): Promise<void> => {
    count += 1;
    const thrown = error(count);
    if (thrown !== undefined) throw thrown;
  };
  await retry(attempt, { what: "x", policy, emit: silent }).catch(() => {});
  return { count, delays };
}

describe("retry", () => {
  test("stops at the first success", async () => {
    expect((await attempts((count) => (count < 3 ? passing() : undefined))).count).toBe(3);
  });

  test("gives up after four attempts, waiting longer each time", async () => {
    const { count, delays } = await attempts(() => passing());
    expect(count).toBe(4);
    expect(delays).toHaveLength(3);
    for (const [at, delay] of delays.entries()) {
      expect(delay).toBeGreaterThanOrEqual(250 * 2 ** at);
      expect(delay).toBeLessThanOrEqual(500 * 2 ** at);
    }
  });

  test("does not try again what will not pass", async () => {
    expect((await attempts(() => new AppError("registry-denied", "no"))).count).toBe(1);
    expect((await attempts(() => new TypeError("a bug"))).count).toBe(1);
  });

  test("waits as long as the registry asks, unless that is too long", async () => {
    expect((await attempts(() => passing({ retryAfterMs: 7000 }))).delays).toEqual([7000, 7000, 7000]);
    expect((await attempts(() => passing({ retryAfterMs: 3_600_000 }))).count).toBe(1);
  });

  test("stops waiting when it is aborted", async () => {
    const controller = new AbortController();
    const context = { what: "x", policy: { ...DEFAULT_RETRY, baseMs: 1_000_000 }, signal: controller.signal };
    const emit = (): void => controller.abort(new Error("enough"));
    await expect(retry(() => Promise.reject(passing()), { ...context, emit })).rejects.toThrow("enough");
  });
});

test.each([
  ["120", 120_000],
  ["Sat, 21 Nov 2026 00:00:10 GMT", 10_000],
  ["Sat, 21 Nov 2026 00:00:00 GMT", 0],
  ["soon", undefined],
  [undefined, undefined],
])("parseRetryAfter: %j is %s ms", (value, expected) => {
  expect(parseRetryAfter(value, Date.parse("2026-11-21T00:00:00Z"))).toBe(expected);
});
