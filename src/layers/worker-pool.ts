/**
 * A few worker threads, started when the first task comes and reused. A task that is aborted ends with its thread:
 * the thread is in the middle of synchronous file calls, and nothing else can stop it. A thread that failed is not
 * used again.
 */
import { getCompileCacheDir } from "node:module";
import { availableParallelism } from "node:os";
import { dirname } from "node:path";
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
  /** Starts workers for so many tasks that will come soon: their start takes as long as finding out what the tasks are. */
  prepare(tasks: number): void;
  /** How many tasks are under way or wait for a worker. */
  readonly busy: number;
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

/** What a worker is started with. */
export interface WorkerStart {
  /** Where this process keeps its compiled code, if it does. */
  readonly compileCache: string | undefined;
}

interface Waiter {
  readonly resolve: (worker: Worker) => void;
  readonly reject: (error: unknown) => void;
}

export function openWorkerPool(size = defaultPoolSize()): WorkerPool {
  const all = new Set<Worker>();
  const idle = new Set<Worker>();
  const waiting = new Set<Waiter>();
  let running = 0;
  let closing = false;

  const start = (): Worker => {
    const cache = getCompileCacheDir();
    // what is told is the directory of this version of Node in the one that was given
    const workerData: WorkerStart = { compileCache: cache === undefined ? undefined : dirname(cache) };
    const worker = new Worker(new URL("./worker.ts", import.meta.url), { resourceLimits: LIMITS, workerData });
    // also while it is idle: without a listener its error would be everybody's
    const forget = (): void => {
      all.delete(worker);
      idle.delete(worker);
    };
    worker.on("error", forget).on("exit", forget).unref();
    all.add(worker);
    return worker;
  };
  const free = (): Worker | undefined => {
    // the one that worked last: what it has done is still in its memory to be used again, and not another's as well
    const worker = [...idle].at(-1);
    if (worker === undefined) return all.size < size ? start() : undefined;
    idle.delete(worker);
    return worker;
  };
  const take = async (signal: AbortSignal | undefined): Promise<Worker> => {
    if (closing) throw closed();
    return free() ?? (await wait(signal));
  };
  const wait = (signal: AbortSignal | undefined): Promise<Worker> => {
    const { promise, resolve, reject } = Promise.withResolvers<Worker>();
    const waiter: Waiter = { resolve, reject };
    const leave = (): void => {
      waiting.delete(waiter);
      reject(reasonOf(signal));
    };
    waiting.add(waiter);
    signal?.addEventListener("abort", leave);
    return promise.finally(() => signal?.removeEventListener("abort", leave));
  };
  const give = (worker: Worker): void => {
    if (closing) return;
    if (all.has(worker)) idle.add(worker);
    const [next] = waiting;
    // none is free when this one is gone and a task that came meanwhile started another, which will come by here as well
    const other = next && free();
    if (next === undefined || other === undefined) return;
    waiting.delete(next);
    next.resolve(other);
  };
  const run = async (task: Task, options: RunOptions = {}): Promise<unknown> => {
    throwIfAborted(options.signal);
    running += 1;
    try {
      const worker = await take(options.signal);
      worker.ref();
      try {
        // between being called and coming here: the worker has not begun, and there is nothing to end
        throwIfAborted(options.signal);
        return await runOn(worker, task, options);
      } finally {
        // while closing, the thread that is waited for is all that keeps the process alive
        if (!closing) worker.unref();
        give(worker);
      }
    } finally {
      running -= 1;
    }
  };
  const runOn = async (worker: Worker, task: Task, options: RunOptions): Promise<unknown> => {
    try {
      return await converse(worker, task, options, (code) =>
        closing ? closed() : workerFailed(`it ended with code ${code}`),
      );
    } catch (error) {
      if (error instanceof TaskError) throw error.reason;
      // what is aborted is still under way; callers may remove its files only when the thread is gone
      all.delete(worker);
      await worker.terminate();
      throw error;
    }
  };
  return {
    size,
    prepare(tasks) {
      while (!closing && all.size < Math.min(tasks, size)) idle.add(start());
    },
    get busy() {
      return running;
    },
    run: run as WorkerPool["run"],
    async [Symbol.asyncDispose]() {
      closing = true;
      for (const { reject } of waiting) reject(closed());
      waiting.clear();
      await Promise.all([...all].map((worker) => worker.terminate()));
    },
  };
}

function reasonOf(signal: AbortSignal | undefined): AppError {
  return toAppError(signal?.reason ?? new DOMException("aborted", "AbortError"));
}

function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw reasonOf(signal);
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

function converse(
  worker: Worker,
  task: Task,
  options: RunOptions,
  ended: (code: number) => AppError,
): Promise<unknown> {
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
    on<number>("exit", (code) => reject(ended(code)));
    const abort = (): void => reject(reasonOf(options.signal));
    options.signal?.addEventListener("abort", abort, { signal: done.signal });
    worker.postMessage(task, [...(options.transfer ?? [])]);
  }).finally(() => done.abort());
}

function workerFailed(why: string, cause?: unknown): AppError {
  if ((cause as NodeJS.ErrnoException | undefined)?.code === "ERR_WORKER_OUT_OF_MEMORY") {
    return new AppError("layer-too-large", "A layer has more entries than there is memory for", {
      hint: "give this process more memory, or refuse such layers sooner by a lower max_entries",
      cause,
    });
  }
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
