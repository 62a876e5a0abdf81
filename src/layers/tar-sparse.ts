/**
 * Maps of sparse files: which pieces of a file the archive stores, one behind the other; the rest of it is zeros.
 *
 *  - old GNU (type "S"): four pieces in the header (tar-header.ts), 21 in each block that may follow it;
 *  - PAX 0.0 and 0.1: in the records (pax.ts makes one of them);
 *  - PAX 1.0: in decimal lines in front of the stored bytes, padded to whole blocks.
 *
 * The order is that of the file, nothing overlaps or lies outside, and the pieces are as long together as what is stored
 * (GNU tar manual, "Storing Sparse Files"): everything else is `layer-invalid`.
 */
import type { AppError } from "../errors.ts";
import type { Segment } from "./entry.ts";
import { invalid } from "./layer-path.ts";
import { tooManyPieces } from "./tar-limits.ts";
import { isCount, parseDecimal, parseNumber } from "./tar-number.ts";

const SLOT = 24;
const NEWLINE = 0x0a;
const COMMA = 0x2c;
const ZERO = 0x30;

export class SparseMap {
  readonly #path: string;
  readonly #maxPieces: number;
  readonly #pieces: { readonly offset: number; length: number }[] = [];
  #end = 0;
  #stored = 0;

  /** `path` is for messages. */
  constructor(path: string, maxPieces: number) {
    this.#path = path;
    this.#maxPieces = maxPieces;
  }

  add(offset: number, length: number): void {
    const end = offset + length;
    if (!(isCount(offset) && isCount(length) && isCount(end))) throw this.wrongNumber();
    if (offset < this.#end) throw this.#wrong("pieces that overlap or are not in order");
    this.#end = end;
    this.#stored += length;
    if (length === 0) return;
    const last = this.#pieces.at(-1);
    if (last !== undefined && last.offset + last.length === offset) last.length += length;
    else if (this.#pieces.length === this.#maxPieces) throw tooManyPieces();
    else this.#pieces.push({ offset, length });
  }

  /** Pieces in the slots of a header or of a block behind it; true when another block follows. */
  addSlots(block: Uint8Array, offset: number, count: number): boolean {
    for (let at = offset; at < offset + count * SLOT && block[at] !== 0; at += SLOT)
      this.add(parseNumber(block, at, 12), parseNumber(block, at + 12, 12));
    return block[offset + count * SLOT] !== 0;
  }

  /** Numbers with commas between them, and how many pieces they are to make. */
  addText(text: string, count: string): void {
    const pieces = parseDecimal(count);
    let found = 0;
    for (let at = 0; at < text.length; found += 1) {
      const [offset, second] = numberAt(text, at);
      const [length, next] = numberAt(text, second);
      this.add(offset, length);
      at = next;
    }
    if (found !== pieces) throw this.#wrong("another number of pieces than it says");
  }

  /** Undefined for a file without holes. */
  finish(sizeBytes: number, storedBytes: number): readonly Segment[] | undefined {
    if (this.#end > sizeBytes) throw this.#wrong("pieces behind its end");
    if (this.#stored !== storedBytes) throw this.#wrong("another length than its stored bytes");
    return storedBytes === sizeBytes ? undefined : this.#pieces;
  }

  wrongNumber(): AppError {
    return this.#wrong("a number that is none");
  }

  #wrong(what: string): AppError {
    return invalid(this.#path, `is a sparse file whose map has ${what}`);
  }
}

/** The number that begins there, up to a comma, and where the next one would. NaN for a number that is none. */
function numberAt(text: string, start: number): readonly [value: number, next: number] {
  let end = start;
  while (end < text.length && text.charCodeAt(end) !== COMMA) end += 1;
  return [parseDecimal(text.slice(start, end)), end + 1];
}

/** Takes the blocks of a PAX 1.0 map: lines with the number of pieces, and of each its offset and its length. */
export class SparseMapLines {
  readonly #map: SparseMap;
  #number = Number.NaN;
  #offset: number | undefined;
  /** Lines that are still to come; undefined before the first. */
  #left: number | undefined;

  constructor(map: SparseMap) {
    this.#map = map;
  }

  /** True when the map goes on in the next block. */
  addBlock(block: Uint8Array): boolean {
    for (let at = 0; at < block.length && this.#left !== 0; at += 1) {
      const byte = block[at] as number;
      const digit = byte - ZERO;
      if (byte === NEWLINE) this.#line();
      else if (digit >= 0 && digit <= 9) this.#number = (Number.isNaN(this.#number) ? 0 : this.#number) * 10 + digit;
      else throw this.#map.wrongNumber();
    }
    return this.#left !== 0;
  }

  #line(): void {
    const value = this.#number;
    this.#number = Number.NaN;
    if (this.#left === undefined) {
      if (!isCount(2 * value)) throw this.#map.wrongNumber();
      this.#left = 2 * value;
      return;
    }
    this.#left -= 1;
    if (this.#left % 2 === 1) this.#offset = value;
    else this.#map.add(this.#offset ?? Number.NaN, value);
  }
}
