/**
 * bzip2: streams ("BZh", a block size, blocks, a checksum), one after another; each block undoes on its own. The format
 * has no specification but the program, so it is described beside the code.
 *
 * Written here because unbzip2-stream gives all that a piece of input becomes at once, and as numbers: 500 bytes of zeros
 * made a worker of 3 GB. Here a block is decoded when so much input is there that it cannot run out in the middle of an
 * honest one, and its output comes in pieces; memory is a block and its input, less than 10 MB. It is also faster.
 */
import { AppError } from "../errors.ts";
import { BitReader, OutOfBits } from "./bit-reader.ts";
import { Bzip2Block } from "./bzip2-block.ts";
import type { Decompressor } from "./decompress.ts";

/** What a block can take at most: 900 000 symbols and an end of 20 bits each, and the code tables. */
const BLOCK_INPUT = Math.ceil((900_001 * 20) / 8) + 64 * 1024;

const BLOCK = 0x314159265359;
const END = 0x177245385090;

export class Bzip2Decompressor implements Decompressor {
  readonly name = "bzip2";
  readonly #input = new BitReader();
  /** Undefined between streams. */
  #block: Bzip2Block | undefined;
  #checksum = 0;
  #padding = false;

  write(chunk: Uint8Array): Iterable<Uint8Array> {
    this.#input.push(chunk);
    return this.#decode(() => this.#input.bytesLeft > BLOCK_INPUT, "is damaged (a block has no end)");
  }

  end(): Iterable<Uint8Array> {
    return this.#decode(() => this.#input.bytesLeft > 0 || this.#block !== undefined, "is truncated");
  }

  *#decode(more: () => boolean, whenOut: string): Generator<Uint8Array> {
    try {
      while (more()) {
        if (this.#block === undefined) this.#beginStream();
        else yield* this.#continueStream(this.#block);
      }
    } catch (error) {
      throw error instanceof OutOfBits ? damaged(whenOut) : error;
    }
  }

  /** Zeros may follow a stream, as they may follow gzip's: tapes and disks pad. Anything else must be the next stream. */
  #beginStream(): void {
    const first = this.#input.read(8);
    this.#padding ||= first === 0;
    if (first === 0) return;
    const isMagic = first === 0x42 && this.#input.read(16) === 0x5a68;
    const level = isMagic ? this.#input.read(8) - 0x30 : 0;
    if (this.#padding || level < 1 || level > 9) throw damaged("is followed by bytes that are no bzip2 stream");
    this.#block = new Bzip2Block(level * 100_000);
    this.#checksum = 0;
  }

  *#continueStream(block: Bzip2Block): Generator<Uint8Array> {
    const input = this.#input;
    const magic = input.read(24) * 2 ** 24 + input.read(24);
    if (magic === BLOCK) {
      block.read(input, damaged);
      yield* block.output(damaged);
      this.#checksum = (((this.#checksum << 1) | (this.#checksum >>> 31)) ^ block.checksum) >>> 0;
    } else if (magic === END) {
      if (input.read(16) * 2 ** 16 + input.read(16) !== this.#checksum) throw damaged("does not have its checksum");
      input.align();
      this.#block = undefined;
    } else throw damaged("is damaged (a block does not begin where it should)");
  }
}

function damaged(how: string): AppError {
  return new AppError("layer-invalid", `Cannot unpack a layer: the bzip2 stream ${how}`);
}
