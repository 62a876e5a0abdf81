import { crc32 } from "node:zlib";
import { describe, expect, test } from "vitest";
import { AppError } from "../../../src/errors.ts";
import { type Entry, impliedDirectory } from "../../../src/layers/entry.ts";
import { decodeEntryIndex, encodeEntryIndex } from "../../../src/layers/entry-index.ts";

const ENTRIES: Entry[] = [
  { ...impliedDirectory(""), opaque: true },
  {
    ...impliedDirectory("a"),
    implied: false,
    mode: 0o2755,
    uid: 70_000,
    gid: 4_294_967_294,
    mtimeSec: -2,
    mtimeNsec: 999_999_999,
  },
  {
    ...impliedDirectory("a/file"),
    implied: false,
    type: "file",
    size: 2 ** 40 + 7,
    offset: 2 ** 41,
    checksum: 0xffffffff,
    mtimeSec: 1_700_000_000,
  },
  { ...impliedDirectory("a/file\xff"), implied: false, type: "hardlink", link: "a/file" },
  { ...impliedDirectory("b"), implied: false, type: "symlink", link: "../\xc3\xa9" },
  { ...impliedDirectory("c"), implied: false, type: "character", major: 4095, minor: 1_048_575 },
  { ...impliedDirectory("d"), implied: false, type: "lower-hardlink", link: "x/y" },
  { ...impliedDirectory("e"), implied: false, type: "whiteout" },
  {
    ...impliedDirectory("f"),
    implied: false,
    type: "fifo",
    xattrs: [
      ["user.a", Buffer.from([0, 255, 10])],
      ["user.b", Buffer.alloc(0)],
    ],
  },
  {
    ...impliedDirectory("sparse"),
    implied: false,
    type: "file",
    size: 2 ** 40,
    offset: 512,
    sparse: [
      { offset: 0, length: 4096 },
      { offset: 2 ** 39, length: 2 ** 33 },
    ],
  },
  { ...impliedDirectory("sparse-hole"), implied: false, type: "file", size: 4096, offset: 512, sparse: [] },
];

const INDEX = encodeEntryIndex(ENTRIES);

/** With the checksum that belongs to it: what a hostile writer would send. */
function sealed(body: Buffer): Buffer {
  const checksum = Buffer.alloc(4);
  checksum.writeUInt32LE(crc32(body));
  return Buffer.concat([body, checksum]);
}

const file = (size: number, ...sparse: (readonly [number, number])[]): Entry => ({
  ...impliedDirectory(""),
  type: "file",
  size,
  sparse: sparse.map(([offset, length]) => ({ offset, length })),
});

describe("the entry index", () => {
  test("gives back every field of every type", () => {
    expect(decodeEntryIndex(encodeEntryIndex(ENTRIES), "index")).toEqual(ENTRIES);
  });

  test("holds many entries in few bytes each", () => {
    const many = Array.from({ length: 10_000 }, (_, at) => ({
      ...impliedDirectory(`usr/share/doc/package-${at}/copyright`),
      type: "file" as const,
      size: at,
    }));
    expect(encodeEntryIndex(many).length / many.length).toBeLessThan(40);
  });

  test.each([
    ["its middle", 40],
    ["its checksum", -1],
    ["its magic", 0],
  ])("is refused when a byte in %s is flipped", (_where, at) => {
    const bytes = encodeEntryIndex(ENTRIES);
    const index = at < 0 ? bytes.length + at : at;
    bytes[index] = (bytes[index] ?? 0) ^ 1;
    expect(() => decodeEntryIndex(bytes, "index")).toThrow(AppError);
  });

  test.each([0, 3, 8, 20])("is refused when only %i bytes are left of it", (length) => {
    expect(() => decodeEntryIndex(encodeEntryIndex(ENTRIES).subarray(0, length), "index")).toThrow(AppError);
  });

  test("is the same bytes as ever when no file is sparse", () => {
    const bytes = encodeEntryIndex([{ ...impliedDirectory("a"), type: "file", size: 300, offset: 512, checksum: 1 }]);
    expect(bytes).toEqual(sealed(Buffer.from("5257494e44455831010001000161ed0300000000ac0280040100", "hex")));
  });

  test.each<readonly [string, Entry]>([
    ["overlaps", file(4096, [0, 512], [256, 512])],
    ["goes beyond the file", file(4096, [4000, 512])],
    ["has an empty piece", file(4096, [0, 0])],
    ["has pieces that are one", file(4096, [0, 512], [512, 512])],
  ])("is refused when a sparse map %s", (_what, entry) => {
    expect(() => decodeEntryIndex(encodeEntryIndex([entry]), "index")).toThrow(AppError);
  });

  const varint = (...bytes: number[]): Buffer => Buffer.from(bytes);
  test.each<readonly [string, Buffer]>([
    ["is cut", INDEX.subarray(0, -40)],
    ["says that it has 2^49 entries", Buffer.concat([INDEX.subarray(0, 8), varint(255, 255, 255, 255, 255, 255, 127)])],
    ["has a number without end", Buffer.concat([INDEX.subarray(0, 8), Buffer.alloc(10_000, 0x80)])],
    ["has a number beyond 2^53", Buffer.concat([INDEX.subarray(0, 8), Buffer.alloc(8, 0xff), varint(1)])],
    ["has bytes behind its end", Buffer.concat([INDEX.subarray(0, -4), varint(0)])],
    [
      "has a text as long as no memory",
      Buffer.concat([INDEX.subarray(0, 8), varint(1, 1, 0, 0, 255, 255, 255, 255, 127)]),
    ],
    ["shares what is not there", Buffer.concat([INDEX.subarray(0, 8), varint(1, 1, 0, 5, 0), Buffer.alloc(20)])],
    ["has a flag that is none", Buffer.concat([INDEX.subarray(0, 8), varint(1, 1, 8), Buffer.alloc(20)])],
    ["has a sparse directory", Buffer.concat([INDEX.subarray(0, 8), varint(1, 1, 4), Buffer.alloc(20)])],
  ])("that %s is refused, whatever its checksum", (_what, body) => {
    expect(() => decodeEntryIndex(sealed(body), "index")).toThrow(AppError);
  });

  test("with any of its bytes changed and the checksum made right is refused or read, and no more", () => {
    for (let at = 8; at < INDEX.length - 4; at += 1) {
      for (const byte of [0, 0x7f, 0x80, 0xff]) {
        const body = Buffer.from(INDEX.subarray(0, -4));
        body[at] = byte;
        try {
          expect(decodeEntryIndex(sealed(body), "index").length).toBeLessThan(200);
        } catch (error) {
          expect(error).toBeInstanceOf(AppError);
        }
      }
    }
  });
});
