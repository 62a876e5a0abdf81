/** Mutations of tars, most of which leave one: a field of a header, a block, a record of a PAX header, two tars joined. */
import { base256 } from "../support/tar-builder.ts";
import { joined, mutateBytes, replaced } from "./mutate-bytes.ts";
import type { Random } from "./random.ts";
import { BLOCK, bodyAt, encodeRecords, FIELDS, headersOf, mend, recordsOf, withBody } from "./tar-blocks.ts";

const NUMBERS = [0, 1, 2, 7, 511, 512, 513, 1024, 4096, 2 ** 20, 2 ** 20 + 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 33];
const HUGE = [
  2n ** 53n - 1n,
  2n ** 53n,
  2n ** 63n - 1n,
  2n ** 63n,
  2n ** 64n,
  2n ** 88n,
  -1n,
  -512n,
  -(2n ** 51n),
  -(2n ** 63n),
];
const FLAGS = ["\0", ...Array.from("01234567DSxXgLKAEIMNVZ \xff")];
const MAGICS = ["ustar\x0000", "ustar  \0", "ustar\x00  ", "\0\0\0\0\0\0\0\0", "USTAR\x0000", "ustar 00"];
const TEXTS = [
  "",
  "a",
  "a/b",
  "/",
  "./",
  "../x",
  "a\0b",
  "d/",
  "\xff",
  "a".repeat(99),
  "a".repeat(100),
  "a/".repeat(50),
];
const TEXT_VALUES = ["", "a", "a/b", "a\0b", "../x", "d/", "=", "\n", "x".repeat(600), "\xff"];
const NUMBER_VALUES = [
  "",
  "0",
  "1",
  "-1",
  "512",
  "1024",
  "4096",
  "9007199254740991",
  "9007199254740992",
  "99999999999999999999",
  "1e3",
  "0x10",
  " 1",
];
const TIME_VALUES = [
  "-0.5",
  "1.9999999999",
  "-1.0000000001",
  "9".repeat(15),
  "-0",
  "1.",
  ".5",
  "1.5.5",
  "-99999999999.9",
];
const MAP_VALUES = [
  "0,512,1024,512",
  "512,512,0,512",
  "0,512,512,512",
  "0,0,100,0",
  "1,2,3",
  ",",
  "0,1024",
  "3584,512",
];
const ACL_VALUES = ["user::rwx,group::r--,mask::rwx,other::r--,user:1:r-x", "user::rwx", "u::7,g::5", "other::rwx:"];
const ANY_VALUES = [...TEXT_VALUES, ...NUMBER_VALUES, ...TIME_VALUES, ...MAP_VALUES, ...ACL_VALUES];

/** Keys, and values that each of them could have. */
const RECORDS: readonly (readonly [key: string, values: readonly string[]])[] = [
  ["path", TEXT_VALUES],
  ["linkpath", TEXT_VALUES],
  ["size", NUMBER_VALUES],
  ["uid", NUMBER_VALUES],
  ["gid", NUMBER_VALUES],
  ["mtime", TIME_VALUES],
  ["SCHILY.xattr.user.a", TEXT_VALUES],
  ["SCHILY.xattr.security.selinux", TEXT_VALUES],
  ["SCHILY.xattr.trusted.overlay.opaque", TEXT_VALUES],
  ["SCHILY.xattr.", TEXT_VALUES],
  ["SCHILY.acl.access", ACL_VALUES],
  ["SCHILY.acl.default", ACL_VALUES],
  ["LIBARCHIVE.xattr.user.a", ["YWJj", "=", "\xff", ""]],
  ["LIBARCHIVE.xattr.user%2Eb", ["YWJj"]],
  ["LIBARCHIVE.xattr.user%00b", ["YWJj"]],
  ["LIBARCHIVE.xattr.user%2eoverlay.x%", ["YWJj"]],
  ["GNU.sparse.major", ["0", "1", "2", ""]],
  ["GNU.sparse.minor", ["0", "1", ""]],
  ["GNU.sparse.name", TEXT_VALUES],
  ["GNU.sparse.size", NUMBER_VALUES],
  ["GNU.sparse.realsize", NUMBER_VALUES],
  ["GNU.sparse.map", MAP_VALUES],
  ["GNU.sparse.numblocks", ["0", "1", "2", "-1", ""]],
  ["GNU.sparse.offset", NUMBER_VALUES],
  ["GNU.sparse.numbytes", NUMBER_VALUES],
  ["hdrcharset", ["BINARY"]],
  ["__proto__", TEXT_VALUES],
];

