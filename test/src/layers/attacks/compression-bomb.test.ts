/** Bytes that become very many more, wherever in a layer they are: a limit ends them, and they fill neither memory nor disk. */
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { buildLayer } from "../../../support/tar-builder.ts";
import { expectOutcome, file, useRange } from "./fixtures.ts";

const MIB = 2 ** 20;

/** By the real program. */
function program(command: "xz" | "bzip2", input: Buffer): Buffer {
  const { status, stdout } = spawnSync(command, ["-c"], { input, maxBuffer: 64 * MIB });
  if (status !== 0) throw new Error(`${command} failed`);
  return stdout;
}

const COMPRESSIONS: readonly (readonly [name: string, compress: (bytes: Buffer) => Buffer])[] = [
  ["gzip", (bytes) => gzipSync(bytes)],
  ["zstd", (bytes) => zstdCompressSync(bytes)],
  ["bzip2", (bytes) => program("bzip2", bytes)],
  ["xz", (bytes) => program("xz", bytes)],
];

const zeros = Buffer.alloc(32 * MIB);
const small = buildLayer([file("a")]);

describe.each(COMPRESSIONS)("a bomb of %s", (_name, compress) => {
  const range = useRange();
  const limits = { maxBytes: 20 * MIB };

  test("in a file is refused before it is written", async () => {
    const tar = buildLayer([file("bomb", "", { size: zeros.length }), file("a")], Buffer.alloc(0));
    const blob = compress(Buffer.concat([tar.subarray(0, 512), zeros]));
    const outcome = await range().attack(small, { blob, limits });
    expectOutcome(outcome, "layer-too-large");
    if (outcome.code !== undefined) expect(readdirSync(outcome.fsPath)).toEqual([]);
  });

  test("behind the end of the archive is refused", async () => {
    expectOutcome(
      await range().attack(small, { blob: compress(Buffer.concat([small, zeros])), limits }),
      "layer-too-large",
    );
  });

  test("of many small streams is refused", async () => {
    const piece = compress(zeros.subarray(0, MIB));
    const blob = Buffer.concat([compress(small), ...Array.from({ length: 32 }, () => piece)]);
    expectOutcome(await range().attack(small, { blob, limits }), "layer-too-large");
  });

  test("in a bomb is no tar: what was compressed twice is undone once", async () => {
    const inner = compress(zeros);
    expectOutcome(await range().attack(inner, { blob: compress(inner), limits }), "layer-invalid");
  });

  test("names the limit that it went beyond", async () => {
    const outcome = await range().attack(small, { blob: compress(Buffer.concat([small, zeros])), limits });
    if (outcome.code !== undefined) expect(outcome.error.hint).toContain("max_bytes");
  });
});

describe("bombs beyond every ratio", () => {
  const range = useRange();
  // the first gibibyte is free: as frames of 64 MiB it costs no time to make
  const frame = zstdCompressSync(Buffer.alloc(64 * MIB));

  test("of many zstd frames are refused, and have not been memory", async () => {
    const blob = Buffer.concat([zstdCompressSync(small), ...Array.from({ length: 40 }, () => frame)]);
    const before = process.memoryUsage().arrayBuffers;
    const outcome = await range().attack(small, { blob });
    expectOutcome(outcome, "layer-too-large");
    if (outcome.code !== undefined) expect(outcome.error.hint).toContain("max_ratio");
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(300 * MIB);
  });
});

describe("streams of next to nothing", () => {
  const range = useRange();
  test.each([
    ["empty gzip members", gzipSync(Buffer.alloc(0)), gzipSync(small)],
    ["empty zstd frames", zstdCompressSync(Buffer.alloc(0)), zstdCompressSync(small)],
    ["empty xz streams", program("xz", Buffer.alloc(0)), program("xz", small)],
    ["empty bzip2 streams", program("bzip2", Buffer.alloc(0)), program("bzip2", small)],
  ])("%s, ten thousand of them, are done in no time", async (_what, nothing, layer) => {
    const blob = Buffer.concat([layer, ...Array.from({ length: 10_000 }, () => nothing)]);
    const start = performance.now();
    expectOutcome(await range().attack(small, { blob }), ["a=inside"]);
    expect(performance.now() - start).toBeLessThan(30_000);
  });

  test.each([
    ["nothing", "28b52ffd2000010000"],
    ["nothing that ask for a window of 128 MiB", "28b52ffd0088010000"],
    ["nothing that is skipped", "502a4d1800000000"],
  ])("sixty thousand zstd frames of %s before the real one cost seconds, and no memory", async (_what, frame) => {
    const blob = Buffer.concat([Buffer.alloc(60_000 * (frame.length / 2), frame, "hex"), zstdCompressSync(small)]);
    const [rss, cpu] = [process.memoryUsage().rss, process.cpuUsage()];
    expectOutcome(await range().attack(small, { blob }), ["a=inside"]);
    const { user, system } = process.cpuUsage(cpu);
    expect((user + system) / 1e6).toBeLessThan(5);
    expect(process.memoryUsage().rss - rss).toBeLessThan(100 * MIB);
  });

  test("zstd skippable frames of gigabytes that are not there are a truncation", async () => {
    const skippable = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 0xff, 0xff, 0xff, 0xff]);
    const blob = Buffer.concat([zstdCompressSync(small), skippable]);
    expectOutcome(await range().attack(small, { blob }), "layer-invalid");
  });

  test("a zstd window of gigabytes takes no memory", async () => {
    // window descriptor 0xa0: 2^30 bytes; one raw block, the last, of nothing
    const blob = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa0, 0x01, 0x00, 0x00]);
    const before = process.memoryUsage().rss;
    const outcome = await range().attack(small, { blob });
    expect(["layer-invalid", "layer-unsupported"]).toContain(outcome.code);
    expect(process.memoryUsage().rss - before).toBeLessThan(300 * MIB);
  });
});
