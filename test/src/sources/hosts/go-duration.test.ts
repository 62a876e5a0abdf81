import { expect, test } from "vitest";
import { parseGoDuration } from "../../../../src/sources/registry/hosts/go-duration.ts";

test.each([
  ["1s", 1000],
  ["+1s", 1000],
  ["1m2.5s", 62_500],
  ["1h", 3_600_000],
  ["300ms", 300],
  [".5s", 500],
  ["1.s", 1000],
  ["1ns", 1],
  ["10µs", 1],
  ["10μs", 1],
  ["0", 0],
  ["0s", 0],
  ["99999999h", 2 ** 31 - 1],
  [`${"9".repeat(400)}h`, 2 ** 31 - 1],
  ["", undefined],
  ["5", undefined],
  ["s", undefined],
  ["-1s", undefined],
  ["1 s", undefined],
  ["1d", undefined],
  ["1s2", undefined],
  ["1..5s", undefined],
])("parseGoDuration: %s is %s ms", (text, expected) => {
  expect(parseGoDuration(text)).toBe(expected);
});
