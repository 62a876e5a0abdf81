import { describe, expect, test } from "vitest";
import { AppError } from "../../../src/errors.ts";
import { decodePax, paxTime, paxXattrs } from "../../../src/layers/pax.ts";

function record(key: string, value: Uint8Array | string): Buffer {
  const body = Buffer.concat([Buffer.from(` ${key}=`), Buffer.from(value as string), Buffer.from("\n")]);
  let length = body.length + 1;
  while (`${length}`.length + body.length !== length) length += 1;
  return Buffer.concat([Buffer.from(`${length}`), body]);
}

describe("decodePax", () => {
  test("reads several records", () => {
    expect(decodePax(Buffer.concat([record("path", "a b"), record("mtime", "1.5")]))).toEqual({
      path: "a b",
      mtime: "1.5",
    });
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
    ["a negative size", record("size", "-1")],
  ])("refuses a record with %s", (_what, bytes) => {
    expect(() => decodePax(bytes)).toThrow(AppError);
  });

  test("is not fooled by names of Object's own properties", () => {
    expect(Object.keys(decodePax(record("__proto__", "x")))).toEqual(["__proto__"]);
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
  ])("reads %s", (text, expected) => {
    expect(paxTime(text)).toEqual(expected);
  });

  test("gives NaN for what is no time", () => {
    expect(paxTime("yesterday")[0]).toBeNaN();
  });
});

describe("paxXattrs", () => {
  test("leaves out the labels of the build machine and overlayfs' own attributes", () => {
    const names = ["security.selinux", "trusted.overlay.redirect", "user.overlay.opaque", "user.kept"];
    expect(
      paxXattrs(Object.fromEntries(names.map((name) => [`SCHILY.xattr.${name}`, "v"]))).map(([name]) => name),
    ).toEqual(["user.kept"]);
  });

  test("reads libarchive's spelling when it stands alone", () => {
    expect(paxXattrs({ "LIBARCHIVE.xattr.user.a%3Db": Buffer.from("v").toString("base64") })).toEqual([
      ["user.a=b", Buffer.from("v")],
    ]);
  });
});
