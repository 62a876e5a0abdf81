/** The decoders that are our own: zstd's frames and bzip2. Whatever the bytes, the same comes out however they are cut. */
import { zstdCompressSync } from "node:zlib";
import { test } from "vitest";
import { Bzip2Decompressor } from "../../src/layers/bzip2.ts";
import { ZstdFrames } from "../../src/layers/zstd-frames.ts";
import { bzip2Block, bzip2Stream } from "../support/bzip2-writer.ts";
import { chunksOf } from "./chunking.ts";
import { type FuzzTarget, fuzz, fuzzTimeoutMs } from "./engine.ts";
import { law } from "./law.ts";
import type { Random } from "./random.ts";
import { keptSeeds, succeeds } from "./seeds.ts";

const SECONDS = 2;
/** More of what a bomb becomes is not looked at. */
const ENOUGH = 64 * 1024;

const SKIPPABLE = Buffer.from("502a4d1805000000aaaaaaaaaa", "hex");
const FRAME = zstdCompressSync(Buffer.from("rootwright ".repeat(40)));

test.each<FuzzTarget>([
  {
    name: "zstd-frames",
    seeds: [
      { name: "two frames", bytes: Buffer.concat([FRAME, FRAME]) },
      { name: "a skippable frame", bytes: Buffer.concat([SKIPPABLE, FRAME, SKIPPABLE]) },
      { name: "an empty frame", bytes: zstdCompressSync(Buffer.alloc(0)) },
      ...keptSeeds("zstd-frames"),
    ],
    run: cutFrames,
    inputs: 20_000,
    floor: 500,
    seconds: SECONDS,
    maxBytes: 2048,
  },
  {
    name: "bzip2",
    seeds: [
      { name: "a run", bytes: bzip2Stream([bzip2Block({ runs: [1, 0, 1], byte: 0x61 })]) },
      { name: "two streams and zeros", bytes: twoStreams() },
      ...keptSeeds("bzip2"),
    ],
    run: undoBzip2,
    inputs: 5000,
    floor: 30,
    seconds: SECONDS,
    maxBytes: 2048,
  },
])(
  "$name: damaged streams are refused, and cutting them otherwise changes nothing",
  (target) => {
    const { inputs, corpus, seed } = fuzz(target);
    console.log(`${target.name}: ${inputs} inputs, ${corpus} kept, seed ${seed}`);
  },
  fuzzTimeoutMs(SECONDS),
);

function twoStreams(): Buffer {
  const blocks = [bzip2Block({ runs: [0], byte: 0x62 }), bzip2Block({ runs: [1, 1, 1, 1, 1, 1], byte: 0 })];
  return Buffer.concat([bzip2Stream(blocks), bzip2Stream([]), Buffer.alloc(20)]);
}

function cutFrames(input: Buffer, random: Random): void {
  const [whole, parts] = [framesOf([input]), framesOf(chunksOf(input, random))];
  law(whole === parts, "frames depend on the pieces that the bytes came in");
}

/** What becomes of each frame, and how it ends, as one text. */
function framesOf(chunks: readonly Buffer[]): string {
  const frames = new ZstdFrames();
  let told = "";
  const done = succeeds(() => {
    for (const chunk of chunks)
      for (const { bytes, last } of frames.split(chunk))
        told += Buffer.from(bytes).toString("latin1") + (last ? "\n--- end of a frame\n" : "");
  }, ["layer-invalid"]);
  return `${told}${done ? String(frames.complete) : "refused"}`;
}

function undoBzip2(input: Buffer, random: Random): void {
  const whole = undone([input]);
  const parts = undone(chunksOf(input, random));
  law(whole.bytes.equals(parts.bytes), "the output depends on the pieces that the bytes came in");
  law(whole.end === parts.end, "the end depends on the pieces that the bytes came in");
}

function undone(chunks: readonly Buffer[]): { bytes: Buffer; end: string } {
  const decompressor = new Bzip2Decompressor();
  const output: Buffer[] = [];
  let length = 0;
  const take = (pieces: Iterable<Uint8Array>): boolean => {
    for (const piece of pieces) {
      law(piece.length <= 64 * 1024, "a piece of output is large");
      output.push(Buffer.from(piece));
      length += piece.length;
      if (length >= ENOUGH) return false;
    }
    return true;
  };
  let end = "enough";
  const fine = succeeds(() => {
    for (const chunk of chunks) if (!take(decompressor.write(chunk))) return;
    if (take(decompressor.end())) end = "complete";
  }, ["layer-invalid", "layer-unsupported"]);
  return { bytes: Buffer.concat(output).subarray(0, ENOUGH), end: fine ? end : "refused" };
}
