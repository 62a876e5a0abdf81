/**
 * One header block of a tar archive, as written: POSIX ustar and pax, GNU, star, and V7, which was before them all. Names
 * are byte strings (see entry.ts).
 *
 *     0 name 100 · mode 8 · uid 8 · gid 8 · size 12 · mtime 12 · checksum 8 · type 1 · link 100
 *   257 magic 6 · version 2 · owner 32 · group 32 · device major 8 · minor 8            not in V7
 *   345 ustar: prefix 155
 *       star:  prefix 131 · atime 12 · ctime 12 · … · 508 "tar\0"
 *       GNU:   atime 12 · ctime 12 · … · 386 sparse map 4 × 24 · more of it 1 · real size 12   (tar-sparse.ts)
 */
import { AppError } from "../errors.ts";
import { invalid } from "./layer-path.ts";
import { parseNumber, parseOctal } from "./tar-number.ts";
import { isDevice } from "./tar-types.ts";

export const BLOCK = 512;

export type TarFormat = "v7" | "ustar" | "star" | "gnu";

export interface TarHeader {
  readonly format: TarFormat;
  /** The type flag's byte. */
  readonly flag: number;
  readonly name: string;
  readonly link: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes that the archive stores, if the type has a body. */
  readonly size: number;
  readonly mtimeSec: number;
  readonly major: number;
  readonly minor: number;
  /** The bytes themselves, which change when the caller's memory does. */
  readonly block: Buffer;
}

/** Undefined for a block of zeros. Throws `layer-invalid`. */
export function parseHeader(block: Buffer): TarHeader | undefined {
  const sum = sumOf(block);
  if (sum === 0) return undefined;
  checkSum(block, sum);
  const format = formatOf(block);
  const prefix = prefixOf(block, format);
  const name = prefix === "" ? textAt(block, 0, 100) : `${prefix}/${textAt(block, 0, 100)}`;
  const number = (offset: number, width: number, what: string): number => {
    const value = parseNumber(block, offset, width);
    if (Number.isNaN(value)) throw invalid(name, `has a header whose ${what} is no number`);
    return value;
  };
  const flag = block[156] as number;
  const device = format !== "v7" && isDevice(flag);
  return {
    format,
    flag,
    name,
    link: block[157] === 0 ? "" : textAt(block, 157, 100),
    mode: number(100, 8, "mode"),
    uid: number(108, 8, "owner"),
    gid: number(116, 8, "group"),
    size: number(124, 12, "size"),
    mtimeSec: number(136, 12, "time"),
    major: device ? number(329, 8, "device number") : 0,
    minor: device ? number(337, 8, "device number") : 0,
    block,
  };
}

/** Of all 512 bytes, four in a step: that takes half the time, and this is the longest thing done to a header. */
function sumOf(block: Buffer): number {
  let sum = 0;
  for (let at = 0; at < BLOCK; at += 4)
    sum += (block[at] as number) + (block[at + 1] as number) + (block[at + 2] as number) + (block[at + 3] as number);
  return sum;
}

/** The checksum counts its own field as blanks. Some old programs added up signed bytes. */
function checkSum(block: Buffer, sum: number): void {
  let own = 0;
  for (let at = 148; at < 156; at += 1) own += block[at] as number;
  const expected = parseOctal(block, 148, 8);
  const found = sum - own + 8 * 0x20;
  if (expected === found) return;
  let signed = found;
  for (let at = 0; at < BLOCK; at += 1) if ((at < 148 || at >= 156) && (block[at] as number) > 0x7f) signed -= 0x100;
  if (expected === signed) return;
  throw new AppError(
    "layer-invalid",
    "Cannot unpack a layer: not a tar archive, or a damaged one (a header's checksum)",
  );
}

const USTAR = 0x75737461;

function formatOf(block: Buffer): TarFormat {
  if (block.readUInt32BE(257) !== USTAR || block[261] !== 0x72) return "v7";
  if (block[262] === 0) return block.readUInt32BE(508) === 0x74617200 ? "star" : "ustar";
  return block[262] === 0x20 && block[263] === 0x20 && block[264] === 0 ? "gnu" : "v7";
}

function prefixOf(block: Buffer, format: TarFormat): string {
  if (block[345] === 0 || format === "v7") return "";
  if (format !== "gnu") return textAt(block, 345, format === "star" ? 131 : 155);
  // Docker's builders of before 2017 put a prefix here when a number needed base-256; archive/tar still reads it
  if (!Number.isNaN(parseNumber(block, 345, 12)) && !Number.isNaN(parseNumber(block, 357, 12))) return "";
  const prefix = textAt(block, 345, 155);
  return /^[\x20-\x7e]*$/.test(prefix) ? prefix : "";
}

/** Up to the first NUL; a name that fills its field has none. */
function textAt(block: Buffer, offset: number, width: number): string {
  let end = offset;
  while (end < offset + width && block[end] !== 0) end += 1;
  return block.toString("latin1", offset, end);
}
