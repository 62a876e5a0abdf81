import { describe, expect, test } from "vitest";
import { AppError } from "../../../src/errors.ts";
import { labelOf, platformLabels, requireLabels, wantedPlatform } from "../../../src/image/appc-platform.ts";
import {
  appcMatches,
  checkAppcReference,
  formatAppcReference,
  formatImageId,
  parseAppcReference,
  parseImageId,
} from "../../../src/image/appc-reference.ts";
import { parsePlatform } from "../../../src/image/platform.ts";
import { parseDigest } from "../../../store/index.ts";

const HEX = "ab".repeat(64);
const ID = parseDigest(`sha512:${HEX}`);

describe("parseAppcReference", () => {
  test.each([
    ["appc:example.com/app", "example.com/app", {}],
    ["appc:example.com/app:1.0.0", "example.com/app", { version: "1.0.0" }],
    [
      "appc:example.com/app:1.0.0,os=linux,arch=amd64",
      "example.com/app",
      { version: "1.0.0", os: "linux", arch: "amd64" },
    ],
    ["appc:example.com/app,version=2", "example.com/app", { version: "2" }],
    ["appc:example.com~user/app_v1:1:2", "example.com~user/app_v1", { version: "1:2" }],
    ["appc:app:1.0+build%2C7,note=a%3Db%40c,empty=", "app", { version: "1.0+build,7", note: "a=b@c", empty: "" }],
  ])("takes %s", (text, name, labels) => {
    expect(parseAppcReference(text)).toEqual({ kind: "appc", name, labels, asTyped: text });
  });

  test("takes an image ID alone, and one that pins a name", () => {
    expect(parseAppcReference(`appc:sha512-${HEX}`)).toMatchObject({ labels: {}, imageId: ID });
    expect(parseAppcReference(`appc:sha512-${HEX}`)).not.toHaveProperty("name");
    expect(parseAppcReference(`appc:a.b/c:1@sha512-${HEX}`)).toMatchObject({
      name: "a.b/c",
      labels: { version: "1" },
      imageId: ID,
    });
  });

  test.each([
    ["appc:", "name"],
    ["appc:Example.com/app", "name"],
    ["appc:../etc/passwd", "name"],
    ["appc:a/../../b", "name"],
    ["appc:a//b", "name"],
    ["appc:a/~b", "name"],
    ["appc:/a", "name"],
    ["appc:a/", "name"],
    ["appc:a:", "version is empty"],
    ["appc:a,=x", "no label"],
    ["appc:a,os", "no label"],
    ["appc:a,name=b", "confused"],
    ["appc:a,Os=linux", "label"],
    ["appc:a:1,version=2", "twice"],
    ["appc:a,x=1,x=2", "twice"],
    ["appc:a:%zz", "percent-encoding"],
    ["appc:a:%00", "not text"],
    ["appc:a@sha256-00", "image ID is malformed"],
    [`appc:a@sha512-${HEX}@x`, "image ID is malformed"],
    [`appc:sha512-${HEX.toUpperCase()}`, "name"],
  ])("refuses %s", (text, why) => {
    expect(() => parseAppcReference(text)).toThrowError(AppError);
    expect(() => parseAppcReference(text)).toThrowError(why);
  });
});

describe("formatAppcReference", () => {
  test.each([
    ["appc:app", "appc:app"],
    ["appc:app,os=linux,arch=amd64,version=1", "appc:app:1,arch=amd64,os=linux"],
    ["appc:app:1.0+b%2Cc,x=%25%20%2f", "appc:app:1.0+b%2Cc,x=%25%20/"],
    ["appc:app,version=", "appc:app,version="],
    [`appc:sha512-${HEX}`, `appc:sha512-${HEX}`],
    [`appc:app:1@sha512-${HEX}`, `appc:app:1@sha512-${HEX}`],
  ])("gives %s its one spelling", (text, canonical) => {
    expect(formatAppcReference(parseAppcReference(text))).toBe(canonical);
    expect(formatAppcReference(parseAppcReference(canonical))).toBe(canonical);
  });
});

