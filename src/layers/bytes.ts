/** A growing byte buffer and its reader: LEB128 varints, zigzag integers, byte strings (latin1) with a length. */

export class ByteWriter {
  #buffer = Buffer.allocUnsafe(64 * 1024);
  #length = 0;

  bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  byte(value: number): void {
    this.#reserve(1);
    this.#buffer[this.#length] = value;
    this.#length += 1;
  }

  /** Non-negative, up to 2^53 − 1. */
  uint(value: number): void {
    this.#reserve(10);
    let rest = value;
    while (rest >= 0x80) {
      this.#buffer[this.#length] = (rest % 0x80) | 0x80;
      this.#length += 1;
      rest = Math.floor(rest / 0x80);
    }
    this.#buffer[this.#length] = rest;
    this.#length += 1;
  }

  /** A signed integer, up to ±2^52. */
  int(value: number): void {
    this.uint(value < 0 ? -2 * value - 1 : 2 * value);
  }

  text(value: string): void {
    this.uint(value.length);
    this.#reserve(value.length);
    this.#length += this.#buffer.write(value, this.#length, "latin1");
  }

  raw(value: Uint8Array): void {
    this.#reserve(value.length);
    this.#buffer.set(value, this.#length);
    this.#length += value.length;
  }

  #reserve(size: number): void {
    if (this.#length + size <= this.#buffer.length) return;
    const grown = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.#length + size));
    this.#buffer.copy(grown, 0, 0, this.#length);
    this.#buffer = grown;
  }
}

/** Throws what `damaged` makes of the reason, when the bytes do not hold what is asked for. */
export class ByteReader {
  readonly #buffer: Buffer;
  readonly #damaged: (why: string) => Error;
  #at: number;

  constructor(buffer: Buffer, at: number, damaged: (why: string) => Error) {
    this.#buffer = buffer;
    this.#at = at;
    this.#damaged = damaged;
  }

  /** Bytes that were not read yet. */
  get left(): number {
    return this.#buffer.length - this.#at;
  }

  byte(): number {
    this.#take(1);
    return this.#buffer[this.#at - 1] as number;
  }

  /** Up to 2^53 − 1. */
  uint(): number {
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (value > Number.MAX_SAFE_INTEGER || scale > Number.MAX_SAFE_INTEGER)
        throw this.#damaged("it has a number that is too large");
      if (byte < 0x80) return value;
      scale *= 0x80;
    }
  }

  int(): number {
    const value = this.uint();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  text(): string {
    const length = this.uint();
    this.#take(length);
    return this.#buffer.toString("latin1", this.#at - length, this.#at);
  }

  raw(length: number): Buffer {
    this.#take(length);
    return this.#buffer.subarray(this.#at - length, this.#at);
  }

  #take(length: number): void {
    if (length > this.left) throw this.#damaged("it ends in the middle of a record");
    this.#at += length;
  }
}
