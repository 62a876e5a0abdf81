/** The command line of `npm run bench`. */
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { Contender } from "./contender.ts";
import { IMAGE_NAMES, type ImageName } from "./images.ts";
import { SCENARIOS, type Scenario } from "./targets.ts";

export interface BenchOptions {
  readonly runs: number;
  readonly images: readonly ImageName[];
  readonly scenarios: readonly Scenario[];
  readonly contenders: readonly Contender[];
  /** Where the JSON goes. */
  readonly json: string;
  /** A target that does not hold is a failure. */
  readonly check: boolean;
}

/** Those in which contenders take part by name. */
const CONTESTS: readonly Scenario[] = ["cold", "warm"];

/** Throws an Error that says what is wrong and what would be right. */
export function readOptions(args: readonly string[], contenders: readonly Contender[]): BenchOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      runs: { type: "string", default: "5" },
      image: { type: "string", default: "large" },
      only: { type: "string", default: "" },
      json: { type: "string", default: join(tmpdir(), "rootwright-bench.json") },
      check: { type: "boolean", default: false },
    },
  });
  const runs = Number(values.runs);
  if (!Number.isInteger(runs) || runs < 1) throw new Error("--runs takes a number from 1 on; 5 or more to keep");
  const images = choices("image", values.image, IMAGE_NAMES);
  if (images.length === 0) throw new Error(`--image takes some of ${IMAGE_NAMES.join(", ")}`);
  const names = contenders.map(({ name }) => name);
  const only = choices("only", values.only, [...SCENARIOS, ...names]);
  const scenarios = SCENARIOS.filter((name) => only.includes(name));
  const chosen = contenders.filter(({ name }) => only.includes(name));
  return {
    runs,
    images,
    scenarios: scenarios.length > 0 ? scenarios : chosen.length > 0 ? CONTESTS : SCENARIOS,
    contenders: chosen.length > 0 ? chosen : contenders,
    json: values.json,
    check: values.check,
  };
}

function choices<T extends string>(option: string, text: string, known: readonly T[]): T[] {
  const words = text.split(",").filter((word) => word !== "");
  return [...new Set(words)].map((word) => {
    const found = known.find((name) => name === word);
    if (found === undefined) throw new Error(`--${option} knows no ${word}; choose from ${known.join(", ")}`);
    return found;
  });
}
