import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { AppError } from "../../../src/errors.ts";
import { type CopyOptions, copyLayers } from "../../../src/layers/copy-layers.ts";
import type { CopyTask } from "../../../src/layers/tasks.ts";
import { openWorkerPool, type RunOptions, type WorkerPool } from "../../../src/layers/worker-pool.ts";
import { describeTree, diffTrees } from "../../support/compare-trees.ts";
import type { TarEntry } from "../../support/tar-builder.ts";
import { openUnpacker, type Unpacker } from "../../support/unpack.ts";
import { MODES } from "./attacks/fixtures.ts";

const NAMES = Array.from({ length: 60 }, (_, at) => `one/two/${100 + at}`);
const TREE: readonly TarEntry[] = [
  ...NAMES.map((name) => ({ name, content: name })),
  { name: "empty/", type: "dir", mtime: 5 },
  { name: "z", type: "hardlink", linkname: NAMES[0] as string },
];
/** A small tree, shared out as a large one is on a machine with four cores. */
const FOUR = { worthEntries: 10, cores: 4 };

function options(path: string, more: Partial<CopyOptions> = {}): CopyOptions {
  const { signal } = new AbortController();
  return { path, privileged: false, entryCount: 64, sizeBytes: 600, signal, ...more };
}

function newDirectory({ path }: Unpacker, name: string): string {
  const directory = join(path, name);
  mkdirSync(directory);
  return directory;
}

/** A pool that only notes what is asked of it, or does what a test says. */
function notingPool(size: number, work: (task: CopyTask, signal: AbortSignal) => Promise<void> = async () => {}) {
  const tasks: CopyTask[] = [];
  const run = async (task: CopyTask, { signal }: RunOptions): Promise<void> => {
    tasks.push(task);
    await work(task, signal as AbortSignal);
  };
  return { pool: { size, run } as unknown as WorkerPool, tasks };
}

describe.each(MODES)("copyLayers (as %s)", (_who, privileged) => {
  test("makes the same directory with several workers as with one", async () => {
    await using unpacker = await openUnpacker();
    await using pool = openWorkerPool(4);
    const layers = [await unpacker.unpack(TREE, { privileged })];
    const [one, several] = [newDirectory(unpacker, "one"), newDirectory(unpacker, "several")];
    await copyLayers(pool, layers.map(layerOf), options(one, { privileged }));
    await copyLayers(pool, layers.map(layerOf), options(several, { privileged }), FOUR);
    const found = await describeTree(several);
    expect(diffTrees(await describeTree(one), found)).toEqual([]);
    expect(found.get("z")?.links).toBe(`${NAMES[0]} = z`);
    expect(found.size).toBe(NAMES.length + 5);
  });

  test("fails with the error of the share that failed, and the pool goes on", async () => {
    await using unpacker = await openUnpacker();
    await using pool = openWorkerPool(2);
    const layer = await unpacker.unpack(TREE, { privileged });
    rmSync(join(layer.fsPath, NAMES[20] as string));
    const target = newDirectory(unpacker, "target");
    const copying = copyLayers(pool, [layerOf(layer)], options(target, { privileged }), FOUR);
    await expect(copying).rejects.toMatchObject({
      name: "AppError",
      message: expect.stringContaining(NAMES[20] ?? ""),
    });
    expect(pool.busy).toBe(0);
    await pool.run({ kind: "sync", path: "/tmp" });
  });
});

describe("copyLayers", () => {
  test.each([
    { what: "a small image", entryCount: 100, sizeBytes: 1000, shares: 1 },
    { what: "an empty image", entryCount: 0, sizeBytes: 0, shares: 1 },
    { what: "entries that are worth three", entryCount: 7000, sizeBytes: 0, shares: 3 },
    { what: "bytes that are worth four", entryCount: 5, sizeBytes: 256 * 1024 * 1024, shares: 4 },
    { what: "more than there are workers", entryCount: 20_000, sizeBytes: 2 ** 40, shares: 8 },
    { what: "so many entries that only two fit into memory", entryCount: 100_000, sizeBytes: 2 ** 40, shares: 2 },
    { what: "so many that only one fits", entryCount: 130_000, sizeBytes: 2 ** 40, shares: 1 },
    { what: "more than fit at all", entryCount: 10_000_000, sizeBytes: 2 ** 40, shares: 1 },
  ])("divides $what into $shares", async ({ entryCount, sizeBytes, shares }) => {
    const { pool, tasks } = notingPool(8);
    await copyLayers(pool, [], options("/nowhere", { entryCount, sizeBytes }), { cores: 64 });
    const content = tasks.filter(({ stage }) => stage !== "finish").map(({ share }) => share);
    expect(content).toEqual(Array.from({ length: shares }, (_, index) => ({ index, count: shares })));
    expect(tasks.at(-1)?.stage).toBe(shares === 1 ? "all" : "finish");
  });

  test("never has more shares than cores", async () => {
    const { pool, tasks } = notingPool(8);
    await copyLayers(pool, [], options("/nowhere", { entryCount: 20_000 }), { cores: 3 });
    expect(tasks).toHaveLength(4);
  });

  test("stops the other shares when one fails, and fails when all of them have ended", async () => {
    const failure = new AppError("disk-full", "full");
    let under = 0;
    const { pool, tasks } = notingPool(4, async ({ share }, signal) => {
      under += 1;
      if (share.index === 1) {
        under -= 1;
        throw failure;
      }
      await setTimeout(60_000, undefined, { signal }).catch(() => setTimeout(20));
      under -= 1;
      throw signal.reason;
    });
    await expect(copyLayers(pool, [], options("/nowhere"), FOUR)).rejects.toBe(failure);
    expect(under).toBe(0);
    expect(tasks.map(({ stage }) => stage)).toEqual(Array(4).fill("content"));
  });

  test("stops all shares when its caller does, and fails with the caller's reason", async () => {
    const abort = new AbortController();
    const { pool, tasks } = notingPool(4, async (_task, signal) => {
      abort.abort(new AppError("canceled", "enough"));
      signal.throwIfAborted();
    });
    const copying = copyLayers(pool, [], options("/nowhere", { signal: abort.signal }), FOUR);
    await expect(copying).rejects.toBe(abort.signal.reason);
    expect(tasks.some(({ stage }) => stage === "finish")).toBe(false);
  });
});

function layerOf({ fsPath, indexPath }: { readonly fsPath: string; readonly indexPath: string }) {
  return { fsPath, indexPath };
}
