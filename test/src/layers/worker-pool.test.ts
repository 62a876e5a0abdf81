import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { MessageChannel } from "node:worker_threads";
import { describe, expect, test } from "vitest";
import { AppError } from "../../../src/errors.ts";
import { openWorkerPool } from "../../../src/layers/worker-pool.ts";
import { digestOf } from "../../../store/index.ts";
import { run } from "../../support/peers.ts";
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
      bytes: { port: port.port2 },
      blob,
      fsPath,
      indexPath: join(fsPath, "index"),
      privileged: false,
      limits,
    } as never,
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
    await expect(
      pool.run({ kind: "copy", layers: [layer], path: "/nonexistent", privileged: false }),
    ).rejects.toBeInstanceOf(AppError);
    await pool.run({ kind: "sync", path: "/tmp" });
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

  test("refuses those who wait when it closes", async () => {
    await using temp = await openTempDir("pool");
    const { task, port } = endless(temp.path);
    const pool = openWorkerPool(1);
    const running = pool.run(task, { transfer: [port.port2] });
    const waiting = pool.run({ kind: "sync", path: "/tmp" });
    const outcomes = Promise.allSettled([running, waiting]);
    await pool[Symbol.asyncDispose]();
    expect((await outcomes).map(({ status }) => status)).toEqual(["rejected", "rejected"]);
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
