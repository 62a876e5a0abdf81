import { describe, expect, test } from "vitest";
import { curlTar } from "./contenders/curl-tar.ts";
import { podmanImage } from "./contenders/podman.ts";
import { rootwrightCombined } from "./contenders/rootwright.ts";
import { skopeoUmoci } from "./contenders/skopeo-umoci.ts";
import { readOptions } from "./options.ts";
import type { Costs } from "./rounds.ts";
import { COPY, CP } from "./scenarios/copy.ts";
import { rowName } from "./scenarios/provision.ts";
import { cpu, pairedRatio, wall } from "./statistics.ts";
import { checkFailure, formatVerdict, judge, type Results, type Verdict } from "./targets.ts";

/** Costs of rounds from their wall times in ms; CPU the same. */
function costs(rows: Readonly<Record<string, readonly number[]>>, peakRssBytes = 300e6): Costs {
  const rounds = (times: readonly number[]) => times.map((ms) => ({ wallMs: ms, cpuMs: ms, peakRssBytes }));
  return new Map(Object.entries(rows).map(([name, times]) => [name, rounds(times)]));
}

function verdictOf(results: Results, words: string): Verdict {
  const found = judge(results).filter(({ target }) => target.startsWith(words));
  expect(found).toHaveLength(1);
  return found[0] as Verdict;
}

describe("pairedRatio", () => {
  test("is the median of the ratios within rounds, not the ratio of medians", () => {
    const measured = costs({ own: [10, 40, 90], other: [20, 50, 30] });
    expect(pairedRatio(measured, "own", "other", wall)).toBe(0.8);
  });

  test("is not known when one of the two was not measured", () => {
    expect(pairedRatio(costs({ own: [1] }), "own", "other", cpu)).toBeUndefined();
  });
});

describe("judge", () => {
  test("holds a cold pull against the peer that was fastest", () => {
    const cold = costs({
      rootwright: [45, 45],
      podman: [100, 100],
      "skopeo+umoci": [80, 80],
      "curl|gzip|tar": [50, 50],
    });
    const verdict = verdictOf(new Map([["large", { cold }]]), "cold large: wall ≤ 0.5 ×");
    expect(verdict).toMatchObject({ found: 45 / 80, holds: false, against: "skopeo+umoci" });
    expect(formatVerdict(verdict)).toMatch(/^MISSED {2}.*: 0\.56 \(skopeo\+umoci\)$/);
  });

  test("says when only one peer was there to be compared with", () => {
    const cold = costs({ rootwright: [45], podman: [100] });
    const verdict = verdictOf(new Map([["large", { cold }]]), "cold large: wall ≤ 0.5 ×");
    expect(formatVerdict(verdict)).toMatch(/^ {4}ok {2}.*: 0\.45 \(podman, the only peer that took part\)$/);
  });

  test("gives images of one layer another limit", () => {
    const cold = costs({ rootwright: [65], podman: [100] });
    expect(verdictOf(new Map([["big-file", { cold }]]), "cold big-file: wall").holds).toBe(true);
    expect(verdictOf(new Map([["large", { cold }]]), "cold large: wall ≤ 0.5 ×").holds).toBe(false);
  });

  test("misses the CPU target when it is just reached, and the wall target only beyond it", () => {
    const cold = costs({ rootwright: [110], podman: [110], "curl|gzip|tar": [100] });
    expect(verdictOf(new Map([["large", { cold }]]), "cold large: CPU").holds).toBe(false);
    expect(verdictOf(new Map([["large", { cold }]]), "cold large: wall ≤ 1.1 ×").holds).toBe(true);
  });

  test("takes the highest peak memory of all rounds", () => {
    const cold = new Map([
      ["rootwright", [390e6, 401e6, 380e6].map((peakRssBytes) => ({ wallMs: 1, cpuMs: 1, peakRssBytes }))],
    ]);
    expect(verdictOf(new Map([["large", { cold }]]), "cold large: peak RSS")).toMatchObject({
      found: 401,
      holds: false,
    });
  });

  test("compares the copy backend with cp", () => {
    const copy = costs({ [COPY]: [119], [CP]: [100] });
    expect(verdictOf(new Map([["large", { copy }]]), "copy large: wall")).toMatchObject({ found: 1.19, holds: true });
  });

  test("holds the copy backend's memory, not cp's, against the limit", () => {
    const copy = new Map([...costs({ [COPY]: [1] }, 410e6), ...costs({ [CP]: [1] }, 3e6)]);
    const verdict = verdictOf(new Map([["many-files", { copy }]]), "copy many-files: peak RSS");
    expect(verdict).toMatchObject({ found: 410, limit: 400, holds: false });
  });

  test("judges a provision by the image that is slowest beside ten files", () => {
    const rows = (image: string, ms: number) =>
      costs({
        [rowName("overlay", "provision", { name: image })]: [ms],
        [rowName("overlay", "provision", { name: "tiny" })]: [10],
      });
    const results: Results = new Map([
      ["large", { provision: rows("large", 11) }],
      ["many-files", { provision: rows("many-files", 18) }],
    ]);
    expect(verdictOf(results, "overlay")).toMatchObject({ found: 1.8, holds: false, against: "many-files" });
    expect(verdictOf(results, "bind").holds).toBeUndefined();
  });

  test("neither holds nor misses what was not measured", () => {
    const verdicts = judge(new Map());
    expect(verdicts.map(({ holds }) => holds)).toEqual(verdicts.map(() => undefined));
    expect(formatVerdict(verdicts[0] as Verdict)).toMatch(/not measured$/);
  });
});

describe("checkFailure", () => {
  const judged = (wallMs: number) => judge(new Map([["large", { copy: costs({ [COPY]: [wallMs], [CP]: [100] }) }]]));

  test("is nothing when all that was measured holds", () => {
    expect(checkFailure(judged(100))).toBeUndefined();
  });

  test("is that a target was missed", () => {
    expect(checkFailure(judged(130))).toBe("targets missed: 1");
  });

  test("is that nothing was judged, when nothing was measured that has a target", () => {
    expect(checkFailure(judge(new Map()))).toMatch(/^nothing was judged/);
  });
});

describe("readOptions", () => {
  const all = [rootwrightCombined, podmanImage, skopeoUmoci, curlTar];

  test("runs everything on the large image unless it is told otherwise", () => {
    expect(readOptions([], all)).toMatchObject({
      runs: 5,
      images: ["large"],
      scenarios: ["cold", "warm", "copy", "provision", "stages"],
      contenders: all,
      check: false,
    });
  });

  test("takes contenders alone for the scenarios in which they meet", () => {
    const { scenarios, contenders } = readOptions(["--only", "podman,rootwright"], all);
    expect(scenarios).toEqual(["cold", "warm"]);
    expect(contenders).toEqual([rootwrightCombined, podmanImage]);
  });

  test.each([
    [["--image", "large,huge"], "--image knows no huge"],
    [["--image", ""], "--image takes some of"],
    [["--only", "hot"], "--only knows no hot"],
    [["--runs", "0"], "--runs takes a number from 1 on"],
  ])("refuses %j", (args, message) => {
    expect(() => readOptions(args, all)).toThrow(message);
  });
});
