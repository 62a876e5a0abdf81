/** An entry index that was damaged in a way that its checksum does not show, or was made to look whole. */
import { deepEqual } from "node:assert/strict";
import { crc32 } from "node:zlib";
import { test } from "vitest";
import { type Entry, impliedDirectory } from "../../src/layers/entry.ts";
import { decodeEntryIndex, encodeEntryIndex } from "../../src/layers/entry-index.ts";
import { type FuzzTarget, fuzz, fuzzTimeoutMs } from "./engine.ts";
import { law } from "./law.ts";
import { mutateBytes } from "./mutate-bytes.ts";
import { keptSeeds, succeeds } from "./seeds.ts";

const ENTRIES: readonly Entry[] = [
  { ...impliedDirectory(""), opaque: true },
  { ...impliedDirectory("d"), implied: false, mode: 0o2755, uid: 70_000, mtimeSec: -2, mtimeNsec: 999_999_999 },
  { ...impliedDirectory("d/file"), implied: false, type: "file", size: 2 ** 40 + 7, offset: 2 ** 41, checksum: 7 },
  { ...impliedDirectory("d/file\xff"), implied: false, type: "hardlink", link: "d/file" },
  { ...impliedDirectory("e"), implied: false, type: "symlink", link: "../\xc3\xa9" },
  { ...impliedDirectory("f"), implied: false, type: "character", major: 4095, minor: 1_048_575 },
  { ...impliedDirectory("g"), implied: false, type: "whiteout" },
  { ...impliedDirectory("h"), implied: false, type: "fifo", xattrs: [["user.a", Buffer.from([0, 255, 10])]] },
];

const SECONDS = 3;
const TARGET: FuzzTarget = {
  name: "entry-index",
  seeds: [
    { name: "an entry of every type", bytes: body(encodeEntryIndex(ENTRIES)) },
    { name: "none", bytes: body(encodeEntryIndex([])) },
    ...keptSeeds("entry-index"),
  ],
  // the first eight bytes are the format's name, of which any change ends it
  mutate: (input, other, random) =>
    Buffer.concat([input.subarray(0, 8), mutateBytes(input.subarray(8), other.subarray(8), random)]),
  run: decodeMended,
  inputs: 30_000,
  floor: 500,
  seconds: SECONDS,
  maxBytes: 4096,
};

test(
  "an index with a mended checksum is refused, or says what can be said again, in memory of its own size",
  () => {
    const { inputs, corpus, seed } = fuzz(TARGET);
    console.log(`entry-index: ${inputs} inputs, ${corpus} kept, seed ${seed}`);
  },
  fuzzTimeoutMs(SECONDS),
);

/** Kept without the checksum at its end. */
function body(index: Buffer): Buffer {
  return index.subarray(0, -4);
}

function decodeMended(input: Buffer): void {
  const checksum = Buffer.alloc(4);
  checksum.writeUInt32LE(crc32(input));
  let entries: Entry[] = [];
  succeeds(() => {
    entries = decodeEntryIndex(Buffer.concat([input, checksum]), "index");
  }, ["layer-corrupt"]);
  law(entries.length <= input.length, "more entries than bytes");
  for (const { path, mode, uid, gid, size, offset, checksum: crc, mtimeSec, mtimeNsec, major, minor } of entries) {
    const numbers = [mode, uid, gid, size, offset, crc, mtimeSec, mtimeNsec, major, minor];
    law(numbers.every(Number.isSafeInteger), "a number is none", path);
    law(path.length <= input.length ** 2, "a path is longer than all bytes", path);
  }
  deepEqual(decodeEntryIndex(encodeEntryIndex(entries), "index"), entries);
}
