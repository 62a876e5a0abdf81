/** The addon works in worker threads, side by side, and leaves no descriptor when one ends. */
import { readdirSync, readlinkSync } from "node:fs";
import { Worker } from "node:worker_threads";
import { expect, test } from "vitest";
import { openTreeFixture } from "./fixtures.ts";

const DOOR = new URL("../../native/index.ts", import.meta.url).href;

/** Opens a tree, makes 200 files, and ends without closing anything. */
const PROGRAM = `
  const { parentPort, workerData } = await import("node:worker_threads");
  const { openTree } = await import(workerData.door);
  const tree = openTree(workerData.path);
  const attributes = { mode: 0o644, uid: -1, gid: -1, mtimeSec: 1, mtimeNsec: 0 };
  tree.mkdir(workerData.name, { ...attributes, mode: 0o755 });
  for (let i = 0; i < 200; i++) tree.createFile(workerData.name + "/" + i, Buffer.from(workerData.name), attributes);
  const file = tree.openFile(workerData.name + "/unfinished");
  file.append(Buffer.from("x"));
  let code;
  try { tree.mkdir(workerData.name, attributes); } catch (error) { code = error.name + " " + error.code; }
  parentPort.postMessage(code);
`;

function runWorker(path: string, name: string): Promise<unknown> {
  const url = new URL(`data:text/javascript,${encodeURIComponent(PROGRAM)}`);
  const worker = new Worker(url, { workerData: { path, name, door: DOOR }, execArgv: [] });
  return new Promise((resolve, reject) => {
    let said: unknown;
    worker.on("message", (message) => {
      said = message;
    });
    worker.once("error", reject);
    worker.once("exit", () => resolve(said));
  });
}

/** What of this process's is open at or below `path`. */
function descriptorsIn(path: string): string[] {
  return readdirSync("/proc/self/fd").flatMap((fd) => {
    try {
      const target = readlinkSync(`/proc/self/fd/${fd}`);
      return target.startsWith(path) ? [target] : [];
    } catch {
      // The descriptor that read the directory is gone by now.
      return [];
    }
  });
}

test("three workers write into one root, and their descriptors are closed with them", async () => {
  await using fixture = await openTreeFixture();
  const names = ["one", "two", "three"];
  const said = await Promise.all(names.map((name) => runWorker(fixture.path, name)));
  expect(said).toEqual(names.map(() => "NativeError EEXIST"));
  expect(descriptorsIn(fixture.path)).toEqual([fixture.path]);
  for (const name of names) {
    expect(fixture.tree.list(name)).toHaveLength(201);
    expect(fixture.tree.readFile(`${name}/199`, 10).toString()).toBe(name);
  }
});
