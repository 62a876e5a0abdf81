/**
 * Undoes a layer's compression, chosen by magic bytes and not by media type (archives and registries mislabel).
 *
 * Synchronous on purpose: this runs in an extraction worker that has nothing else to do, and a promise for each chunk
 * costs more than the work between two of them.
 */
import { constants } from "node:zlib";
import { Gunzip, ZstdDecompress } from "minizlib";
import { AppError } from "../errors.ts";
import { type Compression, compressionOf } from "../image/compression.ts";
import { Bzip2Decompressor } from "./bzip2.ts";
import { openXz } from "./xz.ts";
import { ZstdFrames } from "./zstd-frames.ts";

export interface Decompressor {
  readonly name: Compression;
  /** Output as it comes, in pieces: the caller uses each up before the next is made, so that a bomb fills no memory. */
  write(chunk: Uint8Array): Iterable<Uint8Array>;
  /** Throws `layer-invalid` when the compressed stream is not complete, or was not all: only zeros may follow it. */
  end(): Iterable<Uint8Array>;
}

/** minizlib hands its options on to node:zlib, whose own are not in its types. */
const OPTIONS = { chunkSize: 64 * 1024 } as ConstructorParameters<typeof Gunzip>[0];

/** `head` is shorter than MAGIC_BYTES only if all the bytes are. */
export async function openDecompressor(head: Uint8Array): Promise<Decompressor> {
  const name = compressionOf(head);
  if (name === "gzip") return new MinizlibDecompressor("gzip", () => new Gunzip(OPTIONS));
  if (name === "zstd") return new ZstdDecompressor();
  if (name === "bzip2") return new Bzip2Decompressor();
  if (name === "xz") return await openXz();
  // the input's memory is used again, and what comes out may be kept until a file is complete
  return { name: "none", write: (chunk) => [Buffer.from(chunk)], end: () => [] };
}

interface Stream {
  on(event: "data", listener: (chunk: Uint8Array) => void): unknown;
  on(event: "error", listener: (error: Error) => void): unknown;
  write(chunk: Uint8Array): unknown;
  end(): unknown;
}

/** Input that is given to minizlib at once; it answers with all that comes of it, for gzip up to a thousand times as much. */
const SLICE = 16 * 1024;

class MinizlibDecompressor implements Decompressor {
  readonly name: "gzip" | "zstd";
  readonly #stream: Stream;
  #output: Uint8Array[] = [];
  #error: Error | undefined;

  constructor(name: "gzip" | "zstd", create: () => unknown) {
    this.name = name;
    this.#stream = create() as Stream;
    this.#stream.on("data", (chunk) => this.#output.push(chunk));
    this.#stream.on("error", (error) => {
      this.#error = error;
    });
  }

  *write(chunk: Uint8Array): Generator<Uint8Array> {
    for (let at = 0; at < chunk.length; at += SLICE) {
      this.#stream.write(chunk.subarray(at, at + SLICE));
      yield* this.#take();
    }
  }

  *end(): Generator<Uint8Array> {
    this.#stream.end();
    yield* this.#take();
  }

  #take(): Uint8Array[] {
    if (this.#error !== undefined) throw damaged(this.name, this.#error);
    const output = this.#output;
    this.#output = [];
    return output;
  }
}

function damaged(name: string, error: Error): AppError {
  const how = /unexpected end/i.test(error.message) ? "is truncated" : `is damaged (${error.message})`;
  return new AppError("layer-invalid", `Cannot unpack a layer: the ${name} stream ${how}`, { cause: error });
}

/** Node's decoder stops, silently, after one frame; a layer may be many (zstd:chunked, pzstd, seekable formats). */
class ZstdDecompressor implements Decompressor {
  readonly name = "zstd";
  readonly #frames = new ZstdFrames();
  #frame: MinizlibDecompressor | undefined;

  *write(chunk: Uint8Array): Generator<Uint8Array> {
    for (const part of this.#frames.split(chunk)) {
      if (part.bytes.length > 0) {
        this.#frame ??= new MinizlibDecompressor("zstd", () => new ZstdDecompress(ZSTD_OPTIONS));
        yield* this.#frame.write(part.bytes);
      }
      if (!part.last) continue;
      yield* this.#frame?.end() ?? [];
      this.#frame = undefined;
    }
  }

  end(): Iterable<Uint8Array> {
    if (this.#frames.complete) return [];
    throw new AppError("layer-invalid", "Cannot unpack a layer: the zstd stream is truncated");
  }
}

/** Largest window that is accepted, as a power of two: what `zstd --ultra -22` writes, and no more memory than that. */
const ZSTD_OPTIONS: typeof OPTIONS = Object.assign({}, OPTIONS, { params: { [constants.ZSTD_d_windowLogMax]: 27 } });
