/** One input in pieces, as networks and decompressors cut it: whole, by the byte, at and beside block ends, or anyhow. */
import type { Random } from "./random.ts";

export function chunksOf(input: Buffer, random: Random): Buffer[] {
  const sizes = random.pick([[1], [511, 512, 513], [1, 512, 4096], [64 * 1024]]);
  const chunks: Buffer[] = [];
  for (let at = 0; at < input.length; ) {
    const size = random.oneIn(3) ? 1 + random.below(700) : random.pick(sizes);
    chunks.push(input.subarray(at, at + size));
    at += size;
  }
  // an empty piece says nothing
  if (random.oneIn(4)) chunks.splice(random.below(chunks.length), 0, Buffer.alloc(0));
  return chunks;
}
