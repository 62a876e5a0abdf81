/** Whiteouts, paths and links of hostile layers: applied in memory, and merged. */
import { expect, test } from "vitest";
import { AppError } from "../../src/errors.ts";
import { LayerApplier } from "../../src/layers/apply.ts";
import type { Entry } from "../../src/layers/entry.ts";
import { describeStack } from "../../src/layers/fix-up.ts";
import { type MergedTree, mergeLayers } from "../../src/layers/merge.ts";
import { TarPart } from "../../src/layers/part.ts";
import type { TarEntry } from "../../src/layers/tar-entries.ts";
import { type FuzzTarget, fuzz, fuzzTimeoutMs } from "./engine.ts";
import { law } from "./law.ts";
import { checkLayer, checkMerged, checkWhiteouts } from "./layer-laws.ts";
import { mutateScript, readScript, writtenBytes } from "./layer-script.ts";
import { RecordingTree } from "./recording-tree.ts";
import { keptSeeds, succeeds } from "./seeds.ts";

const REFUSED = ["layer-invalid", "layer-escape", "layer-too-large", "layer-unsupported"];
const LIMITS = { maxEntries: 200, maxBytes: 2 ** 30, maxDepth: 40 };
const ZEROS = Buffer.alloc(1024);

const SECONDS = { layers: 4, part: 2 };
const SCRIPTS = { seeds: keptSeeds("layers"), mutate: mutateScript, maxBytes: 64 * 1024 };
const LAYERS: FuzzTarget = {
  ...SCRIPTS,
  name: "layers",
  run: applyAndMerge,
  inputs: 20_000,
  floor: 300,
  seconds: SECONDS.layers,
};
const PART: FuzzTarget = {
  ...SCRIPTS,
  name: "part",
  run: applyPart,
  inputs: 10_000,
  floor: 150,
  seconds: SECONDS.part,
};

test(
  "whatever layers say, their trees stay inside, agree with their entries, and merge as if applied in turn",
  () => {
    const { inputs, corpus, seed } = fuzz(LAYERS);
    console.log(`layers: ${inputs} inputs, ${corpus} kept, seed ${seed}`);
    expect(corpus).toBeGreaterThan(LAYERS.seeds.length);
  },
  fuzzTimeoutMs(SECONDS.layers),
);

test(
  "whatever a part of a tar says (Appc), its tree stays inside, agrees with its entries, and has what whitelists leave",
  () => {
    const { inputs, corpus, seed } = fuzz(PART);
    console.log(`part: ${inputs} inputs, ${corpus} kept, seed ${seed}`);
  },
  fuzzTimeoutMs(SECONDS.part),
);

function applyAndMerge(script: Buffer): void {
  const applied: Entry[][] = [];
  for (const layer of readScript(script)) {
    // a layer that is refused says nothing of the others
    succeeds(() => applied.push(applyLayer(layer)), REFUSED);
  }
  let tree: MergedTree | undefined;
  try {
    tree = mergeLayers(applied);
  } catch (error) {
    if (!(error instanceof AppError && error.code === "layer-invalid")) throw error;
    return;
  }
  checkMerged(tree, applied);
  describeStack(tree, true);
}

function applyLayer(layer: readonly TarEntry[]): Entry[] {
  const tree = new RecordingTree();
  const entries = applyEntries(layer, new LayerApplier(tree, LIMITS));
  checkLayer(entries, tree, writtenBytes);
  checkWhiteouts(layer, entries);
  return entries;
}

/** The first layer of a script; when there are more of them, with a whitelist. */
function applyPart(script: Buffer): void {
  const [layer = [], ...more] = readScript(script);
  const whitelists = more.length === 0 ? [] : [["/b", "/c/", "/d/a", "/.wh.a"]];
  const left = new Set(["", "b", "c", "d", "d/a", ".wh.a"]);
  const tree = new RecordingTree(false);
  succeeds(() => {
    const part = new TarPart({ directory: "a", whitelists });
    const entries = applyEntries(layer, new LayerApplier(tree, LIMITS, part));
    checkLayer(entries, tree, writtenBytes);
    for (const { path } of entries) law(whitelists.length === 0 || left.has(path), "not in the whitelist", path);
  }, REFUSED);
}

function applyEntries(layer: readonly TarEntry[], applier: LayerApplier): Entry[] {
  for (const entry of layer) {
    applier.begin(entry);
    const written = writtenBytes(entry);
    if (written > 0) applier.data(ZEROS.subarray(0, 1));
    if (written > 1) applier.data(ZEROS.subarray(1, written));
    applier.end();
  }
  return applier.finish();
}
