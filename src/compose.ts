/**
 * Wiring: configuration in, a running provisioner out, and everything that was opened closed again in reverse.
 */
import { existsSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type Probe, probe } from "../native/index.ts";
import { openStore } from "../store/index.ts";
import type { Config } from "./config.ts";
import { type Emit, silent } from "./events.ts";
import { DEFAULT_LIMITS } from "./layers/limits.ts";
import { defaultPoolSize, openWorkerPool, type WorkerPool } from "./layers/worker-pool.ts";
import { openSources, shortNamesOf } from "./open-sources.ts";
import { mayOwnEverything } from "./privilege.ts";
import { type Diagnosis, diagnose } from "./provisioner/diagnose.ts";
import { createProvisioner, type Provisioner } from "./provisioner/provisioner.ts";
import { createQualify } from "./provisioner/qualify.ts";
import type { Sources } from "./sources/index.ts";
import { syncFileSystem } from "./sync-file-system.ts";

/** As long as the kernel itself lets written pages lie. */
const LONGEST_UNFLUSHED_MS = 30_000;
const PAUSE_MS = 1000;

/**
 * Writing everything out takes a worker, stops whoever makes files, and cannot be stopped by a command that is about to end:
 * it waits until nothing has been done for a while, though not for ever.
 */
async function pause(pool: WorkerPool): Promise<void> {
  const latest = performance.now() + LONGEST_UNFLUSHED_MS;
  let busy: boolean;
  do {
    busy = pool.busy > 0;
    await delay(PAUSE_MS, undefined, { ref: false });
  } while ((busy || pool.busy > 0) && performance.now() < latest);
}

export interface OpenProvisioner extends Provisioner, AsyncDisposable {}

export async function openProvisioner(config: Config, emit: Emit = silent): Promise<OpenProvisioner> {
  await using stack = new AsyncDisposableStack();
  const pool = stack.use(openWorkerPool(config.jobs ?? defaultPoolSize()));
  const store = stack.use(
    openStore({
      root: config.root,
      durability: config.durability,
      sync: syncFileSystem,
      beforeBackgroundSync: () => pause(pool),
      syncInBackground: (path) => pool.run({ kind: "sync", path }),
      // a command ends when its work is done; what it leaves unflushed, the next process of this boot flushes
      syncOnClose: false,
    }),
  );
  let loading: Promise<Sources> | undefined;
  stack.defer(async () => (await loading?.catch(() => undefined))?.[Symbol.asyncDispose]());
  let probing: Promise<Probe> | undefined;
  const provisioner = createProvisioner({
    store,
    pool,
    sources: () => {
      loading ??= openSources(config).catch((error: unknown) => {
        // what was wrong with a file may be right the next time
        loading = undefined;
        throw error;
      });
      return loading;
    },
    qualify: createQualify({
      imageProviders: config.imageProviders,
      ...(config.shortNames === "containers" && { shortNames: shortNamesOf(config) }),
    }),
    limits: {
      maxEntries: config.maxEntries ?? DEFAULT_LIMITS.maxEntries,
      maxBytes: config.maxBytes ?? DEFAULT_LIMITS.maxBytes,
      maxDepth: config.maxDepth ?? DEFAULT_LIMITS.maxDepth,
      maxRatio: config.maxRatio ?? DEFAULT_LIMITS.maxRatio,
    },
    privileged: mayOwnEverything(),
    probe: () => {
      probing ??= probe(store.root).catch((error: unknown) => {
        probing = undefined;
        throw error;
      });
      return probing;
    },
  });
  await provisioner.heal(emit);
  const opened = stack.move();
  return Object.assign(provisioner, { [Symbol.asyncDispose]: () => opened.disposeAsync() });
}

/** What `doctor` tells. Looking makes no store: without one, the directory in which it would be made is tried. */
export async function diagnoseMachine(config: Config): Promise<Diagnosis> {
  if (existsSync(join(config.root, "VERSION"))) {
    await using provisioner = await openProvisioner(config);
    return await provisioner.diagnose();
  }
  let directory = config.root;
  while (!existsSync(directory)) directory = dirname(directory);
  return diagnose(await probe(realpathSync(directory)), undefined);
}
