/** Sparse files of every format: their bytes are where they belong, their holes are holes, and stay so in what is made of them. */
import { mkdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { copyContent, finishCopy } from "../../../src/layers/copy-tree.ts";
import { writeFixUp } from "../../../src/layers/fix-up.ts";
import { readMerged } from "../../../src/layers/stack.ts";
import type { TarEntry } from "../../support/tar-builder.ts";
import { openUnpacker, type Unpacker } from "../../support/unpack.ts";

const MIB = 1024 * 1024;
const SIZE = 40 * MIB + 77;
/** Within one piece of output, over several, a byte, right behind each other, and up to the end of the file. */
const PLACES: readonly (readonly [offset: number, length: number])[] = [
  [4096, 512],
  [2 * MIB, 3 * MIB + 5],
  [9 * MIB, 1],
  [20 * MIB, 100_000],
  [SIZE - 1000, 1000],
];
const FORMATS = ["gnu", "0.0", "0.1", "1.0"] as const;

const bytesAt = (offset: number, length: number): Buffer =>
  Buffer.from(Uint8Array.from({ length }, (_, at) => 1 + ((offset + at) % 251)));

const CONTENT = Buffer.alloc(SIZE);
for (const [offset, length] of PLACES) CONTENT.set(bytesAt(offset, length), offset);

const sparse = (format: (typeof FORMATS)[number], name = "sparse"): TarEntry => ({
  name,
  content: Buffer.concat(PLACES.map(([offset, length]) => bytesAt(offset, length))),
  sparse: { format, pieces: PLACES, sizeBytes: SIZE },
});

const root = process.getuid?.() === 0;
let unpacker: Unpacker;
beforeAll(async () => {
  unpacker = await openUnpacker();
});
afterAll(() => unpacker[Symbol.asyncDispose]());

/** All of the content, on a fraction of its size. */
function expectSparse(path: string): void {
  expect(readFileSync(path).equals(CONTENT)).toBe(true);
  const { size, blocks } = statSync(path);
  expect(size).toBe(SIZE);
  expect(blocks * 512).toBeLessThan(SIZE / 4);
}

describe.each(FORMATS)("a sparse file in format %s", (format) => {
  test("has its bytes where they belong, and holes between", async () => {
    const { fsPath, entries } = await unpacker.unpack([
      { name: "before", content: "b" },
      sparse(format),
      { name: "z" },
    ]);
    expectSparse(join(fsPath, "sparse"));
    expect(entries.get("sparse")?.checksum).toBe(crc32(CONTENT));
  });

  test("is copied with its holes", async () => {
    const layer = await unpacker.unpack([sparse(format), { name: "other", type: "hardlink", linkname: "sparse" }]);
    const path = join(unpacker.path, `copy-${format}`);
    mkdirSync(path);
    const tree = readMerged([layer]);
    copyContent(tree, [layer.fsPath], { path, privileged: root }, { index: 0, count: 1 });
    finishCopy(tree, { path, privileged: root });
    expectSparse(join(path, "sparse"));
    expect(statSync(join(path, "other")).ino).toBe(statSync(join(path, "sparse")).ino);
  });

  test.skipIf(!root)("comes into a fix-up with its holes (needs root)", async () => {
    const lower = await unpacker.unpack([sparse(format)]);
    const upper = await unpacker.unpack([{ name: "linked", type: "hardlink", linkname: "sparse" }]);
    const path = join(unpacker.path, `fix-up-${format}`);
    mkdirSync(path);
    writeFixUp(readMerged([lower, upper]), [lower.fsPath, upper.fsPath], path);
    expectSparse(join(path, "linked"));
  });
});

test("a file that is all hole takes no room", async () => {
  const all: TarEntry = { name: "hole", content: "", sparse: { format: "1.0", pieces: [], sizeBytes: 2 ** 33 } };
  const { fsPath } = await unpacker.unpack([all]);
  const { size, blocks } = statSync(join(fsPath, "hole"));
  expect([size, blocks]).toEqual([2 ** 33, 0]);
});
