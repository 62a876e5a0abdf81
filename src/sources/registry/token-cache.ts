/**
 * Tokens while they last: one for each realm, service, scope, registry and user, fetched once however many layers ask for
 * it at the same moment.
 */

export interface Expiring {
  /** What a registry may refuse: the token itself, or the header that it is sent in. */
  readonly value: string;
  /** From when it was asked for. 0: good for those who are waiting for it now, and no longer. */
  readonly lifetimeMs: number;
}

export interface TokenCache<T extends Expiring> {
  /** The cached token, or what `fetch` brings. Several callers share one `fetch`; the signal only ends one's waiting. */
  get(key: string, fetch: () => Promise<T>, signal?: AbortSignal): Promise<T>;
  /** Forgets a token that a registry refused; another that has replaced it meanwhile stays. */
  forget(key: string, value: string): void;
}

interface Entry<T> {
  readonly token: T;
  readonly freshUntil: number;
}

/** A daemon meets ever more repositories and users; what is forgotten is only asked for again. */
const MAX_TOKENS = 4096;

/** `now` is a monotonic clock in milliseconds: a token's age must not depend on what the wall clock is set to. */
export function createTokenCache<T extends Expiring>(now: () => number = () => performance.now()): TokenCache<T> {
  const entries = new Map<string, Entry<T>>();
  const flights = new Map<string, Promise<T>>();
  const keep = (key: string, entry: Entry<T>): void => {
    entries.delete(key);
    entries.set(key, entry);
    if (entries.size <= MAX_TOKENS) return;
    for (const [old, { freshUntil }] of entries) {
      if (freshUntil <= now() || entries.size > MAX_TOKENS) entries.delete(old);
    }
  };
  return {
    async get(key, fetch, signal) {
      const entry = entries.get(key);
      if (entry !== undefined && now() < entry.freshUntil) return entry.token;
      let flight = flights.get(key);
      if (flight === undefined) {
        const started = now();
        flight = fetch()
          .then((token) => {
            // renewed a little early, so that it does not run out on its way to the registry
            const { lifetimeMs } = token;
            keep(key, { token, freshUntil: started + lifetimeMs - Math.min(10_000, lifetimeMs / 4) });
            return token;
          })
          .finally(() => flights.delete(key));
        flights.set(key, flight);
        // whoever is still waiting is told; where nobody is, nobody needs to be
        flight.catch(() => {});
      }
      return untilAborted(flight, signal);
    },
    forget(key, value) {
      if (entries.get(key)?.token.value === value) entries.delete(key);
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
