/**
 * A few worker threads, started when the first task comes and reused. A task that is aborted ends with its thread:
 * the thread is in the middle of synchronous file calls, and nothing else can stop it. A thread that failed is not
 * used again.
 */
import { availableParallelism } from "node:os";
import { type Transferable, Worker } from "node:worker_threads";
import { AppError, isErrorCode, toAppError } from "../errors.ts";
import type { StackFacts } from "./fix-up.ts";
import type {
  CopyTask,
  ExpandResult,
  ExpandTask,
  FixUpTask,
  FromWorker,
  ScanResult,
  ScanTask,
  SerializedError,
  StoreResult,
  StoreTask,
  SyncTask,
  Task,
  UnpackResult,
  UnpackTask,
} from "./tasks.ts";

export interface RunOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: (doneBytes: number) => void;
  readonly transfer?: readonly Transferable[];
}

export interface WorkerPool extends AsyncDisposable {
  /** How many tasks run at once. */
  readonly size: number;
  run(task: UnpackTask, options?: RunOptions): Promise<UnpackResult>;
  run(task: FixUpTask, options?: RunOptions): Promise<StackFacts>;
  run(task: StoreTask, options?: RunOptions): Promise<StoreResult>;
  run(task: ScanTask, options?: RunOptions): Promise<ScanResult>;
  run(task: ExpandTask, options?: RunOptions): Promise<ExpandResult>;
  run(task: CopyTask | SyncTask, options?: RunOptions): Promise<void>;
}

/** Nearly all that a worker makes is short-lived buffers outside the heap; a large nursery would only keep them longer. */
const LIMITS = { maxYoungGenerationSizeMb: 4 };

/** Above the number of cores, since a worker that waits for its network or disk leaves a core idle. */
export function defaultPoolSize(): number {
  return Math.min(8, availableParallelism() + 1);
}

interface Waiter {
  readonly resolve: (worker: Worker) => void;
  readonly reject: (error: unknown) => void;
}

export function openWorkerPool(size = defaultPoolSize()): WorkerPool {
  const all = new Set<Worker>();
  const idle = new Set<Worker>();
  const waiting: Waiter[] = [];
  let closing = false;

  const start = (): Worker => {
    const worker = new Worker(new URL("./worker.ts", import.meta.url), { resourceLimits: LIMITS });
    // also while it is idle: without a listener its error would be everybody's
    const forget = (): void => {
      all.delete(worker);
      idle.delete(worker);
    };
    worker.on("error", forget).on("exit", forget).unref();
    all.add(worker);
    return worker;
  };
  const take = (): Promise<Worker> => {
    if (closing) return Promise.reject(closed());
    for (const worker of idle) {
      idle.delete(worker);
      return Promise.resolve(worker);
    }
    if (all.size < size) return Promise.resolve(start());
    return new Promise((resolve, reject) => waiting.push({ resolve, reject }));
  };
  const give = (worker: Worker): void => {
    if (closing) return;
    const alive = all.has(worker);
    const next = waiting.shift();
    if (next !== undefined) next.resolve(alive ? worker : start());
    else if (alive) idle.add(worker);
  };
  const run = async (task: Task, options: RunOptions = {}): Promise<unknown> => {
    options.signal?.throwIfAborted();
    const worker = await take();
    worker.ref();
    try {
      options.signal?.throwIfAborted();
      return await converse(worker, task, options);
    } catch (error) {
      // what is aborted is still under way; callers may remove its files only when the thread is gone
      if (!(error instanceof TaskError)) {
        all.delete(worker);
        await worker.terminate();
        throw error;
      }
      throw error.reason;
    } finally {
      // while closing, the thread that is waited for is all that keeps the process alive
      if (!closing) worker.unref();
      give(worker);
    }
  };
  return {
    size,
    run: run as WorkerPool["run"],
    async [Symbol.asyncDispose]() {
      closing = true;
      for (const { reject } of waiting.splice(0)) reject(closed());
      await Promise.all([...all].map((worker) => worker.terminate()));
    },
  };
}

function closed(): AppError {
  return new AppError("canceled", "The workers are stopped");
}

/** A task's own failure: the worker answered, and can be used again. */
class TaskError extends Error {
  readonly reason: AppError;

  constructor(reason: AppError) {
    super(reason.message);
    this.reason = reason;
  }
}

function converse(worker: Worker, task: Task, options: RunOptions): Promise<unknown> {
  const done = new AbortController();
  return new Promise<unknown>((resolve, reject) => {
    const on = <T>(event: string, listener: (value: T) => void): void => {
      worker.on(event, listener);
      done.signal.addEventListener("abort", () => worker.off(event, listener));
    };
    on<FromWorker>("message", (message) => {
      if (message.type === "progress") options.onProgress?.(message.doneBytes);
      else if (message.type === "done") resolve(message.result);
      else reject(new TaskError(revive(message.error)));
    });
    on<Error>("error", (error) => reject(workerFailed(error.message, error)));
    on<number>("exit", (code) => reject(workerFailed(`it ended with code ${code}`)));
    const abort = (): void => reject(toAppError(options.signal?.reason ?? new DOMException("aborted", "AbortError")));
    options.signal?.addEventListener("abort", abort, { signal: done.signal });
    worker.postMessage(task, [...(options.transfer ?? [])]);
  }).finally(() => done.abort());
}

function workerFailed(why: string, cause?: unknown): AppError {
  return new AppError("internal", `An extraction worker failed: ${why}`, { cause });
}

/** An error that crossed the thread boundary gets its class back. */
function revive({ name, message, code, hint, details, stack }: SerializedError): AppError {
  const shaped = Object.assign(new Error(message), { name, code, hint, details });
  if (stack !== undefined) shaped.stack = stack;
  // an abort in there is none of ours
  if (!isErrorCode(code)) shaped.name = "Error";
  return toAppError(shaped);
}
