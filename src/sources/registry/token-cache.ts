/**
 * Tokens while they last: one for each realm, service, scope and registry, fetched once however many layers ask for it at
 * the same moment.
 */
import type { Token } from "./token.ts";

export interface TokenCache {
  /** The cached token, or what `fetch` brings. Several callers share one `fetch`; the signal only ends one's waiting. */
  get(key: string, fetch: () => Promise<Token>, signal?: AbortSignal): Promise<string>;
  /** Forgets a token that a registry refused; another that has replaced it meanwhile stays. */
  forget(key: string, value: string): void;
}

interface Entry {
  readonly value: string;
  readonly freshUntil: number;
}

/** `now` is a monotonic clock in milliseconds: a token's age must not depend on what the wall clock is set to. */
export function createTokenCache(now: () => number = () => performance.now()): TokenCache {
  const entries = new Map<string, Entry>();
  const flights = new Map<string, Promise<Entry>>();
  return {
    async get(key, fetch, signal) {
      const entry = entries.get(key);
      if (entry !== undefined && now() < entry.freshUntil) return entry.value;
      let flight = flights.get(key);
      if (flight === undefined) {
        const started = now();
        flight = fetch()
          .then(({ value, lifetimeMs }) => {
            // renewed a little early, so that it does not run out on its way to the registry
            const fresh = { value, freshUntil: started + lifetimeMs - Math.min(10_000, lifetimeMs / 4) };
            entries.set(key, fresh);
            return fresh;
          })
          .finally(() => flights.delete(key));
        flights.set(key, flight);
        // whoever is still waiting is told; where nobody is, nobody needs to be
        flight.catch(() => {});
      }
      return (await untilAborted(flight, signal)).value;
    },
    forget(key, value) {
      if (entries.get(key)?.value === value) entries.delete(key);
    },
  };
}

async function untilAborted<T>(flight: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return flight;
  signal.throwIfAborted();
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([flight, promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
