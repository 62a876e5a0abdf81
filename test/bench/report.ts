/** Tables of medians, and how rootwright compares, from the costs of paired rounds. */
import type { Contender } from "./contender.ts";
import type { Cost } from "./measure.ts";
import type { Costs } from "./rounds.ts";

export interface Summary {
  readonly name: string;
  readonly wallMs: Spread;
  readonly cpuMs: Spread;
  readonly peakRssBytes: Spread;
  /** Median over the rounds of (the reference's cost ÷ this one's): below 1, the reference is cheaper. */
  readonly referenceRatio?: { readonly wall: number; readonly cpu: number };
}

interface Spread {
  readonly min: number;
  readonly median: number;
  readonly max: number;
}

/** Ratios are those of the contender named `reference`, when it took part. */
export function summarise(costs: Costs, reference: string): Summary[] {
  const own = costs.get(reference);
  return [...costs].map(([name, rounds]) => {
    const ratio = (pick: (cost: Cost) => number) =>
      spread(rounds.flatMap((cost, at) => (own?.[at] && pick(cost) > 0 ? [pick(own[at]) / pick(cost)] : []))).median;
    return {
      name,
      wallMs: spread(rounds.map((cost) => cost.wallMs)),
      cpuMs: spread(rounds.map((cost) => cost.cpuMs)),
      peakRssBytes: spread(rounds.map((cost) => cost.peakRssBytes)),
      ...(own &&
        name !== reference && { referenceRatio: { wall: ratio((c) => c.wallMs), cpu: ratio((c) => c.cpuMs) } }),
    };
  });
}

export function formatTable(title: string, summaries: readonly Summary[], contenders: readonly Contender[]): string {
  const does = new Map(contenders.map((contender) => [contender.name, contender.does]));
  const rows = summaries.map(({ name, wallMs, cpuMs, peakRssBytes, referenceRatio }) => [
    name,
    [wallMs.min, wallMs.median, wallMs.max].map(milliseconds).join(" / "),
    milliseconds(cpuMs.median),
    (peakRssBytes.median / 2 ** 20).toFixed(0),
    referenceRatio ? referenceRatio.wall.toFixed(2) : "–",
    referenceRatio ? referenceRatio.cpu.toFixed(2) : "–",
    does.get(name) ?? "",
  ]);
  const heading = ["", "wall ms min / median / max", "CPU ms", "RSS MiB", "wall ×", "CPU ×", ""];
  const widths = heading.map((_, column) => Math.max(...[heading, ...rows].map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, at) =>
        at === 0 || at === cells.length - 1 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0),
      )
      .join("  ")
      .trimEnd();
  return [title, line(heading), ...rows.map(line)].join("\n");
}

function spread(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (place: number) => sorted[place] ?? Number.NaN;
  const middle = (sorted.length - 1) / 2;
  return { min: at(0), median: (at(Math.floor(middle)) + at(Math.ceil(middle))) / 2, max: at(sorted.length - 1) };
}

function milliseconds(value: number): string {
  return value.toFixed(value < 100 ? 1 : 0);
}
