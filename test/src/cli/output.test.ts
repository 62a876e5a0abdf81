import { describe, expect, test } from "vitest";
import {
  formatAge,
  formatBytes,
  formatDuration,
  formatTable,
  printable,
  shortDigest,
} from "../../../src/cli/output.ts";

describe("formatBytes", () => {
  test.each([
    [0, "0 B"],
    [1023, "1023 B"],
    [1024, "1.00 KiB"],
    [1536, "1.50 KiB"],
    [10 * 1024 ** 2, "10.0 MiB"],
    [123 * 1024 ** 3, "123 GiB"],
    [1024 ** 2 - 1, "1.00 MiB"],
  ])("writes %i as %s", (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });
});

describe("formatAge", () => {
  test.each([
    [0, "just now"],
    [30_000, "30 seconds ago"],
    [60_000, "1 minute ago"],
    [7_200_000, "2 hours ago"],
    [3 * 86_400_000, "3 days ago"],
    [-5000, "just now"],
  ])("calls %i ms %s", (milliseconds, text) => {
    expect(formatAge(1_000_000_000_000 - milliseconds, 1_000_000_000_000)).toBe(text);
  });
});

test("formatDuration changes to seconds", () => {
  expect([formatDuration(12.4), formatDuration(1234)]).toEqual(["12 ms", "1.2 s"]);
});

test("formatTable aligns columns and does not pad the last", () => {
  expect(formatTable(["A", "BBB", "C"], [["aaaa", "b", "c"]])).toBe("A      BBB   C\naaaa   b     c\n");
});

test("printable takes the teeth out of control sequences", () => {
  expect(printable("a\x1b[31mred\x1b[0m\nb\x07")).toBe("ared?b?");
});

test("shortDigest keeps twelve digits", () => {
  expect(shortDigest(`sha256:${"0123456789abcdef".repeat(4)}`)).toBe("sha256:0123456789ab");
});
