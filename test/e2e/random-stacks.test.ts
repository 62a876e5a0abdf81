/**
 * Stacks of layers by chance, through the real store and every backend, against the model of applying them one after
 * another; and the same model against umoci, which does so on a disk. ROOTWRIGHT_SEED and ROOTWRIGHT_CASES: see
 * test/support/stack-property.ts.
 */
import { chown, mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { describeTree, type TreeFacts } from "../support/compare-trees.ts";
import { FOUND_STACKS } from "../support/found-stacks.ts";
import type { LayerStack } from "../support/layer-items.ts";
import { applyLayers } from "../support/layer-model.ts";
import { missingPrograms, run } from "../support/peers.ts";
import { openLayout, openShower, type Shower, TAG } from "../support/shown-stacks.ts";
import {
  type Counts,
  comparedMost,
  equalsModel,
  forRandomStacks,
  noCounts,
  shrink,
} from "../support/stack-property.ts";
import { openTempDir, type TempDir } from "../support/temp-dir.ts";
import { asUmoci, UMOCI_DIFFERENCES } from "../support/umoci-differences.ts";

const root = process.getuid?.() === 0;
const USER = 65_534;

let temp: TempDir;
beforeAll(async () => {
  temp = await openTempDir("stacks");
});
afterAll(() => temp[Symbol.asyncDispose]());

describe.skipIf(!root)("a random stack (needs root)", () => {
  let shower: Shower;
  beforeAll(async () => {
    shower = await openShower(temp.path);
  });
  afterAll(() => shower[Symbol.asyncDispose]());

  test.each([
    ["overlay", { backend: "overlay" }, 1, 400],
    ["overlay, read-only", { backend: "overlay", readOnly: true }, 3, 300],
    ["copy", { backend: "copy" }, 6, 800],
  ] as const)("is shown by %s as applying its layers gives", async (_what, way, stream, cases) => {
    const counts = noCounts();
    const property = equalsModel(counts, (stack) => shower.show(stack, way));
    await forRandomStacks({ cases, stream, parallel: 3 }, property);
    expect(comparedMost(counts)).toBe(true);
  });

  test.each(FOUND_STACKS)("was found: %s", async (_what, stack) => {
    for (const backend of ["overlay", "copy"] as const)
      expect(await equalsModel(noCounts(), (each) => shower.show(each, { backend }))(stack)).toEqual([]);
  });

  test("of one layer is shown by bind as applying it gives", async () => {
    const counts = noCounts();
    const property = equalsModel(counts, (stack) => shower.show(stack, { backend: "bind" }));
    await forRandomStacks({ cases: 150, stream: 4, maxLayers: 1 }, property);
    expect(comparedMost(counts)).toBe(true);
  });
});

describe("to an ordinary user", () => {
  test("a random stack is shown by copy as applying its layers gives, except for what only root may have", async () => {
    const directory = join(temp.path, "user");
    await mkdir(directory, { mode: 0o755 });
    if (root) await chown(directory, USER, USER);
    const program = join(import.meta.dirname, "../support/user-stacks.ts");
    const identity = root ? { uid: USER, gid: USER, env: { HOME: directory } } : {};
    const { stdout } = await run(process.execPath, [program, directory, "200"], identity);
    expect(comparedMost(JSON.parse(stdout) as Counts)).toBe(true);
  });
});

const obstacle = root ? missingPrograms("umoci")[0] : "root";
describe.skipIf(obstacle !== undefined)(`umoci${obstacle === undefined ? "" : ` (needs ${obstacle})`}`, () => {
  let count = 0;
  /** Undefined when umoci refuses the stack. */
  const unpacked = async (stack: LayerStack): Promise<TreeFacts | undefined> => {
    count += 1;
    await using layout = await openLayout(join(temp.path, `umoci-${count}`), stack);
    const target = `${layout.path}-tree`;
    try {
      const args = ["raw", "unpack", "--image", `${layout.path}:${TAG}`, target];
      const { code } = await run("umoci", args, { exits: [0, 1] });
      return code === 0 ? await describeTree(target) : undefined;
    } finally {
      await rm(target, { recursive: true, force: true });
    }
  };
  const counts = noCounts();
  const compare = equalsModel(counts, unpacked, asUmoci);

  test("shows a random stack as the model does", async () => {
    const excluded = UMOCI_DIFFERENCES.map(({ quirk }) => quirk);
    let left = 0;
    await forRandomStacks({ cases: 1100, stream: 2, parallel: 3, avoid: excluded }, async (stack) => {
      const { tree, quirks } = applyLayers(stack);
      // what it refuses itself is not what is asked of it here
      if (tree !== undefined && !excluded.some((quirk) => quirks.has(quirk))) return await compare(stack);
      left += 1;
      return [];
    });
    expect(comparedMost(counts)).toBe(true);
    expect(left).toBeLessThan(Math.max(15, (left + counts.compared) * 0.15));
  });

  test.each(UMOCI_DIFFERENCES)("shows something else where the table says so: $quirk", async ({ quirk, example }) => {
    const alone = async (stack: LayerStack): Promise<readonly string[]> => {
      return [...applyLayers(stack).quirks].join() === quirk ? await compare(stack) : [];
    };
    expect(await alone(example)).not.toEqual([]);
    expect(await shrink(example, alone)).toEqual(example);
  });
});
