/** The stack tasks of a worker: they read entry indexes, merge them, and write what the merged tree calls for. */
import { readFileSync, writeFileSync } from "node:fs";
import { copyContent, finishCopy } from "./copy-tree.ts";
import { decodeEntryIndex, encodeEntryIndex } from "./entry-index.ts";
import { describeStack, type StackFacts, writeFixUp } from "./fix-up.ts";
import { type MergedTree, mergeLayers } from "./merge.ts";
import type { CopyTask, FixUpTask, StackLayer } from "./tasks.ts";

export function makeFixUp(task: FixUpTask): StackFacts {
  const tree = readMerged(task.layers);
  const facts = describeStack(tree, task.stackable);
  if (task.stackable) {
    writeFixUp(
      tree,
      task.layers.map((layer) => layer.fsPath),
      task.fsPath,
    );
  }
  writeFileSync(task.indexPath, encodeEntryIndex([]), { mode: 0o600, flag: "wx" });
  return facts;
}

export function copyStack(task: CopyTask): void {
  const layerPaths = task.layers.map((layer) => layer.fsPath);
  const tree = readMerged(task.layers);
  if (task.stage !== "finish") copyContent(tree, layerPaths, task, task.share);
  if (task.stage !== "content") finishCopy(tree, task);
}

export function readMerged(layers: readonly StackLayer[]): MergedTree {
  const shadowed = layers.flatMap(({ fsPath }, at) =>
    layers.findLastIndex((layer) => layer.fsPath === fsPath) > at ? [at] : [],
  );
  return mergeLayers(
    layers.map(({ indexPath }) => decodeEntryIndex(readFileSync(indexPath), indexPath)),
    new Set(shadowed),
  );
}
