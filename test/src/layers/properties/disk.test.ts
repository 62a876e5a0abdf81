/** A random layer unpacked on a disk is what its entry index says, in every fact, in overlay form. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openTree } from "../../../../native/index.ts";
import type { Entry } from "../../../../src/layers/entry.ts";
import { parentPath } from "../../../../src/layers/entry.ts";
import { describeTree, diffTrees, type EntryFacts, type TreeFacts } from "../../../support/compare-trees.ts";
import { toTar } from "../../../support/layer-items.ts";
import { contentHash } from "../../../support/layer-model.ts";
import { comparedMost, forRandomStacks, noCounts, unlessMalformed } from "../../../support/stack-property.ts";
import { openUnpacker, type Unpacked, type Unpacker } from "../../../support/unpack.ts";
import { entryFacts, SHOWN_TYPES } from "./entry-facts.ts";

/** On a disk in overlay form. */
const TYPES = { ...SHOWN_TYPES, whiteout: "char", "lower-hardlink": "char" } as const;

describe.skipIf(process.getuid?.() !== 0)("a random layer (needs root)", () => {
  let unpacker: Unpacker;
  beforeAll(async () => {
    unpacker = await openUnpacker();
  });
  afterAll(() => unpacker[Symbol.asyncDispose]());

  test("is on the disk what its entry index says", async () => {
    const counts = noCounts();
    await forRandomStacks({ cases: 300, stream: 9, maxLayers: 3 }, async (stack) => {
      // the topmost, whose links may well go to layers below
      const tar = toTar(stack.at(-1) ?? []);
      const unpacked = await unlessMalformed(() => unpacker.unpack(tar));
      counts[unpacked === undefined ? "refused" : "compared"] += 1;
      if (unpacked === undefined) return [];
      const ignoreWhere = (_path: string, fact: keyof EntryFacts, { device }: EntryFacts): boolean =>
        // of a whiteout nobody sees more than that it is one
        device === "0:0" && fact !== "type" && fact !== "device";
      return [
        ...diffTrees(indexed(unpacked, tar), await describeTree(unpacked.fsPath), { ignoreWhere }),
        ...opaqueDifferences(unpacked),
      ];
    });
    expect(comparedMost(counts)).toBe(true);
  });
});

/** The tree that the index speaks of. Whiteouts in an opaque directory are left out: it hides all that they would. */
function indexed({ entries }: Unpacked, tar: Buffer): TreeFacts {
  const tree: TreeFacts = new Map();
  const names = new Map<string, string[]>();
  for (const entry of entries.values()) {
    if (hides(entry) && entries.get(parentPath(entry.path))?.opaque) continue;
    const file = entry.type === "hardlink" ? (entries.get(entry.link) as Entry) : entry;
    const path = entry.path === "" ? "." : entry.path;
    tree.set(path, factsOf(file, tar));
    if (file.type !== "directory") names.set(file.path, [...(names.get(file.path) ?? []), path]);
  }
  for (const group of names.values()) {
    if (group.length < 2) continue;
    const links = group.sort().join(" = ");
    for (const path of group) tree.set(path, { ...(tree.get(path) as EntryFacts), links });
  }
  return tree;
}

/** A link to a lower layer is a whiteout on the disk: the fix-up shows it, and what lower layers have there must not. */
function hides({ type }: Entry): boolean {
  return type === "whiteout" || type === "lower-hardlink";
}

function factsOf(entry: Entry, tar: Buffer): EntryFacts {
  return entryFacts(entry, () => contentHash(tar.subarray(entry.offset, entry.offset + entry.size)), TYPES);
}

function opaqueDifferences({ fsPath, entries }: Unpacked): string[] {
  using tree = openTree(fsPath);
  return [...entries.values()].flatMap(({ path, type, opaque }) => {
    if (type !== "directory") return [];
    const marked = tree.xattrs(path || ".").some(([name]) => name === "trusted.overlay.opaque");
    return marked === opaque ? [] : [`${path}: opaque ${opaque} expected, ${marked} found`];
  });
}
