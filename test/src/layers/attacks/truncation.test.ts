/** Streams that end too early, or do not end: at every kind of place, and whatever else follows. */
import { gzipSync, zstdCompressSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { buildLayer } from "../../../support/tar-builder.ts";
import { expectOutcome, file, MODES, useRange } from "./fixtures.ts";

const NOTHING = Buffer.alloc(0);
const END = Buffer.alloc(1024);
const LONG = "n".repeat(150);

/** Blocks: PAX header, its body, header, body of 700 bytes and its padding; GNU header, its body, header, body. */
const tar = buildLayer(
  [file("a", "x".repeat(700), { pax: { comment: "c" } }), file(LONG, "y", { longNames: "gnu" })],
  NOTHING,
);
const block = (count: number, bytes = 0): number => count * 512 + bytes;

describe.each(MODES)("a tar that is cut off (as %s)", (_who, privileged) => {
  const range = useRange();
  test.each([
    ["in its first header", 300],
    ["after one byte", 1],
    ["behind a PAX header", block(1)],
    ["in a PAX header's body", block(1, 5)],
    ["behind a PAX header's body, in its padding", block(1, 100)],
    ["between a PAX header and its entry", block(2)],
    ["in an entry's header", block(2, 511)],
    ["behind a file's header", block(3)],
    ["in a file's body", block(3, 600)],
    ["a byte before the end of a file's body", block(3, 699)],
    ["in the padding behind its last body", block(3, 701)],
    ["a byte before the end of that padding", block(4, 511)],
    ["in a GNU long name", block(6, 10)],
    ["between a GNU long name and its entry", block(7)],
  ])("%s is refused", async (_where, length) => {
    expectOutcome(await range().attack(tar.subarray(0, length), { privileged }), "layer-invalid");
  });

  test.each([
    ["between two entries", block(5)],
    ["behind the last", tar.length],
  ])("%s is whole, as other readers see it", async (_where, length) => {
    expect((await range().attack(tar.subarray(0, length), { privileged })).code).toBeUndefined();
  });

  test("before everything is an empty layer", async () => {
    expectOutcome(await range().attack(NOTHING, { privileged }), []);
  });
});

describe.each(MODES)("what follows a tar (as %s)", (_who, privileged) => {
  const range = useRange();
  const first = buildLayer([file("a")], NOTHING);
  const second = buildLayer([file("hidden")]);
  const garbage = Buffer.from("garbage! ".repeat(200));

  test.each([
    ["another tar", Buffer.concat([first, END, second])],
    ["another tar, far behind", Buffer.concat([first, Buffer.alloc(10_240), second])],
    ["garbage", Buffer.concat([first, END, garbage])],
    ["a few bytes", Buffer.concat([first, END, Buffer.from("x")])],
    ["a megabyte of zeros", Buffer.concat([first, Buffer.alloc(2 ** 20)])],
  ])("is not read when it is %s", async (_what, bytes) => {
    expectOutcome(await range().attack(bytes, { privileged }), ["a=inside"]);
  });

  test("without its end is refused when it is garbage", async () => {
    expectOutcome(await range().attack(Buffer.concat([first, garbage]), { privileged }), "layer-invalid");
  });

  test("after half an end is never a tree that nobody else sees", async () => {
    const outcome = await range().attack(Buffer.concat([first, Buffer.alloc(512), second]), { privileged });
    // GNU tar stops at a lone zero block, Go's archive/tar refuses it, others read on: to refuse is the only sure thing
    expect(outcome.code ?? "accepted").toBe("layer-invalid");
  });

  test("is part of what the layer's digest covers", async () => {
    const bytes = Buffer.concat([first, END, garbage]);
    const other = Buffer.concat([first, END, Buffer.from("another ".repeat(200))]);
    expectOutcome(await range().attack(bytes, { privileged, blob: gzipSync(other) }), "layer-corrupt");
  });
});

describe.each([
  ["gzip", (bytes: Buffer) => gzipSync(bytes)],
  ["zstd", (bytes: Buffer) => zstdCompressSync(bytes)],
])("a stream of %s", (name, compress) => {
  const range = useRange();
  const whole = buildLayer([file("a", "x".repeat(5000))]);
  const blob = compress(whole);

  test.each([1, 3, 4, 7, 8, 9, 12, 20, 40])("that lacks its last %i bytes is refused", async (missing) => {
    // zstd may come without a checksum: then any end of a block is in the middle
    expectOutcome(await range().attack(whole, { blob: blob.subarray(0, blob.length - missing) }), "layer-invalid");
  });

  test.each([2, 4, 10, 17])("of %i bytes is refused", async (length) => {
    expectOutcome(await range().attack(whole, { blob: blob.subarray(0, length) }), "layer-invalid");
  });

  test("that is followed by garbage is refused", async () => {
    const outcome = await range().attack(whole, { blob: Buffer.concat([blob, Buffer.from("garbage! garbage!")]) });
    expectOutcome(outcome, "layer-invalid");
  });

  test("that is followed by another tar's stream is that layer and all of its bytes", async () => {
    const other = buildLayer([file("hidden")]);
    const both = Buffer.concat([whole, other]);
    expectOutcome(await range().attack(both, { blob: Buffer.concat([blob, compress(other)]) }), ["a=5000 bytes"]);
    expectOutcome(await range().attack(whole, { blob: Buffer.concat([blob, compress(other)]) }), "layer-corrupt");
  });

  test("that is followed by a stream of another kind is refused", async () => {
    const other = name === "gzip" ? zstdCompressSync(whole) : gzipSync(whole);
    expectOutcome(await range().attack(whole, { blob: Buffer.concat([blob, other]) }), "layer-invalid");
  });
});
