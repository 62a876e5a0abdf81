/**
 * Tries again what failed for a passing reason: a broken connection, 429 or 5xx. Waits grow and are spread at random, so
 * that many agents that lost one registry do not come back in step; a Retry-After is honoured as the least wait.
 */
import { setTimeout as wait } from "node:timers/promises";
import { AppError } from "../../errors.ts";
import type { Emit } from "../../events.ts";
import { parseGoDuration } from "../registry/hosts/go-duration.ts";

export interface RetryPolicy {
  /** Including the first. */
  readonly attempts: number;
  /** The wait before the second attempt, in milliseconds; it doubles from there. */
  readonly baseMs: number;
  /** The longest wait; a registry that asks for more is not waited for. */
  readonly maxMs: number;
  /** Replaced in tests, so that they need not wait. */
  readonly delay: (ms: number, signal?: AbortSignal) => Promise<void>;
}

export const DEFAULT_RETRY: RetryPolicy = {
  attempts: 4,
  baseMs: 500,
  maxMs: 60_000,
  delay: async (ms, signal) => {
    await wait(ms, undefined, signal === undefined ? {} : { signal }).catch(() => {});
    signal?.throwIfAborted();
  },
};

/**
 * Runs `attempt` until it succeeds, fails for good, or the policy is exhausted; then the last error is thrown.
 * An error is passing when its details say `temporary: true`; they may say `retryAfterMs`.
 */
export async function retry<T>(
  attempt: () => Promise<T>,
  context: { readonly what: string; readonly policy: RetryPolicy; readonly emit: Emit; readonly signal?: AbortSignal },
): Promise<T> {
  const { policy } = context;
  for (let count = 1; ; count += 1) {
    try {
      return await attempt();
    } catch (error) {
      const delayMs = error instanceof AppError ? delayAfter(error, count, policy) : undefined;
      if (delayMs === undefined || !(error instanceof AppError)) throw error;
      context.emit({ type: "retry", what: context.what, attempt: count + 1, delayMs, reason: error.message });
      await policy.delay(delayMs, context.signal);
    }
  }
}

/** Milliseconds to wait before the next attempt; undefined when there is none. */
function delayAfter(error: AppError, count: number, policy: RetryPolicy): number | undefined {
  if (error.details["temporary"] !== true || count >= policy.attempts) return undefined;
  const ceiling = Math.min(policy.maxMs, policy.baseMs * 2 ** (count - 1));
  const ours = Math.round(ceiling / 2 + (Math.random() * ceiling) / 2);
  const asked = error.details["retryAfterMs"];
  if (typeof asked !== "number") return ours;
  // a registry may ask for microseconds, or for nothing; coming back at once would only be refused again
  return asked <= policy.maxMs ? Math.max(asked, ours) : undefined;
}

const DAY = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)";
const MONTH = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)";
const TIME = "[0-9]{2}:[0-9]{2}:[0-9]{2}";
/** The three forms of an HTTP date (RFC 9110, 5.6.7). `Date.parse` alone takes "-5" for a year. */
const HTTP_DATE = new RegExp(
  `^(?:${DAY}, [0-9]{2} ${MONTH} [0-9]{4} ${TIME} GMT|[A-Z][a-z]{5,8}, [0-9]{2}-${MONTH}-[0-9]{2} ${TIME} GMT|${DAY} ${MONTH} [ 0-9][0-9] ${TIME} [0-9]{4})$`,
);

/** Retry-After in milliseconds: a number of seconds, or an HTTP date (RFC 9110, 10.2.3). */
export function parseRetryAfter(value: string | undefined, now = Date.now()): number | undefined {
  if (value === undefined) return undefined;
  const text = value.trim();
  if (/^[0-9]{1,9}$/.test(text)) return Number(text) * 1000;
  if (!HTTP_DATE.test(text)) return undefined;
  // the form of C's asctime does not say that it is GMT
  const date = Date.parse(text.endsWith("GMT") ? text : `${text} GMT`);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

/**
 * The wait in milliseconds, rounded up, that a message asks for in words: some registries (ghcr.io) answer 429 without a
 * Retry-After header, and with `retry-after: 880.092µs` in the text of the error, a duration as Go writes it. A bare number
 * is seconds. Undefined when there is none.
 */
export function retryAfterIn(text: string): number | undefined {
  const [, duration = ""] = /retry-after"?\s*[:=]\s*"?([0-9][0-9a-z.\u00b5\u03bc]{0,40})/i.exec(text) ?? [];
  if (/^[0-9]{1,9}$/.test(duration)) return Number(duration) * 1000;
  // it may end a sentence
  return parseGoDuration(duration.replace(/\.$/, ""));
}
