import { describe, expect, test } from "vitest";
import { BLOCK, parseHeader, type TarHeader } from "../../../src/layers/tar-header.ts";
import { parseNumber } from "../../../src/layers/tar-number.ts";
import { type Bytes, base256, buildLayer, GNU_MAGIC, type TarEntry } from "../../support/tar-builder.ts";

const blockOf = (entry: TarEntry): Buffer => buildLayer([entry], Buffer.alloc(0)).subarray(0, BLOCK);
const header = (entry: TarEntry): TarHeader => parseHeader(blockOf(entry)) as TarHeader;
const V7 = { magic: Buffer.alloc(6), version: Buffer.alloc(2) } as const;

describe("parseNumber", () => {
  const parse = (field: Bytes): number => {
    const bytes = Buffer.from(field as string, "latin1");
    return parseNumber(bytes, 0, bytes.length);
  };

  test.each<readonly [string, number]>([
    ["0000644\0", 0o644],
    ["000644 \0", 0o644],
    ["   644 \0", 0o644],
    ["\0\0  644\0", 0o644],
    ["77777777", 0o77777777],
    ["\0\0\0\0\0\0\0\0", 0],
    ["        ", 0],
    ["644\0 rest", 0o644],
  ])("reads octal digits %j", (field, value) => {
    expect(parse(field)).toBe(value);
  });

  test.each(["0000648\0", "-000644\0", "0x644\0\0\0", "644 x\0\0\0", "644x\0\0\0\0", "6 4\0\0\0\0\0", "644 \0x  "])(
    "takes %j for no number",
    (field) => {
      expect(parse(field)).toBeNaN();
    },
  );

  test.each([0, 1, 255, 3_000_000, 2 ** 40, Number.MAX_SAFE_INTEGER, -1, -2, -256, -257, -(2 ** 40)])(
    "reads %i in base 256",
    (value) => {
      expect(parse(base256(value, 12).toString("latin1"))).toBe(value);
    },
  );

  test("does not make a small number of one that is beyond all", () => {
    expect(parse(base256(2n ** 70n, 12).toString("latin1"))).toBe(2 ** 70);
    expect(parse(`\x80${"\xff".repeat(11)}`)).toBeGreaterThan(2 ** 80);
  });
});

describe("parseHeader", () => {
  test("gives nothing for a block of zeros", () => {
    expect(parseHeader(Buffer.alloc(BLOCK))).toBeUndefined();
  });

  test("reads every field", () => {
    const entry: TarEntry = { name: "dev/x", type: "block", mode: 0o4755, uid: 7, gid: 8, mtime: 9, devmajor: 10 };
    expect(header({ ...entry, devminor: 11 })).toMatchObject({
      format: "ustar",
      name: "dev/x",
      mode: 0o4755,
      uid: 7,
      gid: 8,
      size: 0,
      mtimeSec: 9,
      major: 10,
      minor: 11,
    });
  });

  test("reads negative times", () => {
    expect(header({ name: "a", mtime: -1 }).mtimeSec).toBe(-1);
    expect(header({ name: "a", mtime: -86_400 }).mtimeSec).toBe(-86_400);
  });

  test("keeps bytes that are no UTF-8", () => {
    const bytes = Buffer.from([0x61, 0xff, 0xe9, 0x0a, 0x1b]);
    expect(header({ name: bytes, type: "symlink", linkname: bytes })).toMatchObject({
      name: "a\xff\xe9\n\x1b",
      link: "a\xff\xe9\n\x1b",
    });
  });

  test("reads names that fill their fields to the last byte", () => {
    const [name, linkname] = ["n".repeat(100), "l".repeat(100)];
    const long = { name: `${"p".repeat(155)}/${name}`, longNames: "prefix" } as const;
    expect(header({ name, type: "symlink", linkname })).toMatchObject({ name, link: linkname });
    expect(header(long).name).toBe(long.name);
  });

  test("takes a prefix only where the format has one", () => {
    const prefix = "00000000012\0";
    expect(header({ name: "a", raw: { prefix: "p" } }).name).toBe("p/a");
    expect(header({ name: "a", raw: { ...GNU_MAGIC, prefix } }).name).toBe("a");
    expect(header({ name: "a", raw: { ...V7, prefix: "p" } }).name).toBe("a");
  });

  test("takes it from a GNU header too, if there cannot be times, as old builders wrote it", () => {
    expect(header({ name: "a", raw: { ...GNU_MAGIC, prefix: "usr/share/x" } }).name).toBe("usr/share/x/a");
    expect(header({ name: "a", raw: { ...GNU_MAGIC, prefix: Buffer.from([0x70, 0xff]) } }).name).toBe("a");
  });

  test("leaves the times of star's headers out of the prefix", () => {
    const area = Buffer.alloc(155);
    area.write("p".repeat(131));
    area.write("00000000012 00000000013 ", 131);
    const block = blockOf({ name: "a", raw: { prefix: area } });
    block.write("tar\0", 508);
    let sum = 8 * 0x20;
    for (const [at, byte] of block.entries()) sum += at >= 148 && at < 156 ? 0 : byte;
    block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
    expect(parseHeader(block)).toMatchObject({ format: "star", name: `${"p".repeat(131)}/a` });
  });

  test("reads no device numbers where none are", () => {
    expect(header({ name: "a", raw: { devmajor: "garbage" } })).toMatchObject({ major: 0, minor: 0 });
    expect(header({ name: "a", type: "char", devmajor: 1, raw: V7 }).major).toBe(0);
  });

  test("takes the checksum of signed bytes", () => {
    const block = blockOf({ name: Buffer.from([0xff, 0x61]) });
    const sum = Number.parseInt(block.toString("latin1", 148, 154), 8) - 256;
    block.write(sum.toString(8).padStart(6, "0"), 148);
    expect(parseHeader(block)?.name).toBe("\xffa");
  });

  test.each(["mode", "uid", "gid", "size", "mtime"] as const)("refuses a %s that is no number", (field) => {
    expect(() => header({ name: "a", raw: { [field]: "12x" } })).toThrow(
      expect.objectContaining({ code: "layer-invalid", message: expect.stringContaining('entry "a"') }),
    );
  });
});
