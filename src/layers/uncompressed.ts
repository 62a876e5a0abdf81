/** Transported bytes in, uncompressed bytes out, whatever the compression; and what an uncompressed tar is put through. */
import type { Digest, Hasher } from "../../store/index.ts";
import type { AppError } from "../errors.ts";
import { MAGIC_BYTES } from "../image/compression.ts";
import { type Decompressor, openDecompressor } from "./decompress.ts";
import { DEFAULT_LIMITS, type LayerLimits, tooLarge } from "./limits.ts";
import type { TarReader } from "./tar-entries.ts";

/** Takes a piece; the next one is made, perhaps in its memory, when it is done. A bomb therefore fills none. */
export type Sink = (chunk: Uint8Array) => void;

/** Bytes that may come of however few: what a good format makes of a large sparse file is no reason to refuse it. */
const FREE_BYTES = 1024 ** 3;

export type ByteLimits = Pick<LayerLimits, "maxBytes" | "maxRatio">;

export class Uncompressed {
  readonly #sink: Sink;
  readonly #maxBytes: number;
  readonly #maxRatio: number;
  #taken = 0;
  #head: Uint8Array | undefined = new Uint8Array(0);
  #decompressor: Decompressor | undefined;
  #size = 0;

  /** Throws `layer-too-large` beyond the limits. */
  constructor(sink: Sink, { maxBytes, maxRatio = DEFAULT_LIMITS.maxRatio }: ByteLimits) {
    this.#sink = sink;
    this.#maxBytes = maxBytes;
    this.#maxRatio = maxRatio;
  }

  /** Bytes so far, uncompressed. */
  get sizeBytes(): number {
    return this.#size;
  }

  async write(chunk: Uint8Array): Promise<void> {
    let input = chunk;
    this.#taken += chunk.length;
    if (this.#head !== undefined) {
      input = this.#head.length === 0 ? chunk : Buffer.concat([this.#head, chunk]);
      if (input.length < MAGIC_BYTES) {
        this.#head = Buffer.from(input);
        return;
      }
      this.#head = undefined;
    }
    this.#decompressor ??= await openDecompressor(input);
    this.#consume(this.#decompressor.write(input));
  }

  /** Throws `layer-invalid` when the compressed stream is not complete. */
  async end(): Promise<void> {
    const head = this.#head ?? new Uint8Array(0);
    this.#decompressor ??= await openDecompressor(head);
    this.#consume(this.#decompressor.write(head));
    this.#consume(this.#decompressor.end());
  }

  #consume(output: Iterable<Uint8Array>): void {
    for (const chunk of output) {
      if (chunk.length === 0) continue;
      this.#size += chunk.length;
      if (this.#size > this.#maxBytes) throw tooLarge(`more than ${this.#maxBytes} bytes`, "max_bytes");
      if (this.#size > FREE_BYTES + this.#maxRatio * this.#taken) throw overcompressed(this.#size, this.#taken);
      this.#sink(chunk);
    }
  }
}

function overcompressed(size: number, taken: number): AppError {
  return tooLarge(`${size} bytes and more, which are compressed into ${taken} bytes like a bomb`, "max_ratio");
}

/** A tar, compressed or not: its entries go to the reader, all its bytes, zeros behind its end included, to the hasher. */
export class TarContent {
  readonly #tar: TarReader;
  readonly #hasher: Hasher;
  readonly #bytes: Uncompressed;

  /** `onProgress` is told of each piece how many uncompressed bytes there are with it. */
  constructor(tar: TarReader, hasher: Hasher, limits: ByteLimits, onProgress: (doneBytes: number) => void = () => {}) {
    this.#tar = tar;
    this.#hasher = hasher;
    this.#bytes = new Uncompressed((chunk) => {
      hasher.update(chunk);
      onProgress(this.sizeBytes);
      tar.write(chunk);
    }, limits);
  }

  get sizeBytes(): number {
    return this.#bytes.sizeBytes;
  }

  write(chunk: Uint8Array): Promise<void> {
    return this.#bytes.write(chunk);
  }

  /** The digest of the uncompressed tar. */
  async finish(): Promise<Digest> {
    await this.#bytes.end();
    this.#tar.end();
    return this.#hasher.digest();
  }
}