describe("checkAppcReference", () => {
  test("takes parts of a message, and an empty name where the ID says all", () => {
    expect(checkAppcReference({ name: "a", labels: { os: "linux" } }).asTyped).toBe("appc:a,os=linux");
    expect(checkAppcReference({ name: "", labels: {}, imageId: ID })).not.toHaveProperty("name");
  });

  test.each([
    [{ labels: {} }],
    [{ name: "", labels: {} }],
    [{ name: "a", labels: { "x y": "1" } }],
    [{ name: "a", labels: { x: "\ud800" } }],
    [{ name: "a", labels: {}, imageId: parseDigest(`sha256:${"0".repeat(64)}`) }],
    [{ name: `sha512-${HEX}`, labels: {} }],
  ])("refuses %j", (parts) => {
    expect(() => checkAppcReference(parts)).toThrowError(AppError);
  });
});

test("appcMatches wants all that is asked, and lets the image have more", () => {
  const own = { name: "a", labels: { version: "1", os: "linux" } };
  expect(appcMatches(parseAppcReference("appc:a"), own, ID)).toBe(true);
  expect(appcMatches(parseAppcReference("appc:a:1"), own, ID)).toBe(true);
  expect(appcMatches(parseAppcReference("appc:a:2"), own, ID)).toBe(false);
  expect(appcMatches(parseAppcReference("appc:a,arch=amd64"), own, ID)).toBe(false);
  expect(appcMatches(parseAppcReference("appc:b"), own, ID)).toBe(false);
  expect(appcMatches(parseAppcReference(`appc:sha512-${HEX}`), own, ID)).toBe(true);
  expect(appcMatches(parseAppcReference(`appc:sha512-${HEX}`), own, undefined)).toBe(false);
});

test("image IDs have a dash in Appc and a colon here", () => {
  expect(formatImageId(ID)).toBe(`sha512-${HEX}`);
  expect(parseImageId(`sha512-${HEX}`)).toBe(ID);
  expect(parseImageId(ID)).toBeUndefined();
});

describe("platforms", () => {
  test.each([
    ["linux/amd64", "linux", "amd64"],
    ["linux/386", "linux", "i386"],
    ["linux/arm64", "linux", "aarch64"],
    ["linux/arm/v7", "linux", "armv7l"],
    ["linux/arm/v6", "linux", "armv6l"],
    ["linux/s390x", "linux", "s390x"],
    ["linux/arm64be", "linux", "aarch64_be"],
    ["linux/armbe/v7", "linux", "armv7b"],
    ["darwin/amd64", "darwin", "x86_64"],
  ])("%s is os=%s and arch=%s, there and back", (text, os, arch) => {
    const platform = parsePlatform(text);
    expect(platformLabels(platform)).toEqual({ os, arch });
    expect(wantedPlatform({ os, arch }, parsePlatform("linux/ppc64le"))).toEqual(platform);
  });

  test("an image that says nothing serves any platform, one that says another serves none", () => {
    const wanted = parsePlatform("linux/amd64");
    expect(requireLabels({}, wanted, "it")).toEqual(wanted);
    expect(requireLabels({ arch: "aarch64" }, wanted, "it")).toEqual(wanted);
    expect(requireLabels({ os: "linux" }, wanted, "it")).toEqual(wanted);
    expect(requireLabels({ os: "linux", arch: "amd64" }, parsePlatform("linux/amd64/v3"), "it")).toEqual(wanted);
    expect(() => requireLabels({ os: "linux", arch: "aarch64" }, wanted, "it")).toThrowError("only linux/arm64");
    expect(() => requireLabels({ os: "freebsd" }, wanted, "it")).toThrowError("freebsd");
  });

  test("a label is not mistaken for an inherited member", () => {
    expect(labelOf({}, "constructor")).toBeUndefined();
  });
});
