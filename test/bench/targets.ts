/** What rootwright promises of its speed (issue "Layers: exact, safe and fast"), held against what was measured. */
import type { ImageName } from "./images.ts";
import type { Costs } from "./rounds.ts";
import { COPY, CP } from "./scenarios/copy.ts";
import { BACKENDS, type MountingBackend, rowName } from "./scenarios/provision.ts";
import { cpu, pairedRatio, spread, wall } from "./statistics.ts";

export const SCENARIOS = ["cold", "warm", "copy", "provision", "stages"] as const;
export type Scenario = (typeof SCENARIOS)[number];

/** What was measured, by image. */
export type Results = ReadonlyMap<ImageName, Partial<Readonly<Record<Scenario, Costs>>>>;

export interface Verdict {
  /** With the limit, for people. */
  readonly target: string;
  readonly limit: number;
  /** Undefined when nothing was measured that could tell. */
  readonly found: number | undefined;
  readonly holds: boolean | undefined;
  /** What `found` was measured against. */
  readonly against?: string;
}

interface Finding {
  readonly value: number;
  readonly against?: string;
}

const OWN = "rootwright";
/** Those that make a root filesystem of an image, as rootwright does. */
const PEERS = ["podman", "podman-create", "containerd", "skopeo+umoci"];
const TOOLS = "curl|gzip|tar";
const RSS_MB = 400;
/** What takes the same time whatever the image differs by no more than what two measurements of one thing may. */
const CONSTANT = 1.5;

/** How much of the fastest peer's time a pull may take. */
const COLD: Partial<Record<ImageName, number>> = { large: 0.5, "big-file": 0.7, "many-files": 0.7 };

export function judge(results: Results): Verdict[] {
  const costs = (image: ImageName, scenario: Scenario): Costs => results.get(image)?.[scenario] ?? new Map();
  const cold = (Object.entries(COLD) as [ImageName, number][]).map(([image, limit]) =>
    verdict(`cold ${image}: wall ≤ ${limit} × the fastest peer's`, limit, toFastest(costs(image, "cold"))),
  );
  const toTools = ratio(costs("large", "cold"), OWN, TOOLS, wall);
  const toPodman = ratio(costs("large", "cold"), OWN, "podman", cpu);
  const memory = (scenario: Scenario, name: string) =>
    (Object.keys(COLD) as ImageName[]).map((image) =>
      verdict(`${scenario} ${image}: peak RSS < ${RSS_MB} MB`, RSS_MB, highestRss(costs(image, scenario), name), below),
    );
  const constant = BACKENDS.map((backend) =>
    verdict(`${backend}: O(1), provision ≤ ${CONSTANT} × that of ten files`, CONSTANT, toTiny(results, backend)),
  );
  return [
    ...cold,
    verdict(`cold large: wall ≤ 1.1 × ${TOOLS} in parallel`, 1.1, toTools),
    verdict("cold large: CPU below podman's", 1, toPodman, below),
    ...memory("cold", OWN),
    verdict("copy large: wall ≤ 1.2 × cp -a --reflink=auto", 1.2, ratio(costs("large", "copy"), COPY, CP, wall)),
    ...memory("copy", COPY),
    ...constant,
  ];
}

export function formatVerdict({ target, found, holds, against }: Verdict): string {
  if (found === undefined) return `     –  ${target}: not measured`;
  const value = found.toFixed(found < 10 ? 2 : 0);
  return `${holds === true ? "    ok" : "MISSED"}  ${target}: ${value}${against === undefined ? "" : ` (${against})`}`;
}

/** Why a check of these fails, or undefined. One that judged nothing has shown nothing. */
export function checkFailure(verdicts: readonly Verdict[]): string | undefined {
  const missed = verdicts.filter(({ holds }) => holds === false).length;
  if (missed > 0) return `targets missed: ${missed}`;
  if (verdicts.some(({ holds }) => holds === true)) return undefined;
  return "nothing was judged: no target is about what was measured";
}

type Holds = (value: number, limit: number) => boolean;
const atMost: Holds = (value, limit) => value <= limit;
const below: Holds = (value, limit) => value < limit;

function verdict(target: string, limit: number, finding: Finding | undefined, holds: Holds = atMost): Verdict {
  if (finding === undefined) return { target, limit, found: undefined, holds: undefined };
  const { value, against } = finding;
  return { target, limit, found: value, holds: holds(value, limit), ...(against !== undefined && { against }) };
}

function ratio(...args: Parameters<typeof pairedRatio>): Finding | undefined {
  const value = pairedRatio(...args);
  return value === undefined ? undefined : { value };
}

/** The fastest peer is the one that leaves rootwright the highest ratio. */
function toFastest(costs: Costs): Finding | undefined {
  const found = PEERS.flatMap((peer) => {
    const value = pairedRatio(costs, OWN, peer, wall);
    return value === undefined ? [] : [{ value, against: peer }];
  });
  const [fastest] = found.toSorted((a, b) => b.value - a.value);
  if (fastest === undefined || found.length > 1) return fastest;
  return { ...fastest, against: `${fastest.against}, the only peer that took part` };
}

function highestRss(costs: Costs, name: string): Finding | undefined {
  const rounds = costs.get(name) ?? [];
  return rounds.length === 0 ? undefined : { value: spread(rounds.map((cost) => cost.peakRssBytes)).max / 1e6 };
}

/** The image that is slowest beside ten files. */
function toTiny(results: Results, backend: MountingBackend): Finding | undefined {
  const found = [...results].flatMap(([image, { provision = new Map() }]) => {
    const names = [{ name: image }, { name: "tiny" }].map((each) => rowName(backend, "provision", each));
    const value = pairedRatio(provision, names[0] ?? "", names[1] ?? "", wall);
    return value === undefined ? [] : [{ value, against: image }];
  });
  return found.toSorted((a, b) => b.value - a.value)[0];
}
