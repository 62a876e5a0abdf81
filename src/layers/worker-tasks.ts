/** What an extraction worker does: one task at a time, answers as in tasks.ts. */
import type { MessagePort } from "node:worker_threads";
import { syncFileSystem } from "../sync-file-system.ts";
import { expandBytes } from "./expand.ts";
import { explainRefusals } from "./refused.ts";
import { scanTar } from "./scan.ts";
import { copyStack, makeFixUp } from "./stack.ts";
import { storeBytes } from "./store-bytes.ts";
import { type FromWorker, type SerializedError, TAKEN, type Task } from "./tasks.ts";
import { unpackLayer } from "./unpack.ts";

/** At most one progress message for so many bytes. */
const PROGRESS_STEP = 1024 * 1024;

export function serve(port: MessagePort): void {
  const send = (message: FromWorker): void => port.postMessage(message);
  port.on("message", (task: Task) => {
    run(task, send).then(
      (result) => send({ type: "done", result }),
      (error: unknown) => send({ type: "failed", error: serialize(error) }),
    );
  });
}

async function run(task: Task, send: (message: FromWorker) => void): Promise<unknown> {
  if (task.kind === "copy") return explainRefusals("copy the layers", () => copyStack(task));
  if (task.kind === "sync") return syncFileSystem(task.path);
  if (task.kind === "fix-up") return explainRefusals("merge the layers", () => makeFixUp(task));
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
