/** bzip2 streams bit by bit, so that tests can write what the program never would: blocks of one byte value, in runs. */

export interface BlockOptions {
  /** Digits of a run length, the lowest first: 0 stands for 1, 1 for 2. */
  readonly runs: readonly (0 | 1)[];
  /** The only byte value. */
  readonly byte: number;
  readonly checksum?: number;
  readonly randomised?: boolean;
  readonly start?: number;
  readonly tables?: number;
  readonly selectors?: number;
  /** Of the codes for the two digits and the end. */
  readonly lengths?: readonly [number, number, number];
}

export interface Block {
  /** Ones and zeros. */
  readonly bits: string;
  readonly checksum: number;
}

/** With its right checksum unless another is given, as long as the run is short enough to have one. */
export function bzip2Block(options: BlockOptions): Block {
  const { runs, byte, randomised = false, start = 0, tables = 2, lengths = [1, 2, 2] } = options;
  const length = runs.reduce<number>((sum, digit, at) => sum + 2 ** (at + digit), 0);
  const checksum = options.checksum ?? (length < 1000 ? crc(undoRuns(Array.from({ length }, () => byte))) : 0);
  const selectors = options.selectors ?? Math.ceil((runs.length + 1) / 50);
  const used = Array.from({ length: 16 }, (_, high) => (high === byte >> 4 ? "1" : "0")).join("");
  const low = Array.from({ length: 16 }, (_, at) => (at === (byte & 15) ? "1" : "0")).join("");
  const table =
    number(lengths[0], 5) +
    lengths.map((bits, at) => `${"10".repeat(Math.max(0, bits - (lengths[at - 1] ?? lengths[0])))}0`).join("");
  return {
    checksum,
    bits: [
      number(0x314159, 24) + number(0x265359, 24),
      number(checksum, 32),
      randomised ? "1" : "0",
      number(start, 24),
      used + low,
      number(tables, 3),
      number(selectors, 15),
      "0".repeat(selectors),
      table.repeat(Math.max(tables, 2)),
      ...runs.map((digit) => (digit === 0 ? "0" : "10")),
      "11",
    ].join(""),
  };
}

export function bzip2Stream(blocks: readonly Block[]): Buffer {
  const checksum = blocks.reduce((sum, block) => (((sum << 1) | (sum >>> 31)) ^ block.checksum) >>> 0, 0);
  const end = number(0x177245, 24) + number(0x385090, 24) + number(checksum, 32);
  const bits = blocks.map((block) => block.bits).join("") + end;
  const padded = bits.padEnd(Math.ceil(bits.length / 8) * 8, "0");
  const bytes = Array.from({ length: padded.length / 8 }, (_, at) =>
    Number.parseInt(padded.slice(8 * at, 8 * at + 8), 2),
  );
  return Buffer.concat([Buffer.from("BZh9"), Buffer.from(bytes)]);
}

function number(value: number, bits: number): string {
  return value.toString(2).padStart(bits, "0");
}

/** After four equal bytes the next one is a count of more. */
function undoRuns(bytes: readonly number[]): number[] {
  const output: number[] = [];
  let equal = 0;
  for (const byte of bytes) {
    if (equal === 4) {
      const last = output.at(-1) ?? 0;
      for (let more = byte; more > 0; more -= 1) output.push(last);
      equal = 0;
      continue;
    }
    equal = equal > 0 && output.at(-1) === byte ? equal + 1 : 1;
    output.push(byte);
  }
  return output;
}

function crc(bytes: readonly number[]): number {
  let sum = 0xffffffff;
  for (const byte of bytes) {
    sum ^= byte << 24;
    for (let bit = 0; bit < 8; bit += 1) sum = sum < 0 || sum > 0x7fffffff ? (sum << 1) ^ 0x04c11db7 : sum << 1;
  }
  return ~sum >>> 0;
}
