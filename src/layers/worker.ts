/** Entry point of an extraction worker thread: one task at a time, answers as in tasks.ts. */
import { parentPort } from "node:worker_threads";
import { syncFileSystem } from "../sync-file-system.ts";
import { expandBytes } from "./expand.ts";
import { scanTar } from "./scan.ts";
import { copyStack, makeFixUp } from "./stack.ts";
import { storeBytes } from "./store-bytes.ts";
import { type FromWorker, type SerializedError, TAKEN, type Task } from "./tasks.ts";
import { unpackLayer } from "./unpack.ts";

/** At most one progress message for so many bytes. */
const PROGRESS_STEP = 1024 * 1024;

const port = parentPort;
if (port === null) throw new Error("worker.ts runs as a worker thread");

const send = (message: FromWorker): void => port.postMessage(message);

port.on("message", (task: Task) => {
  run(task).then(
    (result) => send({ type: "done", result }),
    (error: unknown) => send({ type: "failed", error: serialize(error) }),
  );
});

async function run(task: Task): Promise<unknown> {
  if (task.kind === "copy") return copyStack(task);
  if (task.kind === "sync") return syncFileSystem(task.path);
  if (task.kind === "fix-up") return makeFixUp(task);
  if (task.kind !== "scan" && "port" in task.bytes) task.bytes.port.postMessage(TAKEN);
  let reported = 0;
  const onProgress = (doneBytes: number): void => {
    if (doneBytes - reported < PROGRESS_STEP) return;
    reported = doneBytes;
    send({ type: "progress", doneBytes });
  };
  if (task.kind === "scan") return scanTar(task, onProgress);
  if (task.kind === "store") return storeBytes(task, onProgress);
  if (task.kind === "expand") return expandBytes(task, onProgress);
  return unpackLayer(task, onProgress);
}

function serialize(error: unknown): SerializedError {
  const shaped = (error instanceof Error ? error : new Error(String(error))) as Error & Partial<SerializedError>;
  const { name, message, code, hint, details, stack } = shaped;
  return { name, message, code, hint, details, stack };
}
