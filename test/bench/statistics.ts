/** Medians, and ratios by pairs: within each round, one contender's cost by another's. */
import type { Cost } from "./measure.ts";
import type { Costs } from "./rounds.ts";

export interface Spread {
  readonly min: number;
  readonly median: number;
  readonly max: number;
}

export type Pick = (cost: Cost) => number;

export const wall: Pick = (cost) => cost.wallMs;
export const cpu: Pick = (cost) => cost.cpuMs;

export function spread(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (place: number) => sorted[place] ?? Number.NaN;
  const middle = (sorted.length - 1) / 2;
  return { min: at(0), median: (at(Math.floor(middle)) + at(Math.ceil(middle))) / 2, max: at(sorted.length - 1) };
}

/** Median over the rounds of (own ÷ other's). Undefined when one of them was not measured. */
export function pairedRatio(costs: Costs, own: string, other: string, pick: Pick): number | undefined {
  const others = costs.get(other) ?? [];
  const ratios = (costs.get(own) ?? []).flatMap((cost, at) => {
    const opposite = others[at];
    return opposite !== undefined && pick(opposite) > 0 ? [pick(cost) / pick(opposite)] : [];
  });
  return ratios.length === 0 ? undefined : spread(ratios).median;
}
