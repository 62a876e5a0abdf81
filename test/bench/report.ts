/** Tables of medians, and how rootwright compares, from the costs of paired rounds. */
import type { Cost } from "./measure.ts";
import type { Costs } from "./rounds.ts";
import { cpu, pairedRatio, type Spread, spread, wall } from "./statistics.ts";

export interface Summary {
  readonly name: string;
  readonly wallMs: Spread;
  readonly cpuMs: Spread;
  readonly peakRssBytes: Spread;
  /** Medians of the CPU that others used meanwhile. */
  readonly disturbance?: { readonly registryMs: number; readonly othersMs: number };
  /** Median over the rounds of (the reference's cost ÷ this one's): below 1, the reference is cheaper. */
  readonly referenceRatio?: { readonly wall: number; readonly cpu: number };
}

/** Ratios are those of the row named `reference`, when it took part. */
export function summarise(costs: Costs, reference: string): Summary[] {
  return [...costs].map(([name, rounds]) => {
    const median = (pick: (cost: Cost) => number) => spread(rounds.map(pick)).median;
    const [wallRatio, cpuRatio] = [wall, cpu].map((pick) => pairedRatio(costs, reference, name, pick));
    return {
      name,
      wallMs: spread(rounds.map(wall)),
      cpuMs: spread(rounds.map(cpu)),
      peakRssBytes: spread(rounds.map((cost) => cost.peakRssBytes)),
      ...(rounds.some((cost) => cost.disturbance) && {
        disturbance: {
          registryMs: median((cost) => cost.disturbance?.registryMs ?? 0),
          othersMs: median((cost) => cost.disturbance?.othersMs ?? 0),
        },
      }),
      ...(name !== reference &&
        wallRatio !== undefined && { referenceRatio: { wall: wallRatio, cpu: cpuRatio ?? Number.NaN } }),
    };
  });
}

/** `does`: a row's explanation by its name. */
export function formatSummaries(
  title: string,
  summaries: readonly Summary[],
  does: Readonly<Record<string, string>>,
): string {
  const rows = summaries.map(({ name, wallMs, cpuMs, peakRssBytes, disturbance, referenceRatio }) => [
    name,
    [wallMs.min, wallMs.median, wallMs.max].map(milliseconds).join(" / "),
    milliseconds(cpuMs.median),
    peakRssBytes.median === 0 ? "–" : (peakRssBytes.median / 2 ** 20).toFixed(0),
    ...[disturbance?.registryMs, disturbance?.othersMs].map((ms) => (ms === undefined ? "–" : milliseconds(ms))),
    referenceRatio ? referenceRatio.wall.toFixed(2) : "–",
    referenceRatio ? referenceRatio.cpu.toFixed(2) : "–",
    does[name] ?? "",
  ]);
  const heading = ["", "wall ms min / median / max", "CPU ms", "RSS MiB", "registry", "others", "wall ×", "CPU ×", ""];
  return formatTable(title, heading, rows);
}

/** The first and the last column hold text, those between them numbers. */
export function formatTable(title: string, heading: readonly string[], rows: readonly (readonly string[])[]): string {
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

/** What share of the machine the registry and everybody else had while `name` was measured: it was not alone. */
export function formatDisturbance(summaries: readonly Summary[], name: string, cores: number): string | undefined {
  const own = summaries.find((summary) => summary.name === name);
  if (own?.disturbance === undefined) return undefined;
  const share = (ms: number) => `${((100 * ms) / (own.wallMs.median * cores)).toFixed(0)} %`;
  const { registryMs, othersMs } = own.disturbance;
  return `While ${name} ran, of the machine's ${cores} cores the registry had ${share(registryMs)}, everything else ${share(othersMs)} (the kernel's writing back, this benchmark, neighbours); ${name} itself ${share(own.cpuMs.median)}.`;
}

export function milliseconds(value: number): string {
  return value.toFixed(value < 100 ? 1 : 0);
}
