/**
 * Tries again what failed for a passing reason: a broken connection, 429 or 5xx. Waits grow and are spread at random, so
 * that many agents that lost one registry do not come back in step; a Retry-After is honoured.
 */
import { setTimeout as wait } from "node:timers/promises";
import { AppError } from "../../errors.ts";
import type { Emit } from "../../events.ts";

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
  const asked = error.details["retryAfterMs"];
  if (typeof asked === "number") return asked <= policy.maxMs ? asked : undefined;
  const ceiling = Math.min(policy.maxMs, policy.baseMs * 2 ** (count - 1));
  return Math.round(ceiling / 2 + (Math.random() * ceiling) / 2);
}

/** Retry-After in milliseconds: a number of seconds, or a date. */
export function parseRetryAfter(value: string | undefined, now = Date.now()): number | undefined {
  if (value === undefined) return undefined;
  if (/^[0-9]{1,9}$/.test(value.trim())) return Number(value) * 1000;
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}
