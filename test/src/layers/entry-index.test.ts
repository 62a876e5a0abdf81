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
];

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
});
