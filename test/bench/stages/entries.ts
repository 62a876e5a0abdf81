/** What is done with entries in memory: the index to bytes and back, and the merge of an image's layers. */
import { deserialize, serialize } from "node:v8";
import type { Entry } from "../../../src/layers/entry.ts";
import { decodeEntryIndex, encodeEntryIndex } from "../../../src/layers/entry-index.ts";
import { mergeLayers, walkTree } from "../../../src/layers/merge.ts";
import { here, type Stage } from "./stage.ts";

/** Beside structured cloning, which is what Node itself has for such data. */
export function indexStages(layers: readonly (readonly Entry[])[]): Stage[] {
  const indexes = layers.map((entries) => encodeEntryIndex(entries));
  const cloned = layers.map((entries) => serialize(entries));
  const common = {
    bytes: indexes.reduce((sum, index) => sum + index.length, 0),
    entries: layers.reduce((sum, entries) => sum + entries.length, 0),
  };
  return [
    {
      name: "encode",
      work: "the entry indexes of all layers",
      ...common,
      ways: [
        here("encodeEntryIndex", () => layers.forEach((entries) => void encodeEntryIndex(entries))),
        here("v8.serialize", () => layers.forEach((entries) => void serialize(entries))),
      ],
    },
    {
      name: "decode",
      work: "the entry indexes of all layers",
      ...common,
      ways: [
        here("decodeEntryIndex", () => indexes.forEach((index) => void decodeEntryIndex(index, "bench"))),
        here("v8.deserialize", () => cloned.forEach((bytes) => void deserialize(bytes))),
      ],
    },
  ];
}

/** Beside one map of all paths, sorted: what any merge has to do at least. */
export function mergeStage(layers: readonly (readonly Entry[])[]): Stage {
  return {
    name: "merge",
    work: "all layers to one tree, and a walk over it",
    bytes: 0,
    entries: layers.reduce((sum, entries) => sum + entries.length, 0),
    ways: [
      here("mergeLayers, walkTree", () => {
        let count = 0;
        for (const _ of walkTree(mergeLayers(layers).root)) count += 1;
        if (count === 0) throw new Error("The merged tree is empty");
      }),
      here("a sorted Map of all paths", () => {
        const paths = new Map<string, Entry>();
        for (const entries of layers) for (const entry of entries) paths.set(entry.path, entry);
        [...paths.keys()].sort();
      }),
    ],
  };
}
