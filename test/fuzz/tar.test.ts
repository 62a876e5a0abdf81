/** Headers, PAX and GNU extensions, sparse maps and framing of hostile tars: read in any pieces, and applied in memory. */
import { deepEqual } from "node:assert/strict";
import { expect, test } from "vitest";
import { LayerApplier } from "../../src/layers/apply.ts";
import { decodePax, paxTime, paxXattrs } from "../../src/layers/pax.ts";
import { chunksOf } from "./chunking.ts";
import { type FuzzTarget, fuzz, fuzzTimeoutMs, type Seed } from "./engine.ts";
import { law } from "./law.ts";
import { checkLayer } from "./layer-laws.ts";
import { mutateRecords, mutateTar } from "./mutate-tar.ts";
import type { Random } from "./random.ts";
import { RecordingTree } from "./recording-tree.ts";
import { keptSeeds, succeeds } from "./seeds.ts";
import { bodyAt } from "./tar-blocks.ts";
import { checkEntries, checkPlain, checkXattrs, readTar, storedBytes } from "./tar-laws.ts";
import { tarSeeds } from "./tar-seeds.ts";

const SECONDS = { tar: 6, pax: 2 };
const LIMITS = { maxEntries: 500, maxBytes: 2 ** 53, maxDepth: 100 };
const SEEDS = tarSeeds();

const TAR: FuzzTarget = {
  name: "tar",
  seeds: SEEDS,
  mutate: mutateTar,
  run: readAndApply,
  inputs: 30_000,
  floor: 300,
  seconds: SECONDS.tar,
  maxBytes: 32 * 1024,
  pieces: [512, 1],
};

const PAX: FuzzTarget = {
  name: "pax",
  seeds: [...SEEDS.flatMap(bodyOf), ...keptSeeds("pax")],
  mutate: mutateRecords,
  run: decodeRecords,
  inputs: 30_000,
  floor: 300,
  seconds: SECONDS.pax,
  maxBytes: 4096,
};

test(
  "any tar is refused or read, the same whatever the pieces, its content where it lies, and its tree stays inside",
  () => {
    const { inputs, corpus, seed } = fuzz(TAR);
    console.log(`tar: ${inputs} inputs, ${corpus} kept, seed ${seed}`);
    expect(corpus).toBeGreaterThan(TAR.seeds.length);
  },
  fuzzTimeoutMs(SECONDS.tar),
);

test(
  "any PAX header is refused, or its records, times and attributes are such as it has room for",
  () => {
    const { inputs, corpus, seed } = fuzz(PAX);
    console.log(`pax: ${inputs} inputs, ${corpus} kept, seed ${seed}`);
  },
  fuzzTimeoutMs(SECONDS.pax),
);

// behind the others: code that was run before its blocks are counted is never counted (coverage.ts)
test.each(SEEDS)("is read whole: $name", ({ bytes }) => {
  const read = readTar([bytes]);
  checkEntries(bytes, read);
  expect(read.refused).toBeUndefined();
});

function readAndApply(tar: Buffer, random: Random): void {
  const whole = readTar([tar]);
  deepEqual(readTar(chunksOf(tar, random)), whole, "the entries depend on the pieces that the bytes came in");
  checkEntries(tar, whole);
  if (whole.refused === undefined) checkPlain(tar, whole);
  const tree = new RecordingTree();
  const applier = new LayerApplier(tree, LIMITS);
  if (readTar([tar], applier).refused === undefined) checkLayer(applier.finish(), tree, storedBytes);
}

/** The records of a tar that begins with a PAX header. */
function bodyOf({ name, bytes }: Seed): Seed[] {
  return bytes[156] === 0x78 || bytes[156] === 0x67 ? [{ name, bytes: bodyAt(bytes, 0) }] : [];
}

function decodeRecords(bytes: Buffer): void {
  let records: ReturnType<typeof decodePax> = new Map();
  const taken = succeeds(() => {
    records = decodePax(bytes);
  }, ["layer-invalid"]);
  if (!taken) return;
  let length = 0;
  for (const [key, value] of records) {
    length += key.length + value.length;
    law(key !== "", "a record without a key");
    const [seconds, nanoseconds] = paxTime(value);
    const isTime = /^-?[0-9]{1,15}(\.[0-9]*)?$/.test(value);
    law(
      isTime ? BigInt(seconds) * 10n ** 9n + BigInt(nanoseconds) === nanosecondsOf(value) : Number.isNaN(seconds),
      "no time",
    );
    law(nanoseconds >= 0 && nanoseconds < 1e9, "nanoseconds that are none");
  }
  law(length <= bytes.length, "more in the records than in the header");
  succeeds(() => {
    for (const type of ["file", "directory", "symlink"] as const) checkXattrs(paxXattrs(records, type));
  }, ["layer-invalid", "layer-too-large"]);
}

/** Of a decimal number of seconds, rounded down, whatever the number of its digits. */
function nanosecondsOf(text: string): bigint {
  const [whole = "", fraction = ""] = text.replace("-", "").split(".");
  const places = 10n ** BigInt(Math.max(0, fraction.length - 9));
  const value = BigInt(whole + fraction.padEnd(9, "0"));
  return text.startsWith("-") ? -((value + places - 1n) / places) : value / places;
}
