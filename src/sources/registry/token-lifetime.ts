/**
 * How long a token lasts, from what its server says: `expires_in` seconds after `issued_at` (distribution, token
 * authentication). Both are optional, and what cannot be understood counts as not said.
 */

/** What the specification gives a token that does not say. */
const DEFAULT_LIFETIME_S = 60;

export interface LifetimeClaims {
  readonly expires_in?: unknown;
  /** RFC 3339. A server may hand out a token that it had made for somebody before. */
  readonly issued_at?: unknown;
}

/**
 * From now on, in milliseconds; not negative. `date` is the answer's Date header: with it a token's age is told by its own
 * server's clock, since this machine's may be wrong.
 */
export function tokenLifetimeMs({ expires_in, issued_at }: LifetimeClaims, date?: string): number {
  const seconds = typeof expires_in === "string" && /^[0-9]{1,9}$/.test(expires_in) ? Number(expires_in) : expires_in;
  // servers that say 0 mean that they do not say
  const lifetimeS = typeof seconds === "number" && seconds > 0 ? seconds : DEFAULT_LIFETIME_S;
  const issued = typeof issued_at === "string" ? Date.parse(issued_at) : Number.NaN;
  const ageMs = date === undefined ? Number.NaN : Date.parse(date) - issued;
  return Math.max(0, lifetimeS * 1000 - (ageMs > 0 ? ageMs : 0));
}
