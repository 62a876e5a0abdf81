import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { constants, gzipSync, zstdCompressSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { AppError } from "../../../src/errors.ts";
import { compressionOf } from "../../../src/image/compression.ts";
import { openDecompressor } from "../../../src/layers/decompress.ts";
import { bzip2Block, bzip2Stream } from "../../support/bzip2-writer.ts";

const CONTENT = Buffer.from("rootwright ".repeat(50_000));
const SKIPPABLE = Buffer.concat([Buffer.from([0x5a, 0x2a, 0x4d, 0x18, 5, 0, 0, 0]), Buffer.from("hello")]);

/** What does not compress well, so that there is something to damage. */
const NOISE = Buffer.concat(Array.from({ length: 500 }, (_, at) => createHash("sha256").update(`${at}`).digest()));

/** By the real program. */
function program(command: "xz" | "bzip2", input: Buffer, ...options: string[]): Buffer {
  const { status, stdout, stderr } = spawnSync(command, ["-c", ...options], { input, maxBuffer: 64 * 1024 * 1024 });
  if (status !== 0) throw new Error(`${command}: ${stderr.toString()}`);
  return stdout;
}

async function decompress(bytes: Buffer, step: number): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  const decompressor = await openDecompressor(bytes);
  for (let at = 0; at < bytes.length; at += step) {
    // as in a worker: the memory of a chunk is used again
    const chunk = Buffer.from(bytes.subarray(at, at + step));
    // each piece may lie in the memory of the one before
    for (const piece of decompressor.write(chunk)) chunks.push(Buffer.from(piece));
    chunk.fill(0xee);
  }
  for (const piece of decompressor.end()) chunks.push(Buffer.from(piece));
  return Buffer.concat(chunks);
}

describe.each([
  ["one write", 1 << 30],
  ["1000-byte writes", 1000],
  ["single bytes", 1],
] as const)("a decompressor fed in %s", (_how, step) => {
  const parts = [CONTENT.subarray(0, 300_000), CONTENT.subarray(300_000, 300_013), CONTENT.subarray(300_013)];
  test.each([
    ["gzip", gzipSync(CONTENT), "gzip"],
    ["gzip of several members", Buffer.concat(parts.map((part) => gzipSync(part))), "gzip"],
    ["zstd", zstdCompressSync(CONTENT), "zstd"],
    ["zstd of several frames", Buffer.concat(parts.map((part) => zstdCompressSync(part))), "zstd"],
    [
      "zstd with skippable frames before, between and after",
      Buffer.concat([SKIPPABLE, ...parts.flatMap((part) => [zstdCompressSync(part), SKIPPABLE])]),
      "zstd",
    ],
    ["zstd of nothing", zstdCompressSync(Buffer.alloc(0)), "zstd"],
    ["bzip2", program("bzip2", CONTENT), "bzip2"],
    ["bzip2 of several streams", Buffer.concat(parts.map((part, at) => program("bzip2", part, `-${at + 1}`))), "bzip2"],
    ["bzip2 of nothing", program("bzip2", Buffer.alloc(0)), "bzip2"],
    ["bzip2 with zeros after it", Buffer.concat([program("bzip2", CONTENT), Buffer.alloc(700)]), "bzip2"],
    ["xz", program("xz", CONTENT), "xz"],
    ["xz of several streams", Buffer.concat(parts.map((part) => program("xz", part))), "xz"],
    [
      "xz with padding between and after",
      Buffer.concat(parts.flatMap((part) => [program("xz", part), Buffer.alloc(8)])),
      "xz",
    ],
    ["xz of several blocks and with CRC32", program("xz", CONTENT, "--block-size=100000", "--check=crc32"), "xz"],
    ["xz without a check", program("xz", CONTENT, "--check=none"), "xz"],
    ["xz of nothing", program("xz", Buffer.alloc(0)), "xz"],
    ["nothing at all", CONTENT, "none"],
  ])("undoes %s", async (what, bytes, name) => {
    if (step === 1 && name === "none") return;
    expect(compressionOf(bytes)).toBe(name);
    expect((await decompress(bytes, step)).equals(what.endsWith("of nothing") ? Buffer.alloc(0) : CONTENT)).toBe(true);
  });
});

describe.each([
  ["gzip", gzipSync(NOISE)],
  ["zstd", zstdCompressSync(NOISE, { params: { [constants.ZSTD_c_checksumFlag]: 1 } })],
  ["bzip2", program("bzip2", NOISE)],
  ["xz", program("xz", NOISE)],
])("%s", (_name, bytes) => {
  test.each([1, 4, 9, 20, 200, 10_000])("is refused when %d bytes are missing", async (missing) => {
    await expect(decompress(bytes.subarray(0, bytes.length - missing), 4096)).rejects.toThrow(/truncated/);
  });

  test.each([3, 6, 12, 30, 100, 8000])("is refused when the %dth byte from its end is flipped", async (place) => {
    const flipped = Buffer.from(bytes);
    flipped[bytes.length - place] = (flipped[bytes.length - place] ?? 0) ^ 0xff;
    await expect(decompress(flipped, 4096)).rejects.toThrow(AppError);
  });

  test.each([1, 4096])("is refused when something else follows it (chunks of %d)", async (step) => {
    await expect(decompress(Buffer.concat([bytes, Buffer.from("garbage!garbage!")]), step)).rejects.toMatchObject({
      code: "layer-invalid",
    });
  });
});

