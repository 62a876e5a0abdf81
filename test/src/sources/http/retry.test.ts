/** When something is tried again, and after how long. */
import { describe, expect, test } from "vitest";
import { AppError } from "../../../../src/errors.ts";
import { silent } from "../../../../src/events.ts";
import { DEFAULT_RETRY, parseRetryAfter, retry, retryAfterIn } from "../../../../src/sources/http/retry.ts";

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

  test("does not come back at once because a registry asks for next to nothing", async () => {
    const { count, delays } = await attempts(() => passing({ retryAfterMs: 1 }));
    expect(count).toBe(4);
    expect(Math.min(...delays)).toBeGreaterThanOrEqual(250);
  });

  test("spreads its waits, so that many do not come back in step", async () => {
    const waits = await Promise.all(Array.from({ length: 20 }, () => attempts(() => passing())));
    expect(new Set(waits.map(({ delays }) => delays[2])).size).toBeGreaterThan(1);
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
  [" 120 ", 120_000],
  ["Saturday, 21-Nov-26 00:00:10 GMT", 10_000],
  ["Sat Nov 21 00:00:10 2026", 10_000],
  ["soon", undefined],
  ["-5", undefined],
  ["1.5", undefined],
  ["2027", 1000 * 2027],
  ["2027-01-01", undefined],
  ["Sat, 21 Nov 2026 00:00:10", undefined],
  ["Xyz, 99 Nov 2026 00:00:10 GMT", undefined],
  [undefined, undefined],
])("parseRetryAfter: %j is %s ms", (value, expected) => {
  expect(parseRetryAfter(value, Date.parse("2026-11-21T00:00:00Z"))).toBe(expected);
});

test.each([
  ["TOOMANYREQUESTS: retry-after: 880.092µs, allowed: 44000/minute", 1],
  ["retry-after: 880.092\u03bcs", 1],
  ["Retry-After: 1m30.5s.", 90_500],
  ["retry-after=2h0m1s", 7_201_000],
  ['"retry-after": "250ms"', 250],
  ["retry-after: 30", 30_000],
  ["retry-after: 30, please", 30_000],
  ["retry-after: 0s", 0],
  ["retry-after: soon", undefined],
  ["retry-after: 12 monkeys", 12_000],
  ["retry-after: 5x", undefined],
  ["retry-after: 1s5", undefined],
  [`retry-after: ${"9".repeat(100_000)}s`, undefined],
  ["too many requests", undefined],
  ["", undefined],
])("retryAfterIn: %.80j is %s ms", (text, expected) => {
  expect(retryAfterIn(text)).toBe(expected);
});
