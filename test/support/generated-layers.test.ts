import { createHash } from "node:crypto";
import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { buildGeneratedImage } from "./generated-image.ts";
import { type GeneratedShape, LAST_FILE, shapeOf, tarOf } from "./generated-layers.ts";
import { hasProgram, run, unpackWithUmoci } from "./peers.ts";
import { openTempDir } from "./temp-dir.ts";

const SMALL: GeneratedShape = {
  directories: ["srv/0000", "srv/0001"],
  files: [
    { path: "srv/0000/empty", sizeBytes: 0 },
    { path: "srv/0001/odd", sizeBytes: 777 },
    { path: "srv/block", sizeBytes: 1024 },
    { path: "srv/large", sizeBytes: 9_000_000 },
  ],
};

function digestOf(pieces: Iterable<Buffer>): string {
  const hash = createHash("sha256");
  for (const piece of pieces) hash.update(piece);
  return hash.digest("hex");
}

test("a generated layer is the same every time", () => {
  expect(digestOf(tarOf(SMALL))).toBe(digestOf(tarOf(SMALL)));
});

test("a generated layer is a tar of the files that its shape names", async () => {
  const { stdout } = await run("tar", ["-tvf", "-", "--numeric-owner"], {
    input: Buffer.concat([...tarOf(SMALL)].map((piece) => Buffer.from(piece))),
  });
  const found = stdout.trim().split("\n");
  expect(found.map((line) => line.split(/\s+/)[5])).toEqual([
    "./",
    "srv/",
    "srv/0000/",
    "srv/0001/",
    ...[...SMALL.files].map((file) => file.path),
  ]);
  expect(found.slice(4).map((line) => Number(line.split(/\s+/)[2]))).toEqual(
    [...SMALL.files].map((file) => file.sizeBytes),
  );
});

test("generated content is compressed by gzip two to three times", () => {
  const tar = Buffer.concat([...tarOf({ directories: [], files: [{ path: "file", sizeBytes: 8_000_000 }] })]);
  const ratio = tar.length / gzipSync(tar).length;
  expect(ratio).toBeGreaterThan(2);
  expect(ratio).toBeLessThan(3);
});

test("big-file is 1 GiB in four files, many-files 100 000 files of 2 KiB on average, the proof at their ends", () => {
  const few = [...shapeOf("big-file").files];
  expect(few.reduce((sum, file) => sum + file.sizeBytes, 0)).toBe(1024 ** 3);
  expect(few.at(-1)).toEqual(LAST_FILE["big-file"]);
  const many = [...shapeOf("many-files").files];
  expect(many.length).toBe(100_000);
  const mean = many.reduce((sum, file) => sum + file.sizeBytes, 0) / many.length;
  expect(mean).toBeGreaterThan(1900);
  expect(mean).toBeLessThan(2200);
  expect(Math.max(...many.map((file) => file.sizeBytes))).toBeLessThanOrEqual(8192);
  expect(many.at(-1)).toEqual(LAST_FILE["many-files"]);
});

const unpackable = hasProgram("umoci") && process.getuid?.() === 0;

test.skipIf(!unpackable)(
  `a generated image is unpacked by umoci${unpackable ? "" : " (needs root and umoci)"}`,
  async () => {
    await using temp = await openTempDir("generated");
    const layout = join(temp.path, "layout");
    await buildGeneratedImage(SMALL, "test", { layout, work: join(temp.path, "work") });
    expect(await readdir(join(layout, "blobs/sha256"))).toHaveLength(3);
    const rootfs = await unpackWithUmoci(layout, "test", join(temp.path, "bundle"));
    for (const { path, sizeBytes } of SMALL.files) expect((await lstat(join(rootfs, path))).size).toBe(sizeBytes);
  },
);
