/** Applying and merging layers in memory equals the model, in every fact, for stacks made by chance. */
import { expect, test } from "vitest";
import { LayerApplier } from "../../../../src/layers/apply.ts";
import type { Entry } from "../../../../src/layers/entry.ts";
import { decodeEntryIndex, encodeEntryIndex } from "../../../../src/layers/entry-index.ts";
import { DEFAULT_LIMITS } from "../../../../src/layers/limits.ts";
import { type Inode, mergeLayers, type Node, walkTree } from "../../../../src/layers/merge.ts";
import { TarReader } from "../../../../src/layers/tar-entries.ts";
import type { EntryFacts, TreeFacts } from "../../../support/compare-trees.ts";
import { FOUND_STACKS } from "../../../support/found-stacks.ts";
import { type LayerStack, toTar } from "../../../support/layer-items.ts";
import { type MemoryTree, memoryTree } from "../../../support/memory-layer-tree.ts";
import {
  comparedMost,
  equalsModel,
  forRandomStacks,
  noCounts,
  unlessMalformed,
} from "../../../support/stack-property.ts";
import { entryFacts } from "./entry-facts.ts";

test("a random stack merges into what applying its layers one after another gives, or is refused", async () => {
  const counts = noCounts();
  const property = equalsModel(counts, (stack) => unlessMalformed(async () => merged(stack)));
  await forRandomStacks({ cases: 15_000, stream: 0 }, property);
  expect(comparedMost(counts)).toBe(true);
});

test.each(FOUND_STACKS)("%s", async (_what, stack) => {
  const property = equalsModel(noCounts(), (each) => unlessMalformed(async () => merged(each)));
  expect(await property(stack)).toEqual([]);
});

function merged(stack: LayerStack): TreeFacts {
  const trees: MemoryTree[] = [];
  const indexes: Entry[][] = [];
  for (const layer of stack) {
    const tree = memoryTree();
    const applier = new LayerApplier(tree, DEFAULT_LIMITS);
    const reader = new TarReader(applier);
    reader.write(toTar(layer));
    reader.end();
    trees.push(tree);
    indexes.push(decodeEntryIndex(encodeEntryIndex(applier.finish()), "memory"));
  }
  return factsOf(mergeLayers(indexes).root, trees);
}

function factsOf(root: Node, trees: readonly MemoryTree[]): TreeFacts {
  const tree: TreeFacts = new Map();
  const names = new Map<Inode, string[]>();
  for (const [at, node] of [["", root] as const, ...walkTree(root)]) {
    const path = at === "" ? "." : at;
    tree.set(path, describeInode(node.inode, trees));
    if (node.children === undefined) names.set(node.inode, [...(names.get(node.inode) ?? []), path]);
  }
  for (const group of names.values()) {
    if (group.length < 2) continue;
    const links = group.sort().join(" = ");
    for (const path of group) tree.set(path, { ...(tree.get(path) as EntryFacts), links });
  }
  return tree;
}

function describeInode({ entry, layer }: Inode, trees: readonly MemoryTree[]): EntryFacts {
  return entryFacts(entry, () => trees[layer]?.contentOf(entry.path) ?? "no content");
}
