import { gzipSync, zstdCompressSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { AppError } from "../../../src/errors.ts";
import { openDecompressor } from "../../../src/layers/decompress.ts";

const CONTENT = Buffer.from("rootwright ".repeat(50_000));
const SKIPPABLE = Buffer.concat([Buffer.from([0x5a, 0x2a, 0x4d, 0x18, 5, 0, 0, 0]), Buffer.from("hello")]);

function decompress(bytes: Buffer, step: number): Buffer {
  const chunks: Uint8Array[] = [];
  const decompressor = openDecompressor(bytes);
  for (let at = 0; at < bytes.length; at += step) chunks.push(...decompressor.write(bytes.subarray(at, at + step)));
  chunks.push(...decompressor.end());
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
    ["nothing at all", CONTENT, "none"],
  ])("undoes %s", (what, bytes, name) => {
    if (step === 1 && name === "none") return;
    expect(openDecompressor(bytes).name).toBe(name);
    expect(decompress(bytes, step).equals(what === "zstd of nothing" ? Buffer.alloc(0) : CONTENT)).toBe(true);
  });
});

describe("a damaged stream", () => {
  test.each([
    ["gzip", gzipSync(CONTENT)],
    ["zstd", zstdCompressSync(CONTENT)],
  ])("is refused when %s is truncated", (_name, bytes) => {
    expect(() => decompress(bytes.subarray(0, bytes.length - 9), 4096)).toThrow(/truncated/);
  });

  test.each([
    ["gzip", gzipSync(CONTENT)],
    ["zstd", zstdCompressSync(CONTENT)],
  ])("is refused when a byte of %s is flipped", (_name, bytes) => {
    const flipped = Buffer.from(bytes);
    flipped[flipped.length - 6] = (flipped[flipped.length - 6] ?? 0) ^ 0xff;
    expect(() => decompress(flipped, 4096)).toThrow(AppError);
  });

  test("is refused when zstd frames are followed by something else", () => {
    expect(() => decompress(Buffer.concat([zstdCompressSync(CONTENT), Buffer.from("garbage!")]), 4096)).toThrow(
      /no zstd frame/,
    );
  });

  test.each([
    ["bzip2", Buffer.from("BZh91AY")],
    ["xz", Buffer.from("fd377a585a0000", "hex")],
  ])("names %s as not supported", (name, bytes) => {
    expect(() => openDecompressor(bytes)).toThrow(name);
  });
});

test.each([
  ["gzip", gzipSync(Buffer.alloc(64 * 1024 * 1024)), 20 * 1024 * 1024],
  ["zstd", zstdCompressSync(Buffer.alloc(64 * 1024 * 1024)), 1024 * 1024],
])("a bomb of %s comes out in pieces, each to be used up before the next", (_name, bomb, most) => {
  let [total, largest, pieces] = [0, 0, 0];
  const decompressor = openDecompressor(bomb);
  for (const piece of decompressor.write(bomb)) {
    total += piece.length;
    largest = Math.max(largest, piece.length);
    pieces += 1;
  }
  expect(total).toBe(64 * 1024 * 1024);
  expect(largest).toBeLessThanOrEqual(most);
  expect(pieces).toBeGreaterThan(64);
});
