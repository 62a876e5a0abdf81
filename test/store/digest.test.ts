import { describe, expect, test } from "vitest";
import { algorithmOf, createHasher, digestOf, encodedOf, isDigest, parseDigest } from "../../store/index.ts";
import { codeOf } from "./fixtures/temporary-store.ts";

const hex64 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const hex128 = `${hex64}${hex64}`;

describe("parseDigest", () => {
  test.each([`sha256:${hex64}`, `sha512:${hex128}`])("takes %s", (text) => {
    expect(parseDigest(text)).toBe(text);
    expect(isDigest(text)).toBe(true);
  });

  test.each([
    ["nothing", ""],
    ["no algorithm", hex64],
    ["an unknown algorithm", `md5:${hex64}`],
    ["an algorithm in upper case", `SHA256:${hex64}`],
    ["digits in upper case", `sha256:${hex64.toUpperCase()}`],
    ["too few digits", `sha256:${hex64.slice(1)}`],
    ["too many digits", `sha256:${hex64}0`],
    ["sha256 with the digits of sha512", `sha256:${hex128}`],
    ["sha512 with the digits of sha256", `sha512:${hex64}`],
    ["a path", `sha256:../../../../${hex64.slice(12)}`],
    ["a trailing newline", `sha256:${hex64}\n`],
    ["a leading space", ` sha256:${hex64}`],
    ["other letters", `sha256:${hex64.slice(1)}g`],
  ])("refuses %s", (_, text) => {
    expect(codeOf(() => parseDigest(text))).toBe("invalid-digest");
    expect(isDigest(text)).toBe(false);
  });

  test("quotes only the beginning of a long text", () => {
    expect(() => parseDigest("x".repeat(100_000))).toThrow(/^.{0,400}$/);
  });

  test("refuses what is no text", () => {
    expect(isDigest(undefined)).toBe(false);
    expect(codeOf(() => parseDigest(7 as unknown as string))).toBe("invalid-digest");
  });
});

test("algorithmOf and encodedOf take a digest apart", () => {
  const digest = digestOf("", "sha512");
  expect(algorithmOf(digest)).toBe("sha512");
  expect(encodedOf(digest)).toHaveLength(128);
  expect(`${algorithmOf(digest)}:${encodedOf(digest)}`).toBe(digest);
});

test("digestOf is sha256 unless told otherwise", () => {
  expect(digestOf("")).toBe(`sha256:${hex64}`);
});

test("createHasher gives the digest of all updates together", () => {
  expect(createHasher("sha256").update("ab").update(Buffer.from("c")).digest()).toBe(digestOf("abc"));
});
