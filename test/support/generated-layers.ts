/**
 * The recipes of the generated images: one layer each, the same bytes on every machine.
 *
 *   big-file    1 GiB in four files, which gzip makes about 2.4 times smaller
 *   many-files  100 000 files of up to 8 KiB, 2 KiB on average, in 2 000 directories
 */
import { encodeEntry } from "./tar-entry.ts";

export type GeneratedVariant = "big-file" | "many-files";

export interface GeneratedFile {
  readonly path: string;
  readonly sizeBytes: number;
}

/** What a layer consists of; tests make smaller ones. */
export interface GeneratedShape {
  readonly directories: readonly string[];
  readonly files: Iterable<GeneratedFile>;
}

const MIB = 1024 * 1024;
const BLOCK = 512;
const PIECE = 4 * MIB;
/** The text that everything is pieced together from: much longer than gzip's window, so that pieces are no repetitions. */
const POOL = 16 * MIB;

/** The last file of a layer: where it is complete, all before it was applied. */
export const LAST_FILE: Readonly<Record<GeneratedVariant, GeneratedFile>> = {
  "big-file": { path: "srv/part-4", sizeBytes: 64 * MIB },
  "many-files": { path: "srv/last", sizeBytes: 8000 },
};

export function shapeOf(variant: GeneratedVariant): GeneratedShape {
  return variant === "big-file" ? fewFiles() : manyFiles(2000, 50);
}

function fewFiles(): GeneratedShape {
  const files = [512, 320, 128].map((size, at) => ({ path: `srv/part-${at + 1}`, sizeBytes: size * MIB }));
  return { directories: [], files: [...files, LAST_FILE["big-file"]] };
}

function manyFiles(directories: number, filesEach: number): GeneratedShape {
  const names = Array.from({ length: directories }, (_, at) => `srv/${String(at).padStart(4, "0")}`);
  const random = randomNumbers(2);
  const files = names.flatMap((directory) =>
    // small ones are the most, as in real trees; the mean of a cube is a quarter
    Array.from({ length: filesEach }, (_, at) => ({
      path: `${directory}/file-${at}`,
      sizeBytes: Math.floor(8192 * (random() / 2 ** 32) ** 3),
    })),
  );
  return { directories: names, files: [...files.slice(0, -1), LAST_FILE["many-files"]] };
}

/** The layer's uncompressed tar, in pieces that are valid until the next one is asked for. */
export function* tarOf({ directories, files }: GeneratedShape): Generator<Buffer> {
  yield encodeEntry({ name: "./", type: "dir" });
  yield encodeEntry({ name: "srv/", type: "dir" });
  for (const name of directories) yield encodeEntry({ name: `${name}/`, type: "dir" });
  const content = new Content();
  for (const { path, sizeBytes } of files) {
    yield encodeEntry({ name: path, size: sizeBytes });
    for (let left = sizeBytes; left > 0; left -= PIECE) yield content.take(Math.min(left, PIECE));
    yield Buffer.alloc((BLOCK - (sizeBytes % BLOCK)) % BLOCK);
  }
  yield Buffer.alloc(2 * BLOCK);
}

/** Words in the order of no language, and between them runs that cannot be compressed, as programs and pictures are. */
class Content {
  readonly #random = randomNumbers(1);
  readonly #pool: Buffer;
  readonly #noise: Buffer;
  readonly #piece = Buffer.alloc(PIECE);

  constructor() {
    this.#pool = wordPool(this.#random);
    this.#noise = Buffer.alloc(POOL);
    for (let at = 0; at < POOL; at += 4) this.#noise.writeUInt32LE(this.#random(), at);
  }

  take(sizeBytes: number): Buffer {
    for (let at = 0; at < sizeBytes; ) {
      const pool = this.#random() % 100 < 5 ? this.#noise : this.#pool;
      const length = Math.min(sizeBytes - at, 128 + (this.#random() % 128));
      const from = this.#random() % (POOL - 256);
      this.#piece.set(pool.subarray(from, from + length), at);
      at += length;
    }
    return this.#piece.subarray(0, sizeBytes);
  }
}

function wordPool(random: () => number): Buffer {
  const letters = "eeeettaaooiinnsshhrrdlcumwfgypbvkxjqz_0123456789";
  const word = (): string =>
    Array.from({ length: 2 + (random() % 9) }, () => letters[random() % letters.length]).join("");
  const vocabulary = Array.from({ length: 2048 }, word);
  const pool = Buffer.alloc(POOL);
  for (let at = 0; at < POOL; ) {
    // the cube prefers the first words, as languages do
    const chosen = vocabulary[Math.floor(2048 * (random() / 2 ** 32) ** 3)] as string;
    at += pool.write(`${chosen} `, at, "latin1");
  }
  return pool;
}

/** Integers from 0 to 2³² − 1: Marsaglia's xorshift with the shifts 13, 17 and 5. */
function randomNumbers(seed: number): () => number {
  let state = Math.imul(seed, 0x9e3779b9) >>> 0;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state;
  };
}
