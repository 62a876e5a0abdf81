/** Chance that can be had again: sfc32, a generator of 128 bits of state, fast and good enough to choose mutations. */

export class Random {
  #a: number;
  #b: number;
  #c = 0x2545f491;
  #counter = 1;

  /** `seed` and `stream` are taken as unsigned 32-bit numbers; another stream of one seed is another sequence. */
  constructor(seed: number, stream = 0) {
    this.#a = seed | 0;
    this.#b = stream | 0;
    for (let round = 0; round < 12; round += 1) this.#next();
  }

  /** A whole number from 0 to `limit` − 1; 0 for a limit below 1. */
  below(limit: number): number {
    return limit < 1 ? 0 : Math.floor((this.#next() / 0x1_0000_0000) * limit);
  }

  /** True once in `times`. */
  oneIn(times: number): boolean {
    return this.below(times) === 0;
  }

  pick<T>(list: readonly T[]): T {
    if (list.length === 0) throw new RangeError("Cannot pick from an empty list");
    return list[this.below(list.length)] as T;
  }

  bytes(length: number): Buffer {
    const bytes = Buffer.allocUnsafe(length);
    for (let at = 0; at < length; at += 1) bytes[at] = this.#next() & 0xff;
    return bytes;
  }

  #next(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }
}
