/**
 * gzip and zstd by minizlib, output into the same memory again and again.
 *
 * minizlib's own `write` gives every piece of output memory of its own: of a large layer a gigabyte, which costs more to
 * collect than to fill, since V8 answers memory outside its heap with looking through all of its heap. So minizlib opens and
 * closes the stream, and its handle is driven here, as Node's own synchronous functions do. A test fails when a release of
 * Node changes what that needs.
 */
import { constants } from "node:zlib";
import { Gunzip, ZstdDecompress } from "minizlib";
import { AppError } from "../errors.ts";

/** What is used of a stream of node:zlib: its native half, and where that says how much room and input are left. */
interface RawStream {
  readonly _handle: {
    writeSync(
      flush: number,
      input: Uint8Array,
      inputAt: number,
      inputLength: number,
      output: Uint8Array,
      outputAt: number,
      outputLength: number,
    ): void;
    onerror: (message: string, errno: number, code: string) => void;
  };
  /** Room left in the output, input left. */
  readonly _writeState: Uint32Array;
}

interface Stream {
  readonly handle: RawStream | undefined;
  close(): void;
}

/** Small enough to be hashed and parsed while it is in the processor's cache, large enough for most files of a layer. */
const OUTPUT_BYTES = 256 * 1024;
const NOTHING = new Uint8Array(0);
const ZEROS = Buffer.alloc(64 * 1024);
/** Largest zstd window that is accepted, as a power of two: what `zstd --ultra -22` writes, and no more memory than that. */
const ZSTD_WINDOW_LOG = 27;

const FORMATS = {
  gzip: { open: () => new Gunzip({}), proceed: constants.Z_NO_FLUSH, finish: constants.Z_FINISH },
  zstd: {
    open: () => new ZstdDecompress({ params: { [constants.ZSTD_d_windowLogMax]: ZSTD_WINDOW_LOG } } as object),
    proceed: constants.ZSTD_e_continue,
    finish: constants.ZSTD_e_end,
  },
} as const;

/** One stream: for gzip with all its members, for zstd with any number of frames, as long as no write goes beyond one. */
export class ZlibInflater {
  readonly name: keyof typeof FORMATS;
  readonly #stream: Stream;
  readonly #raw: RawStream;
  readonly #output = Buffer.allocUnsafeSlow(OUTPUT_BYTES);
  #failure: string | undefined;
  /** Zeros came behind a gzip member: it was the last one, however the input was cut. */
  #ended = false;

  constructor(name: keyof typeof FORMATS) {
    this.name = name;
    this.#stream = FORMATS[name].open() as unknown as Stream;
    this.#raw = this.#stream.handle as RawStream;
    this.#raw._handle.onerror = (message) => {
      this.#failure ??= message;
    };
  }

  /** Each piece lies in the memory of the one before. Throws `layer-invalid` for what is not of this format. */
  *write(chunk: Uint8Array): Generator<Uint8Array> {
    const left = this.#ended ? chunk.length : yield* this.#run(FORMATS[this.name].proceed, chunk);
    if (left === 0) return;
    this.#ended = true;
    // between zstd frames there are no zeros, and nobody gives the end of one with the start of the next
    if (this.name === "zstd" || !isZeros(chunk.subarray(chunk.length - left)))
      throw failed(`bytes other than zeros follow the end of the ${this.name} stream`);
  }

  /** Throws `layer-invalid` when the stream, or the zstd frame, is not complete. The next frame may follow. */
  *finish(): Generator<Uint8Array> {
    if (!this.#ended) yield* this.#run(FORMATS[this.name].finish, NOTHING);
  }

  *end(): Generator<Uint8Array> {
    yield* this.finish();
    this.#stream.close();
  }

  /** Returns how much of the input is left: the native half stops at a zero behind a gzip member. */
  *#run(flush: number, input: Uint8Array): Generator<Uint8Array, number> {
    const { _handle: handle, _writeState: state } = this.#raw;
    const output = this.#output;
    let at = 0;
    for (;;) {
      handle.writeSync(flush, input, at, input.length - at, output, 0, output.length);
      if (this.#failure !== undefined) throw damaged(this.name, this.#failure);
      const [room, left] = state as unknown as [number, number];
      if (room < output.length) yield output.subarray(0, output.length - room);
      if (room > 0) return left;
      at = input.length - left;
    }
  }
}

function isZeros(bytes: Uint8Array): boolean {
  for (let at = 0; at < bytes.length; at += ZEROS.length) {
    const end = Math.min(at + ZEROS.length, bytes.length);
    if (ZEROS.compare(bytes, at, end, 0, end - at) !== 0) return false;
  }
  return true;
}

function damaged(name: string, message: string): AppError {
  const how = /unexpected end/i.test(message) ? "is truncated" : `is damaged (${message})`;
  return failed(`the ${name} stream ${how}`);
}

function failed(how: string): AppError {
  return new AppError("layer-invalid", `Cannot unpack a layer: ${how}`);
}
