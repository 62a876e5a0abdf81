/** Workshops for tests: one that fails whatever it is asked for, and a real one over a store of its own. */
import { join } from "node:path";
import type { RootwrightEvent } from "../../src/events.ts";
import { DEFAULT_LIMITS, type LayerLimits } from "../../src/layers/limits.ts";
import { openWorkerPool, type WorkerPool } from "../../src/layers/worker-pool.ts";
import { openWorkshop } from "../../src/layers/workshop.ts";
import type { Workshop } from "../../src/sources/source.ts";
import { type Lease, openStore, type Store } from "../../store/index.ts";
import { openTempDir } from "./temp-dir.ts";

/** For tests of sources that should not need one. */
export const NO_WORKSHOP: Workshop = {
  keep: ({ what }) => Promise.reject(new Error(`this test has no workshop to keep ${what} in`)),
  forget: () => {},
  scanTar: ({ path }) => Promise.reject(new Error(`this test has no workshop to scan ${path} in`)),
  expand: (_, what) => Promise.reject(new Error(`this test has no workshop to expand ${what} in`)),
};

export interface TestWorkshop extends AsyncDisposable {
  /** Gone when this is disposed; so are the store and all that is in it. */
  readonly workshop: Workshop & AsyncDisposable;
  readonly store: Store;
  readonly lease: Lease;
  readonly pool: WorkerPool;
  readonly events: readonly RootwrightEvent[];
  /** A directory for the test's own files, which is not the store's. */
  readonly path: string;
}

export interface TestWorkshopOptions {
  readonly limits?: Partial<LayerLimits>;
  readonly signal?: AbortSignal;
  /** Of the store. Default: in a directory that is gone in the end. */
  readonly root?: string;
}

export async function openTestWorkshop(options: TestWorkshopOptions = {}): Promise<TestWorkshop> {
  await using stack = new AsyncDisposableStack();
  const temp = stack.use(await openTempDir("workshop"));
  const store = stack.use(openStore({ root: options.root ?? join(temp.path, "store") }));
  const lease = stack.use(store.leases.acquire({ purpose: "test" }));
  const pool = stack.use(openWorkerPool(2));
  const events: RootwrightEvent[] = [];
  const workshop: Workshop & AsyncDisposable = stack.use(
    openWorkshop({
      store,
      pool,
      lease,
      emit: (event) => events.push(event),
      signal: options.signal ?? new AbortController().signal,
      limits: { ...DEFAULT_LIMITS, ...options.limits },
    }),
  );
  const resources = stack.move();
  return {
    workshop,
    store,
    lease,
    pool,
    events,
    path: temp.path,
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}
