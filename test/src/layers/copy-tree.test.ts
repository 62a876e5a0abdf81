import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { copyContent, finishCopy } from "../../../src/layers/copy-tree.ts";
import type { Entry } from "../../../src/layers/entry.ts";
import { type MergedTree, mergeLayers } from "../../../src/layers/merge.ts";
import { describeTree, diffTrees, type TreeFacts } from "../../support/compare-trees.ts";
import type { TarEntry } from "../../support/tar-builder.ts";
import { openUnpacker, type Unpacked, type Unpacker } from "../../support/unpack.ts";
import { MODES } from "./attacks/fixtures.ts";

const COUNT = 4;

/** One directory that every share writes into, a file of many names, and what has no content. */
const LOWER: readonly TarEntry[] = [
  { name: "all/", type: "dir", mode: 0o750, mtime: 7 },
  ...Array.from({ length: 12 }, (_, at) => ({ name: `all/${10 + at}`, content: `content ${at}`, mtime: 100 + at })),
  { name: "empty/", type: "dir", mode: 0o700, mtime: 8 },
  { name: "gone", content: "hidden by the next layer" },
  { name: "pipe", type: "fifo" },
  { name: "symlink", type: "symlink", linkname: "nowhere" },
  { name: "z/other", type: "hardlink", linkname: "all/10" },
];
const UPPER: readonly TarEntry[] = [
  { name: ".wh.gone" },
  { name: "a/", type: "dir" },
  { name: "z/lower", type: "hardlink", linkname: "all/10" },
];

let unpacker: Unpacker;
beforeAll(async () => {
  unpacker = await openUnpacker();
});
afterAll(() => unpacker[Symbol.asyncDispose]());

let made = 0;
function newDirectory(): string {
  made += 1;
  const path = join(unpacker.path, `copy-${made}`);
  mkdirSync(path);
  return path;
}

interface Stack {
  readonly tree: MergedTree;
  readonly paths: readonly string[];
}

function stackOf(layers: readonly Unpacked[], change: (entry: Entry) => Entry = (entry) => entry): Stack {
  const entries = layers.map((layer) => [...layer.entries.values()].map(change));
  return { tree: mergeLayers(entries), paths: layers.map(({ fsPath }) => fsPath) };
}

async function whole({ tree, paths }: Stack, privileged: boolean): Promise<TreeFacts> {
  const target = { path: newDirectory(), privileged };
  copyContent(tree, paths, target, { index: 0, count: 1 });
  finishCopy(tree, target);
  return await describeTree(target.path);
}

/** What each share writes that is no directory. */
async function leavesByShare({ tree, paths }: Stack, privileged: boolean): Promise<string[][]> {
  const shares: string[][] = [];
  for (let index = 0; index < COUNT; index += 1) {
    const path = newDirectory();
    copyContent(tree, paths, { path, privileged }, { index, count: COUNT });
    const facts = await describeTree(path);
    shares.push([...facts].flatMap(([name, { type }]) => (type === "dir" ? [] : [name])).sort());
  }
  return shares;
}

describe.each(MODES)("a copy in shares (as %s)", (_who, privileged) => {
  let stack: Stack;
  let layers: readonly Unpacked[];
  beforeAll(async () => {
    layers = [await unpacker.unpack(LOWER, { privileged }), await unpacker.unpack(UPPER, { privileged })];
    stack = stackOf(layers);
  });

  test("is the same directory as one made at once", async () => {
    const target = { path: newDirectory(), privileged };
    // the last one first: each of them finds directories that another has made
    for (const index of [3, 1, 0, 2]) copyContent(stack.tree, stack.paths, target, { index, count: COUNT });
    finishCopy(stack.tree, target);
    const [expected, found] = [await whole(stack, privileged), await describeTree(target.path)];
    expect(diffTrees(expected, found)).toEqual([]);
    expect(found.get("empty")).toMatchObject({ type: "dir", mode: 0o700, mtime: 8_000_000_000n });
    expect(found.get("all")).toMatchObject({ mode: 0o750, mtime: 7_000_000_000n });
    expect(found.get("z/other")?.links).toBe("all/10 = z/lower = z/other");
    expect(found.has("gone")).toBe(false);
  });

  test("is one share's work each, and a file of several names that of the share with the first", async () => {
    const shares = await leavesByShare(stack, privileged);
    expect(shares.every((names) => names.length >= 2)).toBe(true);
    const files = Array.from({ length: 12 }, (_, at) => `all/${10 + at}`);
    expect(shares.flat().sort()).toEqual([...files, "pipe", "symlink"]);
    expect(shares[0]).toContain("all/10");
  });

  test("loses nothing when sizes add up beyond what a number can tell", async () => {
    const huge = (entry: Entry): Entry =>
      entry.type === "file" ? { ...entry, size: Number.MAX_SAFE_INTEGER - 1 } : entry;
    const shares = await leavesByShare(stackOf(layers, huge), privileged);
    expect(shares.flat().sort()).toEqual((await leavesByShare(stack, privileged)).flat().sort());
  });

  test("is the empty directory for an empty image", async () => {
    const none = stackOf([await unpacker.unpack([], { privileged })]);
    expect(await leavesByShare(none, privileged)).toEqual([[], [], [], []]);
    expect([...(await whole(none, privileged)).keys()]).toEqual(["."]);
  });
});
