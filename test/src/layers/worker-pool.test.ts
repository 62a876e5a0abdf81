import { getEventListeners } from "node:events";
import { lstatSync, mkdirSync, readdirSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { MessageChannel } from "node:worker_threads";
import { describe, expect, test } from "vitest";
import { AppError } from "../../../src/errors.ts";
import { openPortBytes } from "../../../src/layers/feed.ts";
import { DEFAULT_LIMITS } from "../../../src/layers/limits.ts";
import { openWorkerPool } from "../../../src/layers/worker-pool.ts";
import { digestOf } from "../../../store/index.ts";
import { run } from "../../support/peers.ts";
import { buildLayer } from "../../support/tar-builder.ts";
import { openTempDir } from "../../support/temp-dir.ts";

const DIGEST = digestOf(Buffer.from("never"));

/** A task that waits for bytes that do not come. */
function endless(fsPath: string): {
  task: Parameters<ReturnType<typeof openWorkerPool>["run"]>[0];
  port: MessageChannel;
} {
  const port = new MessageChannel();
  const limits = { maxEntries: 10, maxBytes: 1000 };
  const blob = { digest: DIGEST, sizeBytes: 10 };
  return {
    port,
    task: {
      kind: "unpack",
      diffId: DIGEST,
      bytes: openPortBytes(port.port2),
      blob,
      fsPath,
      indexPath: join(fsPath, "index"),
      privileged: false,
      limits,
    } as never,
  };
}

/** How many workers this process has started since. */
function countStarts(): Disposable & { readonly count: number } {
  let count = 0;
  const listener = (): void => {
    count += 1;
  };
  process.on("worker", listener);
  return {
    get count() {
      return count;
    },
    [Symbol.dispose]: () => void process.off("worker", listener),
  };
}

describe("the worker pool", () => {
  test("runs more tasks than it has workers", async () => {
    await using pool = openWorkerPool(2);
    await Promise.all(Array.from({ length: 7 }, () => pool.run({ kind: "sync", path: "/tmp" })));
  });

  test("gives a failed task its error with code and hint, and goes on", async () => {
    await using pool = openWorkerPool(1);
    const layer = { fsPath: "/nonexistent", indexPath: "/nonexistent/index" };
    const share = { index: 0, count: 1 };
    const task = {
      kind: "copy",
      layers: [layer],
      path: "/nonexistent",
      privileged: false,
      stage: "all",
      share,
    } as const;
    await expect(pool.run(task)).rejects.toBeInstanceOf(AppError);
    await pool.run({ kind: "sync", path: "/tmp" });
  });

  test("leaves no file open when a layer breaks off in the middle of a large one", async () => {
    await using temp = await openTempDir("pool");
    await using pool = openWorkerPool(1);
    const path = join(temp.path, "cut.tar");
    const tar = buildLayer([{ name: "big", content: Buffer.alloc(4_000_000, 1) }]).subarray(0, 3_000_000);
    writeFileSync(path, tar);
    const openNow = (): readonly string[] =>
      readdirSync("/proc/self/fd").flatMap((fd) => {
        const target =
          lstatSync(`/proc/self/fd/${fd}`, { throwIfNoEntry: false }) && readlinkSync(`/proc/self/fd/${fd}`);
        return target?.includes("/big") ? [target] : [];
      });
    for (const attempt of ["one", "two"]) {
      const directory = join(temp.path, attempt);
      mkdirSync(join(directory, "fs"), { recursive: true });
      const running = pool.run({
        kind: "unpack",
        diffId: digestOf(tar),
        bytes: { file: { path, offset: 0, sizeBytes: tar.length } },
        blob: { digest: digestOf(tar), sizeBytes: tar.length },
        fsPath: join(directory, "fs"),
        indexPath: join(directory, "index"),
        privileged: false,
        limits: DEFAULT_LIMITS,
      });
      await expect(running).rejects.toMatchObject({ code: "layer-invalid" });
    }
    expect(openNow()).toEqual([]);
  });

  test("has stopped an aborted task before it says so, and replaces its worker", async () => {
    await using temp = await openTempDir("pool");
    await using pool = openWorkerPool(1);
    const { task, port } = endless(temp.path);
    const abort = new AbortController();
    const running = pool.run(task, { signal: abort.signal, transfer: [port.port2] });
    await setImmediate();
    abort.abort(new AppError("canceled", "enough"));
    await expect(running).rejects.toMatchObject({ code: "canceled" });
    await pool.run({ kind: "sync", path: "/tmp" });
    port.port1.close();
    expect(readdirSync(temp.path)).toEqual([]);
  });

  test("lets a task that waits be aborted at once, and keeps the worker that it waited for", async () => {
    await using temp = await openTempDir("pool");
    using starts = countStarts();
    await using pool = openWorkerPool(1);
    const { task, port } = endless(temp.path);
    const running = pool.run(task, { transfer: [port.port2] });
    const abort = new AbortController();
    const waiting = pool.run({ kind: "sync", path: "/tmp" }, { signal: abort.signal });
    const next = pool.run({ kind: "sync", path: "/tmp" });
    await setImmediate();
    const reason = new AppError("canceled", "enough");
    abort.abort(reason);
    await expect(waiting).rejects.toBe(reason);
    expect(getEventListeners(abort.signal, "abort")).toEqual([]);
    expect(pool.busy).toBe(2);
    // the end of the bytes, too soon
    port.port1.postMessage(null);
    await expect(running).rejects.toBeInstanceOf(AppError);
    await next;
    expect(starts.count).toBe(1);
    port.port1.close();
  });

  test("keeps its worker when a task is aborted before it has begun", async () => {
    using starts = countStarts();
    await using pool = openWorkerPool(1);
    await pool.run({ kind: "sync", path: "/tmp" });
    const abort = new AbortController();
    const running = pool.run({ kind: "sync", path: "/tmp" }, { signal: abort.signal });
    const reason = new AppError("canceled", "enough");
    abort.abort(reason);
    await expect(running).rejects.toBe(reason);
    await pool.run({ kind: "sync", path: "/tmp" });
    expect(starts.count).toBe(1);
  });

  test("starts one worker for those who come while an aborted one ends, not one for each", async () => {
    await using temp = await openTempDir("pool");
    using starts = countStarts();
    await using pool = openWorkerPool(1);
    const { task, port } = endless(temp.path);
    const abort = new AbortController();
    const running = pool.run(task, { signal: abort.signal, transfer: [port.port2] });
    await setImmediate();
    abort.abort(new AppError("canceled", "enough"));
    // until the pool knows, and before the thread is gone
    for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
    const others = [pool.run({ kind: "sync", path: "/tmp" }), pool.run({ kind: "sync", path: "/tmp" })];
    await expect(running).rejects.toMatchObject({ code: "canceled" });
    await Promise.all(others);
    expect(starts.count).toBe(2);
    port.port1.close();
  });

  test("refuses those who wait when it closes, and those who are under way", async () => {
    await using temp = await openTempDir("pool");
    const { task, port } = endless(temp.path);
    const pool = openWorkerPool(1);
    const running = pool.run(task, { transfer: [port.port2] });
    const waiting = pool.run({ kind: "sync", path: "/tmp" });
    const outcomes = Promise.allSettled([running, waiting]);
    await setImmediate();
    await pool[Symbol.asyncDispose]();
    const canceled = { status: "rejected", reason: { code: "canceled" } };
    expect(await outcomes).toMatchObject([canceled, canceled]);
    port.port1.close();
  });

  test("closes to the end when a task finishes at that very moment", async () => {
    const script = `
      const { openWorkerPool } = await import(${JSON.stringify(join(import.meta.dirname, "../../../src/layers/worker-pool.ts"))});
      const pool = openWorkerPool(1);
      await pool.run({ kind: "sync", path: "/tmp" });
      pool.run({ kind: "sync", path: "/tmp" }).catch(() => {});
      await new Promise((resolve) => setImmediate(resolve));
      for (const end = performance.now() + 60; performance.now() < end; );
      await pool[Symbol.asyncDispose]();
      console.log("closed");`;
    await using temp = await openTempDir("pool");
    const program = join(temp.path, "close.mjs");
    writeFileSync(program, script);
    for (let round = 0; round < 4; round += 1) {
      const { stdout } = await run(process.execPath, [program]);
      expect(stdout).toBe("closed\n");
    }
  });
});
