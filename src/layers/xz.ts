/**
 * xz, by the WebAssembly build of xz-embedded in xz-decompress. Of that package only the WebAssembly instance is used, which
 * its types do not show: its own stream costs promises for each piece, never gives back a dictionary's memory, and waits
 * for ever when one before it was given up. A test fails when a release changes any of what is used.
 *
 * Several streams and the padding between them are the decoder's business, and so is everything else that may follow: it
 * refuses it. It takes dictionaries up to 64 MiB (what `xz -9` writes), LZMA2 without other filters, CRC32 and CRC64.
 */
import { AppError } from "../errors.ts";
import type { Decompressor } from "./decompress.ts";

/** Answers of xz-embedded (xz.h). */
const OK = 0;
const STREAM_END = 1;
const FORMAT_ERROR = 5;
const OUT_OF_INPUT = 8;
const UNSUPPORTED: Readonly<Record<number, string>> = {
  3: "needs more memory than there is",
  4: "needs a dictionary of more than 64 MiB",
  6: "uses a filter or a check that is not supported",
};

/** Words of its context; positions count from the starts of the two buffers, which are of one size. */
const SIZE = 0;
const IN_START = 1;
const IN_POSITION = 2;
const IN_END = 3;
const OUT_START = 4;
const OUT_POSITION = 5;

interface XzInstance {
  readonly memory: { readonly buffer: ArrayBuffer };
  create_context(): number;
  supply_input(context: number, length: number): void;
  get_next_output(context: number): number;
}

interface XzPackage {
  readonly XzReadableStream: {
    /** Makes a new instance. */
    _getModuleInstance(): Promise<void>;
    _moduleInstance: { readonly exports: XzInstance };
  };
}

export async function openXz(): Promise<Decompressor> {
  // CommonJS, in a form in which Node finds no names
  const { default: xz } = (await import("xz-decompress")) as unknown as { default: XzPackage };
  await xz.XzReadableStream._getModuleInstance();
  return new XzDecompressor(xz.XzReadableStream._moduleInstance.exports);
}

class XzDecompressor implements Decompressor {
  readonly name = "xz";
  readonly #xz: XzInstance;
  readonly #context: number;

  constructor(xz: XzInstance) {
    this.#xz = xz;
    this.#context = xz.create_context();
  }

  *write(chunk: Uint8Array): Generator<Uint8Array> {
    for (let at = 0; at < chunk.length; at += this.#word(SIZE)) {
      yield* this.#decode(chunk.subarray(at, at + this.#word(SIZE)));
    }
  }

  /** To the decoder, an empty input is the end: it answers whether it came where a file may end. */
  *end(): Generator<Uint8Array> {
    const code = yield* this.#decode(new Uint8Array(0));
    if (code === OK || code === OUT_OF_INPUT) throw damaged("is truncated");
  }

  /** Ends when all of `input`, at most as much as the instance's buffer takes, is used up. */
  *#decode(input: Uint8Array): Generator<Uint8Array, number> {
    new Uint8Array(this.#xz.memory.buffer).set(input, this.#word(IN_START));
    this.#xz.supply_input(this.#context, input.length);
    for (;;) {
      const code = this.#xz.get_next_output(this.#context);
      const made = this.#word(OUT_POSITION);
      if (made > 0) yield Buffer.from(new Uint8Array(this.#xz.memory.buffer, this.#word(OUT_START), made));
      this.#setWord(OUT_POSITION, 0);
      if (code !== OK && code !== STREAM_END && code !== OUT_OF_INPUT) throw refused(code);
      if (code !== OK || (made < this.#word(SIZE) && this.#word(IN_POSITION) === this.#word(IN_END))) return code;
    }
  }

  /** The memory grows, and is then another buffer: it is looked at anew each time. */
  #word(index: number): number {
    return new Uint32Array(this.#xz.memory.buffer, this.#context, index + 1)[index] as number;
  }

  #setWord(index: number, value: number): void {
    new Uint32Array(this.#xz.memory.buffer, this.#context, index + 1)[index] = value;
  }
}

function refused(code: number): AppError {
  // it began like one, so this is what comes after
  if (code === FORMAT_ERROR) return damaged("is followed by bytes that are no xz stream");
  const why = UNSUPPORTED[code];
  if (why === undefined) return damaged(`is damaged (error ${code} of the decoder)`);
  return new AppError("layer-unsupported", `Cannot unpack a layer: the xz stream ${why}`, {
    hint: "compress it again, with xz -6 and no other options",
  });
}

function damaged(how: string): AppError {
  return new AppError("layer-invalid", `Cannot unpack a layer: the xz stream ${how}`);
}