export function mutateTar(input: Buffer, other: Buffer, random: Random): Buffer {
  const headers = headersOf(input);
  const choice = headers.length === 0 ? 11 : random.below(12);
  const header = headers.length === 0 ? 0 : random.pick(headers);
  if (choice <= 3) return withField(input, header, random);
  if (choice <= 6) return withRecords(input, headers, random);
  if (choice <= 9) return withBlocks(input, other, random);
  const bytes = mutateBytes(input, other, random);
  // what was changed in the first blocks is mended half of the time
  const changed = choice === 10 ? Math.floor(differs(input, bytes) / BLOCK) * BLOCK : 0;
  if (choice === 10) mend(bytes, changed);
  return bytes;
}

function withField(input: Buffer, header: number, random: Random): Buffer {
  const [offset, width, number] = random.pick(FIELDS);
  let value: Uint8Array;
  if (offset === 156) value = Buffer.from(random.pick(FLAGS), "latin1");
  else if (offset === 257) value = Buffer.from(random.pick(MAGICS), "latin1");
  else if (number) value = numberField(width, random);
  else value = Buffer.from(random.pick(TEXTS).slice(0, width).padEnd(width, "\0"), "latin1");
  const changed = replaced(input, header + offset, value);
  if (!random.oneIn(10)) mend(changed, header);
  return changed;
}

function numberField(width: number, random: Random): Buffer {
  if (random.oneIn(4)) return base256(random.pick(HUGE), width);
  if (random.oneIn(4))
    return Buffer.from(random.pick([" ", "", "8", "7 7", "-1", "1\0x", "\x80"]).padEnd(width, " \0"), "latin1");
  const value = random.pick(NUMBERS);
  const digits = value.toString(8);
  return digits.length > width
    ? base256(value, width)
    : Buffer.from(digits.padStart(width - 1, "0").padEnd(width, "\0"));
}

/** A record is added, left out, said twice, moved or changed, in a PAX header that is there or a new one. */
function withRecords(input: Buffer, headers: readonly number[], random: Random): Buffer {
  const own = headers.filter((at) => "xgX".includes(String.fromCharCode(input[at + 156] as number)));
  if (own.length === 0 || random.oneIn(8)) {
    const at = random.pick(headers);
    const added = Buffer.from(input.subarray(at, at + BLOCK));
    added[156] = random.pick(Array.from("xxxgLK")).charCodeAt(0);
    added.fill(0x30, 124, 135);
    return withBody(joined(input.subarray(0, at), added, input.subarray(at)), at, encodeRecords([someRecord(random)]));
  }
  const at = random.pick(own);
  return withBody(input, at, mutateRecords(bodyAt(input, at), input, random));
}

/** Of the body of a PAX header. */
export function mutateRecords(input: Buffer, other: Buffer, random: Random): Buffer {
  const body = encodeRecords(changed(recordsOf(input), random));
  // lengths that are not mended, a missing newline, padding in the middle
  return random.oneIn(5) ? mutateBytes(body, other, random) : body;
}

type Pair = readonly [key: string, value: string];

function someRecord(random: Random): Pair {
  const [key, values] = random.pick(RECORDS);
  return [key, random.pick(random.oneIn(4) ? ANY_VALUES : values)];
}

function changed(records: Pair[], random: Random): Pair[] {
  const which = random.below(records.length);
  const [key, value] = records[which] ?? someRecord(random);
  const values = RECORDS.find(([known]) => known === key)?.[1] ?? TEXT_VALUES;
  switch (random.below(6)) {
    case 0:
      return records.toSpliced(which, 0, someRecord(random));
    case 1:
      return records.toSpliced(which, 1);
    case 2:
      return records.toSpliced(random.below(records.length), 0, [key, value]);
    case 3:
      return records.toSpliced(which, 1, [random.pick(RECORDS)[0], value]);
    default:
      return records.toSpliced(which, 1, [key, random.pick(random.oneIn(8) ? ANY_VALUES : values)]);
  }
}

function withBlocks(input: Buffer, other: Buffer, random: Random): Buffer {
  const blocks = Math.floor(input.length / BLOCK);
  const at = random.below(blocks) * BLOCK;
  const size = (1 + random.below(3)) * BLOCK;
  const target = random.below(blocks + 1) * BLOCK;
  const piece = input.subarray(at, at + size);
  switch (random.below(6)) {
    case 0:
      return joined(input.subarray(0, at), input.subarray(at + size));
    case 1:
      return joined(input.subarray(0, target), piece, input.subarray(target));
    case 2:
      return joined(input.subarray(0, target), Buffer.alloc(BLOCK), input.subarray(target));
    case 3:
      return joined(input.subarray(0, at), other.subarray(random.below(other.length / BLOCK) * BLOCK));
    case 4: {
      const from = random.below(other.length / BLOCK) * BLOCK;
      return joined(input.subarray(0, at), other.subarray(from, from + size), input.subarray(at));
    }
    default:
      return input.subarray(0, random.oneIn(2) ? at : random.below(input.length));
  }
}

function differs(left: Buffer, right: Buffer): number {
  let at = 0;
  while (at < left.length && left[at] === right[at]) at += 1;
  return at;
}
