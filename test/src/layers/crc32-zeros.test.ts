import { crc32 } from "node:zlib";
import { expect, test } from "vitest";
import { crc32Zeros } from "../../../src/layers/crc32-zeros.ts";

test.each([0, 1, 2, 7, 8, 255, 256, 65_537, 1_000_003])("%i zeros after some bytes", (count) => {
  const start = crc32(Buffer.from("some bytes"));
  expect(crc32Zeros(start, count)).toBe(crc32(Buffer.alloc(count), start));
  expect(crc32Zeros(0, count)).toBe(crc32(Buffer.alloc(count)));
});

test("more zeros than fit into memory, in two steps as in one", () => {
  expect(crc32Zeros(crc32Zeros(123, 2 ** 40 + 5), 2 ** 45)).toBe(crc32Zeros(123, 2 ** 45 + 2 ** 40 + 5));
});
