import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { DEFAULT_LIMITS } from "../../../src/layers/limits.ts";
import { scanTar } from "../../../src/layers/scan.ts";
import type { ScanResult, ScanTask } from "../../../src/layers/tasks.ts";
import { digestOf } from "../../../store/index.ts";
import { buildLayer, type TarEntry } from "../../support/tar-builder.ts";
import { openTempDir, type TempDir } from "../../support/temp-dir.ts";

let temp: TempDir;
beforeAll(async () => {
  temp = await openTempDir("scan");
});
afterAll(() => temp[Symbol.asyncDispose]());

function scan(bytes: Buffer, options: Partial<ScanTask> = {}): Promise<ScanResult> {
  const path = join(temp.path, "archive.tar");
  // a range in the middle of a file, as it may well be
  writeFileSync(path, Buffer.concat([Buffer.from("before"), bytes, Buffer.from("after")]));
  const file = { path, offset: 6, sizeBytes: bytes.length };
  return scanTar({ kind: "scan", file, algorithm: "sha256", documents: {}, limits: DEFAULT_LIMITS, ...options });
}

const ENTRIES: readonly TarEntry[] = [
  { name: "manifest", content: '{"name":"example.com/app"}' },
  { name: "rootfs/", type: "dir" },
  { name: "./rootfs/etc/passwd", content: "root" },
  { name: "/other", content: "x" },
];
const TAR = Buffer.concat([buildLayer(ENTRIES), Buffer.alloc(9000)]);

function program(command: string, input: Buffer): Buffer {
  return spawnSync(command, ["-c"], { input }).stdout;
}

describe("scanTar", () => {
  test.each([
    ["uncompressed", TAR],
    ["gzip", gzipSync(TAR)],
    ["zstd", zstdCompressSync(TAR)],
    ["bzip2", program("bzip2", TAR)],
    ["xz", program("xz", TAR)],
  ])("tells the digest of all of the tar, its names and the wanted documents: %s", async (_name, bytes) => {
    const found = await scan(bytes, { algorithm: "sha512", documents: { manifest: 1000, missing: 10, other: 1 } });
    expect(found).toEqual({
      digest: digestOf(TAR, "sha512"),
      sizeBytes: TAR.length,
      entryCount: 4,
      documents: new Map([
        ["manifest", Buffer.from('{"name":"example.com/app"}')],
        ["other", Buffer.from("x")],
      ]),
      topLevel: ["manifest", "rootfs", "other"],
    });
  });

  test("finds documents by what their names mean", async () => {
    const entries = [
      { name: "./manifest", content: "x" },
      { name: "größe", content: "y" },
    ];
    const { documents } = await scan(buildLayer(entries), { documents: { manifest: 1, größe: 1 } });
    expect([...documents.keys()]).toEqual(["manifest", "größe"]);
  });

  test("does not take a link or a directory for a document", async () => {
    const entries: TarEntry[] = [
      { name: "manifest", type: "symlink", linkname: "/etc/shadow" },
      { name: "repositories", type: "dir" },
    ];
    expect((await scan(buildLayer(entries), { documents: { manifest: 9, repositories: 9 } })).documents.size).toBe(0);
  });

  test("tells at most a thousand names", async () => {
    const entries = Array.from({ length: 1500 }, (_, at): TarEntry => ({ name: `${at}/f`, content: "" }));
    const found = await scan(buildLayer(entries));
    expect([found.topLevel.length, found.entryCount]).toEqual([1000, 1500]);
  });

  test("tells how many bytes it has seen, uncompressed, however few they were", async () => {
    const path = join(temp.path, "bomb.tar");
    const bytes = gzipSync(Buffer.concat([TAR, Buffer.alloc(8 * 1024 * 1024)]));
    writeFileSync(path, bytes);
    const told: number[] = [];
    const file = { path, offset: 0, sizeBytes: bytes.length };
    await scanTar({ kind: "scan", file, algorithm: "sha256", documents: {}, limits: DEFAULT_LIMITS }, (doneBytes) =>
      told.push(doneBytes),
    );
    expect(told.length).toBeGreaterThan(10);
    expect(told.at(-1)).toBe(TAR.length + 8 * 1024 * 1024);
  });

  test("of nothing at all finds nothing", async () => {
    expect(await scan(Buffer.alloc(0))).toMatchObject({ sizeBytes: 0, entryCount: 0, topLevel: [] });
  });

  test.each([
    [
      "a document twice",
      buildLayer([...ENTRIES, { name: "./manifest", content: "other" }]),
      "layer-invalid",
      /is there twice/,
    ],
    [
      "a document after a link of its name",
      buildLayer([{ name: "manifest", type: "symlink", linkname: "x" }, ...ENTRIES]),
      "layer-invalid",
      /is there twice/,
    ],
    [
      "too long a document",
      buildLayer([{ name: "manifest", content: "x".repeat(101) }]),
      "layer-too-large",
      /101 bytes/,
    ],
    ["a name that leaves it", buildLayer([{ name: "../x", content: "" }]), "layer-escape", /leaves the tree/],
    [
      "too many entries",
      buildLayer(Array.from({ length: 21 }, () => ({ name: "x" }))),
      "layer-too-large",
      /20 entries/,
    ],
    ["an end in the middle of an entry", TAR.subarray(0, 700), "layer-invalid", /ends in the middle/],
    ["a truncated compression", gzipSync(TAR).subarray(0, 100), "layer-invalid", /truncated/],
    ["no tar", Buffer.from("#!/bin/sh\n".repeat(1000)), "layer-invalid", /not a tar archive/],
  ])("refuses %s, and says of what", async (_what, bytes, code, message) => {
    const limits = { maxEntries: 20, maxBytes: 1024 ** 2 };
    const failure = scan(bytes, { documents: { manifest: 100 }, limits });
    await expect(failure).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
    await expect(failure).rejects.toThrow(`Cannot read ${join(temp.path, "archive.tar")}: `);
  });

  test.each([
    ["gzip", gzipSync(Buffer.concat([TAR, Buffer.alloc(256 * 1024 * 1024)]))],
    ["bzip2", program("bzip2", Buffer.concat([TAR, Buffer.alloc(256 * 1024 * 1024)]))],
  ])("stops a bomb of %s at its limit, without memory for it", async (_name, bomb) => {
    const before = process.memoryUsage().rss;
    const limits = { maxEntries: 100, maxBytes: 64 * 1024 * 1024 };
    await expect(scan(bomb, { limits })).rejects.toMatchObject({ code: "layer-too-large" });
    expect(process.memoryUsage().rss - before).toBeLessThan(100 * 1024 * 1024);
  });
});
