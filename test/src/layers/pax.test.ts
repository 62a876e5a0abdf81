import { describe, expect, test } from "vitest";
import { AppError } from "../../../src/errors.ts";
import { decodePax, type PaxRecords, paxTime, paxXattrs } from "../../../src/layers/pax.ts";
import type { TarType } from "../../../src/layers/tar-types.ts";

function record(key: string, value: Uint8Array | string): Buffer {
  const body = Buffer.concat([Buffer.from(` ${key}=`), Buffer.from(value as string), Buffer.from("\n")]);
  let length = body.length + 1;
  while (`${length}`.length + body.length !== length) length += 1;
  return Buffer.concat([Buffer.from(`${length}`), body]);
}

const piece = (offset: string): Buffer => record("GNU.sparse.offset", offset);
const pieceEnd = (length: string): Buffer => record("GNU.sparse.numbytes", length);

describe("decodePax", () => {
  test("reads several records", () => {
    expect(decodePax(Buffer.concat([record("path", "a b"), record("mtime", "1.5")]))).toEqual(
      new Map([
        ["path", "a b"],
        ["mtime", "1.5"],
      ]),
    );
  });

  test("keeps bytes that are no UTF-8, newlines and NULs in a binary value", () => {
    const value = Buffer.from([0x01, 0x00, 0x0a, 0xff, 0xc3, 0x28]);
    const decoded = decodePax(record("SCHILY.xattr.security.capability", value));
    expect(paxXattrs(decoded)).toEqual([["security.capability", value]]);
  });

  test.each([
    ["a length that lies", Buffer.from("99 path=a\n")],
    ["a length that is no number", Buffer.from("x path=a\n")],
    ["a negative length", Buffer.from("-9 path=a\n")],
    ["no newline at its end", Buffer.from("9 path=ab")],
    ["no equals sign", Buffer.from("9 pathab\n")],
    ["a NUL in a path", record("path", Buffer.from("a\0b"))],
    ["a NUL in a link", record("linkpath", Buffer.from("a\0b"))],
    ["a NUL in a sparse file's path", record("GNU.sparse.name", Buffer.from("a\0b"))],
    ["a NUL in a key", record("a\0b", "c")],
    ["no key", record("", "abc")],
    ["a length that ends in its own key", Buffer.from("5 pat\n9 path=b\n")],
    ["a length of a hundred digits", Buffer.from(`${"0".repeat(99)}9 path=b\n`)],
    ["a negative size", record("size", "-1")],
    ["a size with an exponent", record("size", "1e3")],
    ["a sparse piece's length before its offset", record("GNU.sparse.numbytes", "1")],
    ["a sparse piece without a length", Buffer.concat([piece("0"), piece("1")])],
    ["a sparse map told twice", Buffer.concat([record("GNU.sparse.map", "0,1"), piece("0"), pieceEnd("1")])],
  ])("refuses a record with %s", (_what, bytes) => {
    expect(() => decodePax(bytes)).toThrow(AppError);
  });

  test("is not fooled by names of Object's own properties", () => {
    expect([...decodePax(record("__proto__", "x")).keys()]).toEqual(["__proto__"]);
  });

  test("takes the last of several records of one key", () => {
    expect(decodePax(Buffer.concat([record("path", "a"), record("path", "b")])).get("path")).toBe("b");
  });

  test("takes NULs behind the last record for padding", () => {
    expect(decodePax(Buffer.concat([record("path", "a"), Buffer.alloc(100)])).size).toBe(1);
  });

  test("keeps the order of sparse pieces, which have one name", () => {
    const records = [piece("0"), pieceEnd("512"), piece("4096"), pieceEnd("100")];
    expect(decodePax(Buffer.concat(records)).get("GNU.sparse.map")).toBe("0,512,4096,100");
  });

  test("takes an empty size, which is none", () => {
    expect(decodePax(record("size", "")).get("size")).toBe("");
  });
});

describe("paxTime", () => {
  test.each([
    ["0", [0, 0]],
    ["1350244992.023960108", [1350244992, 23960108]],
    ["-1", [-1, 0]],
    ["-0.5", [-1, 500000000]],
    ["-1.25", [-2, 750000000]],
    ["1.9999999999", [1, 999999999]],
    ["1.", [1, 0]],
    ["-0", [0, 0]],
    ["-5.25", [-6, 750000000]],
    ["-1.9999999999", [-2, 0]],
    ["-0.0000000001", [-1, 999999999]],
    ["-1.2500000000", [-2, 750000000]],
  ])("reads %s", (text, expected) => {
    expect(paxTime(text)).toEqual(expected);
  });

  test.each(["yesterday", "", "-", ".5", "+1", "1e3", " 1", "1.5x", "0x10", "9".repeat(16)])(
    "takes %j for no time",
    (text) => {
      expect(paxTime(text)[0]).toBeNaN();
    },
  );
});

