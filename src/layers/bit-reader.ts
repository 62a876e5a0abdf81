/** Bits of a byte stream, the highest of each byte first, as bzip2 packs them. What is pushed is copied. */

/** There are fewer bits than were asked for: the caller knows whether that means damage or an early end. */
export class OutOfBits extends Error {}

export class BitReader {
  #buffer = new Uint8Array(64 * 1024);
  #at = 0;
  #end = 0;
  #bits = 0;
  #count = 0;

  /** Whole bytes not yet begun. */
  get bytesLeft(): number {
    return this.#end - this.#at;
  }

  push(chunk: Uint8Array): void {
    if (this.#end + chunk.length > this.#buffer.length) this.#makeRoom(chunk.length);
    this.#buffer.set(chunk, this.#end);
    this.#end += chunk.length;
  }

  /** At most 24 at once. */
  read(count: number): number {
    while (this.#count < count) {
      if (this.#at >= this.#end) throw new OutOfBits();
      this.#bits = (this.#bits << 8) | (this.#buffer[this.#at] as number);
      this.#at += 1;
      this.#count += 8;
    }
    this.#count -= count;
    return (this.#bits >>> this.#count) & ((1 << count) - 1);
  }

  /** Skips to the next whole byte. */
  align(): void {
    this.#count = 0;
  }

  #makeRoom(length: number): void {
    const left = this.#buffer.subarray(this.#at, this.#end);
    if (left.length + length <= this.#buffer.length / 2) this.#buffer.copyWithin(0, this.#at, this.#end);
    else {
      const grown = new Uint8Array(2 * (left.length + length));
      grown.set(left);
      this.#buffer = grown;
    }
    this.#at = 0;
    this.#end = left.length;
  }
}