describe("bzip2 as no program writes it", () => {
  test("is what the program writes, when it is written right", async () => {
    const stream = bzip2Stream([bzip2Block({ runs: [1, 0, 1], byte: 0x61 })]);
    // digits 2, 1, 2, the lowest first: 2 + 2 + 8; of these twelve, every fifth byte would count the four before it
    const { status, stdout } = spawnSync("bzip2", ["-dc"], { input: stream });
    expect(status).toBe(0);
    expect((await decompress(stream, 4096)).equals(stdout)).toBe(true);
  });

  test("is refused when a run length goes beyond all numbers", async () => {
    const stream = bzip2Stream([bzip2Block({ runs: Array.from({ length: 40 }, () => 0 as const), byte: 0x61 })]);
    await expect(decompress(stream, 4096)).rejects.toThrow(/longer than its stream allows/);
  });

  test.each([
    ["randomised", { randomised: true }, /given up in 1996/],
    ["begins outside of itself", { start: 900_000 }, /begins outside/],
    ["has one code table", { tables: 1 }, /number of code tables/],
    ["has no selectors", { selectors: 0 }, /more symbols than it says/],
    ["has an overfull code", { lengths: [1, 1, 1] }, /more words than there are/],
    ["has a wrong checksum", { checksum: 12345 }, /does not have its checksum/],
  ] as const)("is refused when a block %s", async (_what, fault, message) => {
    const stream = bzip2Stream([bzip2Block({ runs: [0], byte: 0x61, ...fault })]);
    await expect(decompress(stream, 4096)).rejects.toThrow(message);
  });

  test("is refused when a block never ends", async () => {
    const stream = Buffer.concat([Buffer.from("BZh91AY&SY"), Buffer.alloc(4 * 1024 * 1024, 0xff)]);
    await expect(decompress(stream, 65536)).rejects.toMatchObject({ code: "layer-invalid" });
  });
});

describe("xz that is not taken", () => {
  test.each([
    ["a dictionary of 1.5 GiB", ["--lzma2=preset=0,dict=1536MiB"], /dictionary of more than 64 MiB/],
    ["a filter for programs", ["--x86", "--lzma2=preset=0"], /filter or a check/],
    ["SHA-256 as a check", ["--check=sha256"], /filter or a check/],
  ])("says so of %s", async (_what, options, message) => {
    const failure = decompress(program("xz", CONTENT, ...options), 4096);
    await expect(failure).rejects.toMatchObject({ code: "layer-unsupported", message: expect.stringMatching(message) });
  });

  test("is not what xz -9 writes", async () => {
    expect((await decompress(program("xz", CONTENT, "-9"), 4096)).equals(CONTENT)).toBe(true);
  });

  test("says so of padding that is no multiple of four", async () => {
    const padded = Buffer.concat([program("xz", CONTENT), Buffer.alloc(7)]);
    await expect(decompress(padded, 4096)).rejects.toMatchObject({ code: "layer-invalid" });
  });
});

test("several xz decoders in one thread do not know of each other", async () => {
  const [a, b] = [program("xz", CONTENT), program("xz", CONTENT.subarray(0, 1000))];
  const abandoned = await openDecompressor(a);
  expect([...abandoned.write(a.subarray(0, 100))]).toEqual(expect.any(Array));
  const results = await Promise.all([decompress(a, 100), decompress(b, 10), decompress(a, 1000)]);
  expect(results.map((result) => result.length)).toEqual([CONTENT.length, 1000, CONTENT.length]);
});

test.each([
  ["gzip", gzipSync(Buffer.alloc(64 * 1024 * 1024)), 20 * 1024 * 1024],
  ["zstd", zstdCompressSync(Buffer.alloc(64 * 1024 * 1024)), 1024 * 1024],
  ["bzip2", program("bzip2", Buffer.alloc(64 * 1024 * 1024)), 64 * 1024],
  ["xz", program("xz", Buffer.alloc(64 * 1024 * 1024), "-0"), 64 * 1024],
])("a bomb of %s comes out in pieces, each to be used up before the next", async (_name, bomb, most) => {
  let [total, largest, pieces] = [0, 0, 0];
  const decompressor = await openDecompressor(bomb);
  const take = (output: Iterable<Uint8Array>): void => {
    for (const piece of output) {
      total += piece.length;
      largest = Math.max(largest, piece.length);
      pieces += 1;
    }
  };
  take(decompressor.write(bomb));
  take(decompressor.end());
  expect(total).toBe(64 * 1024 * 1024);
  expect(largest).toBeLessThanOrEqual(most);
  expect(pieces).toBeGreaterThan(64);
});
