/**
 * Undoes a layer's compression, chosen by magic bytes and not by media type (archives and registries mislabel).
 *
 * Synchronous on purpose: this runs in an extraction worker that has nothing else to do, and a promise for each chunk
 * costs more than the work between two of them.
 */
import { AppError } from "../errors.ts";
import { type Compression, compressionOf } from "../image/compression.ts";
import { Bzip2Decompressor } from "./bzip2.ts";
import { openXz } from "./xz.ts";
import { ZlibInflater } from "./zlib-inflater.ts";
import { ZstdFrames } from "./zstd-frames.ts";

export interface Decompressor {
  readonly name: Compression;
  /** Output as it comes, in pieces: each is used up before the next is made, in whose memory it may lie. A bomb fills none. */
  write(chunk: Uint8Array): Iterable<Uint8Array>;
  /** Throws `layer-invalid` when the compressed stream is not complete, or was not all: only zeros may follow it. */
  end(): Iterable<Uint8Array>;
}

/** `head` is shorter than MAGIC_BYTES only if all the bytes are. */
export async function openDecompressor(head: Uint8Array): Promise<Decompressor> {
  const name = compressionOf(head);
  if (name === "gzip") return new ZlibInflater("gzip");
  if (name === "zstd") return new ZstdDecompressor();
  if (name === "bzip2") return new Bzip2Decompressor();
  if (name === "xz") return await openXz();
  return { name: "none", write: (chunk) => [chunk], end: () => [] };
}

/**
 * Node's decoder stops, silently, after one frame; a layer may be many (zstd:chunked, pzstd, seekable formats). Asked again
 * it begins the next one: all frames go through one decoder, since a layer can be hundreds of thousands of them.
 */
class ZstdDecompressor implements Decompressor {
  readonly name = "zstd";
  readonly #frames = new ZstdFrames();
  readonly #inflater = new ZlibInflater("zstd");

  *write(chunk: Uint8Array): Generator<Uint8Array> {
    for (const { bytes, last } of this.#frames.split(chunk)) {
      yield* this.#inflater.write(bytes);
      if (last) yield* this.#inflater.finish();
    }
  }

  end(): Iterable<Uint8Array> {
    if (this.#frames.complete) return this.#inflater.end();
    throw new AppError("layer-invalid", "Cannot unpack a layer: the zstd stream is truncated");
  }
}