describe("paxXattrs", () => {
  test("leaves out the labels of the build machine and overlayfs' own attributes", () => {
    const names = ["security.selinux", "trusted.overlay.redirect", "user.overlay.opaque", "user.kept"];
    expect(paxXattrs(new Map(names.map((name) => [`SCHILY.xattr.${name}`, "v"]))).map(([name]) => name)).toEqual([
      "user.kept",
    ]);
    expect(paxXattrs(new Map([["RHT.security.selinux", "system_u:object_r:etc_t:s0"]]))).toEqual([]);
  });

  test("reads libarchive's spelling when it stands alone", () => {
    expect(paxXattrs(new Map([["LIBARCHIVE.xattr.user.a%3Db", Buffer.from("v").toString("base64")]]))).toEqual([
      ["user.a=b", Buffer.from("v")],
    ]);
  });

  test("prefers the other spelling of the same attribute", () => {
    const both = new Map([
      ["LIBARCHIVE.xattr.user.a", "djI="],
      ["SCHILY.xattr.user.a", "v1"],
    ]);
    expect(paxXattrs(both)).toEqual([["user.a", Buffer.from("v1")]]);
  });

  test("leaves out names that the kernel would cut at a NUL", () => {
    expect(paxXattrs(new Map([["LIBARCHIVE.xattr.security.capability%00x", "djI="]]))).toEqual([]);
  });

  test("keeps attributes without a value, and sorts by name", () => {
    const records = new Map([
      ["SCHILY.xattr.user.b", "v"],
      ["SCHILY.xattr.user.a", ""],
    ]);
    expect(paxXattrs(records).map(([name, value]) => [name, value.length])).toEqual([
      ["user.a", 0],
      ["user.b", 1],
    ]);
  });

  test.each<readonly [TarType, readonly string[]]>([
    ["file", ["security.a", "system.posix_acl_access", "trusted.a", "user.a"]],
    ["directory", ["security.a", "system.posix_acl_access", "system.posix_acl_default", "trusted.a", "user.a"]],
    ["symlink", ["security.a", "trusted.a"]],
    ["hardlink", ["security.a", "system.posix_acl_access", "trusted.a"]],
    ["character", ["security.a", "system.posix_acl_access", "trusted.a"]],
    ["block", ["security.a", "system.posix_acl_access", "trusted.a"]],
    ["fifo", ["security.a", "system.posix_acl_access", "trusted.a"]],
  ])("leaves out what Linux never has for a %s", (type, kept) => {
    const lists = ["system.posix_acl_access", "system.posix_acl_default"];
    const names = ["com.apple.quarantine", "plain", "security.a", ...lists, "trusted.a", "user.a"];
    const records = new Map(names.map((name) => [`SCHILY.xattr.${name}`, "v"]));
    expect(paxXattrs(records, type).map(([name]) => name)).toEqual(kept);
  });

  test.each(["SCHILY.xattr.", "LIBARCHIVE.xattr."])(
    "refuses a name (%s) that is longer than names can be",
    (prefix) => {
      const named = (length: number): PaxRecords => new Map([[`${prefix}user.${"n".repeat(length - 5)}`, "dg"]]);
      expect(paxXattrs(named(255))).toHaveLength(1);
      expect(() => paxXattrs(named(256))).toThrow(expect.objectContaining({ code: "layer-invalid" }));
      expect(() => paxXattrs(named(900_000))).toThrow(expect.objectContaining({ code: "layer-invalid" }));
    },
  );

  test("counts a name's bytes as libarchive means them", () => {
    const escaped = new Map([[`LIBARCHIVE.xattr.user.${"%41".repeat(250)}`, "dg"]]);
    expect(paxXattrs(escaped)[0]?.[0]).toBe(`user.${"A".repeat(250)}`);
  });

  test("refuses more attributes of one entry than any has", () => {
    const many = (count: number, prefix = "trusted."): PaxRecords =>
      new Map(Array.from({ length: count }, (_, at) => [`SCHILY.xattr.${prefix}${at}`, ""]));
    expect(paxXattrs(many(1000))).toHaveLength(1000);
    expect(() => paxXattrs(many(1001))).toThrow(expect.objectContaining({ code: "layer-too-large" }));
    const inherited = paxXattrs(many(600, "user."));
    expect(() => paxXattrs(many(401), "file", inherited)).toThrow(expect.objectContaining({ code: "layer-too-large" }));
  });

  const acl = "user::rwx\nuser:1000:r-x\ngroup::r-x\nmask::r-x\nother::r--";

  test("makes the kernel's attributes of access control lists in text", () => {
    const records = new Map([
      ["SCHILY.acl.access", acl],
      ["SCHILY.acl.default", acl],
    ]);
    const names = (type: TarType): string[] => paxXattrs(records, type).map(([name]) => name);
    expect(names("directory")).toEqual(["system.posix_acl_access", "system.posix_acl_default"]);
    expect(names("file")).toEqual(["system.posix_acl_access"]);
    expect(names("symlink")).toEqual([]);
  });

  test("prefers a list that is the attribute itself", () => {
    const records = new Map([
      ["SCHILY.acl.access", acl],
      ["SCHILY.xattr.system.posix_acl_access", "binary"],
    ]);
    expect(paxXattrs(records)).toEqual([["system.posix_acl_access", Buffer.from("binary")]]);
  });
});
