/** Mutations that know nothing of a format: bits, bytes, pieces, numbers at their limits, the end cut off, two inputs joined. */
import type { Random } from "./random.ts";

const EXTREMES = [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff];

export function mutateBytes(input: Buffer, other: Buffer, random: Random): Buffer {
  const at = random.below(input.length);
  const size = pieceSize(input.length - at, random);
  switch (random.below(9)) {
    case 0:
      return replaced(input, at, [(input[at] ?? 0) ^ (1 << random.below(8))]);
    case 1:
      return replaced(input, at, [random.below(256)]);
    case 2:
      return replaced(input, at, extreme(random));
    case 3:
      return joined(input.subarray(0, at), input.subarray(at + size));
    case 4:
      return joined(input.subarray(0, at + size), input.subarray(at));
    case 5:
      return joined(input.subarray(0, at), random.bytes(1 + random.below(8)), input.subarray(at));
    case 6: {
      // two pieces change places
      const second = at + size + random.below(Math.max(1, input.length - at - size));
      const end = second + pieceSize(input.length - second, random);
      const [a, b, c] = [input.subarray(at, at + size), input.subarray(at + size, second), input.subarray(second, end)];
      return joined(input.subarray(0, at), c, b, a, input.subarray(end));
    }
    case 7:
      return input.subarray(0, at);
    default:
      return joined(input.subarray(0, at), other.subarray(random.below(other.length)));
  }
}

export function joined(...parts: readonly Uint8Array[]): Buffer {
  return Buffer.concat(parts);
}

export function replaced(input: Buffer, at: number, bytes: ArrayLike<number>): Buffer {
  const copy = Buffer.from(input);
  for (let index = 0; index < bytes.length && at + index < copy.length; index += 1)
    copy[at + index] = bytes[index] as number;
  return copy;
}

/** Mostly few bytes. */
function pieceSize(most: number, random: Random): number {
  return Math.min(most, 1 + random.below(random.oneIn(4) ? most : 16));
}

function extreme(random: Random): Buffer {
  const bytes = Buffer.alloc(4);
  if (random.oneIn(2)) bytes.writeUInt32LE(random.pick(EXTREMES));
  else bytes.writeUInt32BE(random.pick(EXTREMES));
  return bytes;
}
