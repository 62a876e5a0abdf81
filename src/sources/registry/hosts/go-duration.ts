/** Durations as Go programs write them in their configuration: `1.5s`, `300ms`, `1h2m`. */

const UNIT_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};
const PART = /([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)/g;

/** The longest that a timer of Node's can wait. */
const MAX_MS = 2 ** 31 - 1;

/** In whole milliseconds, at least 1 for anything above 0, and no more than a timer can wait. Undefined when it is no duration. */
export function parseGoDuration(text: string): number | undefined {
  const unsigned = text.replace(/^\+/, "");
  if (unsigned === "0") return 0;
  if (unsigned === "" || unsigned.replaceAll(PART, "") !== "") return undefined;
  const parts = [...unsigned.matchAll(PART)];
  const total = parts.reduce((sum, [, count, unit]) => sum + Number(count) * (UNIT_MS[unit ?? ""] ?? 0), 0);
  return Math.min(Math.ceil(total), MAX_MS);
}
