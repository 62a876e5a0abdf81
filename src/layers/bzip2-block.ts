/**
 * One bzip2 block. Written, its bytes went through: runs of 4 to 259 equal bytes cut to four and a count; Burrows–Wheeler
 * transform; move-to-front, with runs of zeros as numbers; Huffman codes, one of 2 to 6 tables for every 50 symbols.
 */
import type { BitReader } from "./bit-reader.ts";

type Damaged = (how: string) => Error;

const RUN_A = 0;
const RUN_B = 1;
const GROUP = 50;
const LONGEST_CODE = 20;
const OUTPUT = 64 * 1024;

/** CRC-32 with the highest bit first, which is not the one of gzip. */
const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 24;
  for (let bit = 0; bit < 8; bit += 1) crc = crc < 0 ? (crc << 1) ^ 0x04c11db7 : crc << 1;
  return crc >>> 0;
});

/** A canonical Huffman code: shorter codes before longer ones, and within a length in the order of the symbols. */
interface Code {
  readonly shortest: number;
  /** By length: the last code, −1 for none; and what to take off a code to find its symbol. */
  readonly last: Int32Array;
  readonly base: Int32Array;
  readonly symbols: Uint16Array;
}

export class Bzip2Block {
  readonly #capacity: number;
  /** The transformed bytes, and above the lowest 8 bits where each one's successor is. */
  readonly #links: Uint32Array;
  #length = 0;
  #start = 0;
  #promised = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
    this.#links = new Uint32Array(capacity);
  }

  /** Of the output; known when `output` has come to its end. */
  get checksum(): number {
    return this.#promised;
  }

  /** Reads what stands behind the block's magic number. */
  read(input: BitReader, damaged: Damaged): void {
    this.#promised = input.read(16) * 2 ** 16 + input.read(16);
    if (input.read(1) === 1) throw damaged("is of a kind that was given up in 1996 (randomised blocks)");
    const start = input.read(24);
    const used = readUsedBytes(input);
    if (used.length === 0) throw damaged("is damaged (a block has no symbols)");
    const tables = input.read(3);
    if (tables < 2 || tables > 6) throw damaged("is damaged (a block has an impossible number of code tables)");
    const selectors = readSelectors(input, tables, damaged);
    const codes = Array.from({ length: tables }, () => readCode(input, used.length + 2, damaged));
    this.#readSymbols(input, codes, selectors, used, damaged);
    if (start >= this.#length) throw damaged("is damaged (a block begins outside of itself)");
    this.#start = start;
    this.#link();
  }

  /** The block's bytes. Throws at the end when they do not have their checksum. */
  *output(damaged: Damaged): Generator<Uint8Array> {
    const links = this.#links;
    let crc = 0xffffffff;
    let link = links[this.#start] as number;
    let piece = Buffer.allocUnsafeSlow(OUTPUT);
    let filled = 0;
    let previous = -1;
    let equal = 0;
    for (let left = this.#length; left > 0; left -= 1) {
      link = links[link >>> 8] as number;
      const byte = link & 0xff;
      let copies = 1;
      let value = byte;
      if (equal === 4) {
        // after four equal bytes the next one counts how often they go on
        [copies, value, equal] = [byte, previous, 0];
        previous = -1;
      } else {
        equal = byte === previous ? equal + 1 : 1;
        previous = byte;
      }
      for (; copies > 0; copies -= 1) {
        crc = (crc << 8) ^ (CRC_TABLE[(crc >>> 24) ^ value] as number);
        piece[filled] = value;
        filled += 1;
        if (filled < OUTPUT) continue;
        yield piece;
        piece = Buffer.allocUnsafeSlow(OUTPUT);
        filled = 0;
      }
    }
    if (filled > 0) yield piece.subarray(0, filled);
    if (~crc >>> 0 !== this.#promised) throw damaged("is damaged (a block does not have its checksum)");
  }

  #readSymbols(
    input: BitReader,
    codes: readonly Code[],
    selectors: Uint8Array,
    front: Uint8Array,
    damaged: Damaged,
  ): void {
    const end = front.length + 1;
    const links = this.#links;
    let length = 0;
    let run = 0;
    let weight = 1;
    let [group, groupLeft] = [0, 0];
    let code: Code | undefined;
    for (;;) {
      if (groupLeft === 0) {
        code = codes[selectors[group] ?? -1];
        [group, groupLeft] = [group + 1, GROUP];
      }
      groupLeft -= 1;
      if (code === undefined) throw damaged("is damaged (a block has more symbols than it says)");
      const symbol = readSymbol(input, code, damaged);
      if (symbol === RUN_A || symbol === RUN_B) {
        // a number in the digits 1 and 2, the lowest first
        run += weight << symbol;
        weight *= 2;
        if (length + run > this.#capacity) throw damaged("is damaged (a block is longer than its stream allows)");
        continue;
      }
      if (run > 0) {
        links.fill(front[0] as number, length, length + run);
        length += run;
        run = 0;
        weight = 1;
      }
      if (symbol === end) break;
      if (length >= this.#capacity) throw damaged("is damaged (a block is longer than its stream allows)");
      const place = symbol - 1;
      const byte = front[place] as number;
      for (let to = place; to > 0; to -= 1) front[to] = front[to - 1] as number;
      front[0] = byte;
      links[length] = byte;
      length += 1;
    }
    this.#length = length;
  }

  /** Undoes the transform: the n-th occurrence of a byte in the last column is its n-th occurrence in the first. */
  #link(): void {
    const links = this.#links;
    const places = new Uint32Array(256);
    for (let at = 0; at < this.#length; at += 1) {
      const byte = (links[at] as number) & 0xff;
      places[byte] = (places[byte] as number) + 1;
    }
    let sum = 0;
    for (let byte = 0; byte < 256; byte += 1) {
      const count = places[byte] as number;
      places[byte] = sum;
      sum += count;
    }
    for (let at = 0; at < this.#length; at += 1) {
      const byte = (links[at] as number) & 0xff;
      const place = places[byte] as number;
      places[byte] = place + 1;
      links[place] = (links[place] as number) | (at << 8);
    }
  }
}

/** Which bytes occur at all: 16 bits say which sixteenths have any, and 16 more for each of those. */
function readUsedBytes(input: BitReader): Uint8Array {
  const sixteenths = input.read(16);
  const used: number[] = [];
  for (let high = 0; high < 16; high += 1) {
    if ((sixteenths & (0x8000 >> high)) === 0) continue;
    const bits = input.read(16);
    for (let low = 0; low < 16; low += 1) if ((bits & (0x8000 >> low)) !== 0) used.push(16 * high + low);
  }
  return Uint8Array.from(used);
}

/** The table of each group of symbols, moved to the front and counted in ones. */
function readSelectors(input: BitReader, tables: number, damaged: Damaged): Uint8Array {
  const count = input.read(15);
  const front = [0, 1, 2, 3, 4, 5].slice(0, tables);
  const selectors = new Uint8Array(count);
  for (let at = 0; at < count; at += 1) {
    let place = 0;
    while (input.read(1) === 1) {
      place += 1;
      if (place >= tables) throw damaged("is damaged (a block names a code table that it does not have)");
    }
    front.unshift(...front.splice(place, 1));
    selectors[at] = front[0] as number;
  }
  return selectors;
}

/** Lengths of the codes of all symbols, each as steps up and down from the one before. */
function readCode(input: BitReader, symbolCount: number, damaged: Damaged): Code {
  const lengths = new Uint8Array(symbolCount);
  let length = input.read(5);
  for (let symbol = 0; symbol < symbolCount; symbol += 1) {
    for (;;) {
      if (length < 1 || length > LONGEST_CODE) throw damaged("is damaged (a code has an impossible length)");
      if (input.read(1) === 0) break;
      length += input.read(1) === 0 ? 1 : -1;
    }
    lengths[symbol] = length;
  }
  const last = new Int32Array(LONGEST_CODE + 1).fill(-1);
  const base = new Int32Array(LONGEST_CODE + 1);
  const symbols: number[] = [];
  let next = 0;
  for (let bits = 1; bits <= LONGEST_CODE; bits += 1) {
    next <<= 1;
    base[bits] = next - symbols.length;
    for (let symbol = 0; symbol < symbolCount; symbol += 1) {
      if (lengths[symbol] !== bits) continue;
      symbols.push(symbol);
      next += 1;
    }
    last[bits] = next - 1;
    // an overfull code would give symbols that it does not have
    if (next > 1 << bits) throw damaged("is damaged (a code has more words than there are)");
  }
  return {
    shortest: lengths.reduce((least, bits) => Math.min(least, bits)),
    last,
    base,
    symbols: Uint16Array.from(symbols),
  };
}

function readSymbol(input: BitReader, code: Code, damaged: Damaged): number {
  let bits = code.shortest;
  let word = input.read(bits);
  while (word > (code.last[bits] as number)) {
    bits += 1;
    if (bits > LONGEST_CODE) throw damaged("is damaged (a word is not in its code)");
    word = word * 2 + input.read(1);
  }
  return code.symbols[word - (code.base[bits] as number)] as number;
}
