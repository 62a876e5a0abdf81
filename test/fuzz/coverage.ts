/**
 * Which blocks of the code under test have ever been run, as V8 counts them: an input that runs a new one is worth keeping.
 *
 * V8 counts blocks only of functions that it compiles after counting began, so this must be opened before the first call
 * of what is tested. Taking the counts costs a millisecond, the counting itself nothing that could be measured: they are
 * taken once a batch, and input by input only where a batch showed something new.
 */
import { type Profiler, Session } from "node:inspector";

/** Ascending, not overlapping: [start, end) in characters of a script. */
type Ranges = readonly (readonly [start: number, end: number])[];

export class Coverage {
  readonly #session = new Session();
  readonly #scripts: RegExp;
  /** What of each function that was ever called has not been run yet. */
  readonly #unseen = new Map<string, Ranges>();

  /** `scripts` says by their URLs which ones count. */
  constructor(scripts: RegExp) {
    this.#scripts = scripts;
    this.#session.connect();
    this.#session.post("Profiler.enable");
    this.#session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });
  }

  /** Whether something was run since the last call that never was before. Remembers it, if `keep`. */
  take(keep: boolean): boolean {
    let found = false;
    for (const { url, functions } of this.#counts()) {
      if (!this.#scripts.test(url)) continue;
      for (const { ranges } of functions) {
        const [whole] = ranges;
        if (whole === undefined || whole.count === 0) continue;
        const key = `${url}:${whole.startOffset}:${whole.endOffset}`;
        const missed = notRun(ranges);
        const before = this.#unseen.get(key);
        const after = before === undefined ? missed : overlap(before, missed);
        if (before !== undefined && length(after) === length(before)) continue;
        found = true;
        if (keep) this.#unseen.set(key, after);
      }
    }
    return found;
  }

  [Symbol.dispose](): void {
    this.#session.post("Profiler.stopPreciseCoverage");
    this.#session.disconnect();
  }

  /** The inspector answers at once when it is asked from the thread that it looks at. */
  #counts(): Profiler.ScriptCoverage[] {
    let answer: Profiler.ScriptCoverage[] = [];
    this.#session.post("Profiler.takePreciseCoverage", (error, { result }) => {
      if (error === null) answer = result;
    });
    return answer;
  }
}

/** V8 nests ranges: an inner one corrects the count of the one around it, and comes after it. */
function notRun(ranges: readonly Profiler.CoverageRange[]): Ranges {
  const zero: [number, number][] = [];
  for (const { startOffset, endOffset, count } of ranges) {
    const last = zero.at(-1);
    if (count === 0 && (last === undefined || startOffset >= last[1])) zero.push([startOffset, endOffset]);
  }
  return zero;
}

function overlap(left: Ranges, right: Ranges): Ranges {
  const both: [number, number][] = [];
  for (const [start, end] of left) {
    for (const [from, to] of right) {
      if (from < end && to > start) both.push([Math.max(start, from), Math.min(end, to)]);
    }
  }
  return both;
}

function length(ranges: Ranges): number {
  return ranges.reduce((sum, [start, end]) => sum + end - start, 0);
}
