import { gzipSync, zstdCompressSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { type ByteLimits, Uncompressed } from "../../../src/layers/uncompressed.ts";

const GIB = 1024 ** 3;

/** So many bytes of zeros, as one frame after the other. */
async function expand(sizeBytes: number, limits: Partial<ByteLimits> = {}, piece = zstdZeros): Promise<number> {
  const bytes = new Uncompressed(() => {}, { maxBytes: 4 * GIB, ...limits });
  for (let size = 0; size < sizeBytes; size += PIECE) await bytes.write(piece);
  await bytes.end();
  return bytes.sizeBytes;
}

const PIECE = 64 * 1024 * 1024;
const zstdZeros = zstdCompressSync(Buffer.alloc(PIECE));
const gzipZeros = gzipSync(Buffer.alloc(PIECE));

describe("bytes that become very many more", () => {
  test("are taken for the first gibibyte, however few they are", async () => {
    expect(await expand(GIB)).toBe(GIB);
  });

  test("are refused beyond it", async () => {
    await expect(expand(GIB + 2 * PIECE)).rejects.toMatchObject({
      code: "layer-too-large",
      message: expect.stringContaining("like a bomb"),
      hint: expect.stringContaining("max_ratio"),
    });
  });

  test("are taken where the limit allows it, and where gzip makes the most of zeros", async () => {
    const size = GIB + 2 * PIECE;
    expect(await expand(size, { maxRatio: 1_000_000 })).toBe(size);
    expect(await expand(size, {}, gzipZeros)).toBe(size);
    await expect(expand(size, { maxRatio: 10 }, gzipZeros)).rejects.toMatchObject({ code: "layer-too-large" });
  });
});
