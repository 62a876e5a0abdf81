/**
 * Entry point of an extraction worker thread. A thread has no part in its process's compile cache unless it asks for it, and
 * compiling all anew costs three times as long as the rest of its start.
 */
import { enableCompileCache, flushCompileCache } from "node:module";
import { parentPort, workerData } from "node:worker_threads";
import type { WorkerStart } from "./worker-pool.ts";

const { compileCache } = workerData as WorkerStart;
if (compileCache !== undefined) enableCompileCache(compileCache);
const { serve } = await import("./worker-tasks.ts");
// now: this thread may be ended from outside, which writes nothing
if (compileCache !== undefined) flushCompileCache();
if (parentPort === null) throw new Error("worker.ts runs as a worker thread");
serve(parentPort);
