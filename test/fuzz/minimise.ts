/** A smaller input that fails in the same way: pieces are left out, the large ones first, then bytes are made plain. */

/** `fails` is asked of candidates, until the time is up. A piece is never smaller than `step` bytes (of a tar: 512, first). */
export function minimise(
  input: Buffer,
  steps: readonly number[],
  fails: (candidate: Buffer) => boolean,
  limitMs: number,
): Buffer {
  const until = performance.now() + limitMs;
  const open = (): boolean => performance.now() < until;
  let best = input;
  const take = (candidate: Buffer): boolean => {
    if (!fails(candidate)) return false;
    best = candidate;
    return true;
  };
  for (const step of steps) {
    for (let size = largest(best.length, step); size >= step && open(); size = Math.floor(size / 2 / step) * step) {
      for (let at = 0; at < best.length && open(); ) {
        const without = Buffer.concat([best.subarray(0, at), best.subarray(at + size)]);
        if (!take(without)) at += size;
      }
    }
  }
  for (let at = 0; at < best.length && open(); at += 1) {
    for (const plain of [0, 0x30, 0x61]) {
      if (best[at] === plain) break;
      const changed = Buffer.from(best);
      changed[at] = plain;
      if (take(changed)) break;
    }
  }
  return best;
}

function largest(length: number, step: number): number {
  let size = step;
  while (size * 2 <= length) size *= 2;
  return size;
}
