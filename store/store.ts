/** Opens a store: directory, index, clean-up after the dead, and the parts wired together. */
import { createBlobs } from "./blobs.ts";
import type { StoreContext } from "./context.ts";
import { StoreDatabase } from "./db.ts";
import { Disk } from "./durability.ts";
import { StoreError } from "./errors.ts";
import { collect } from "./gc.ts";
import { heal } from "./heal.ts";
import { createImages } from "./images.ts";
import { createLayers } from "./layers.ts";
import { openLayout } from "./layout.ts";
import { createLeases } from "./leases.ts";
import { migrate } from "./migrations.ts";
import type { OpenStoreOptions, Store } from "./model.ts";
import type { StorePaths } from "./paths.ts";
import { quietly } from "./quietly.ts";
import { ensureReserve, withReserve } from "./reserve.ts";
import { createRootfsTable } from "./rootfs.ts";
import { Sessions } from "./sessions.ts";
import { usage } from "./usage.ts";
import { verify, verifyBlob } from "./verify.ts";

/** Long enough for any write of ours, which are short, on a busy disk. */
const BUSY_TIMEOUT_MS = 10_000;

/**
 * Opens the store at `root`. Throws StoreError `store-not-writable`, `store-not-a-store`, `store-newer`, `store-busy`,
 * `database-not-a-database`, `database-corrupt`, `disk-full`.
 */
export function openStore(options: OpenStoreOptions): Store {
  const paths = openLayout(options.root, options.create ?? true);
  using opening = new DisposableStack();
  const database = opening.use(withReserve(paths, () => openIndex(paths, options)));
  // closing: what cannot be released is released by whoever finds this process gone, what cannot be flushed by the next one
  const sessions = opening.adopt(new Sessions(database), (it) => quietly(() => it.close()));
  const disk = opening.adopt(new Disk(database, paths, sessions.self.bootId, options), (it) => it.close());
  const context: StoreContext = { database, paths, sessions, disk };
  healUnlessFull(context);
  ensureReserve(paths);
  if (options.syncOnClose ?? true) opening.defer(() => quietly(() => disk.flush()));
  return wire(context, opening.move());
}

function openIndex(paths: StorePaths, options: OpenStoreOptions): StoreDatabase {
  const durability = options.durability ?? "relaxed";
  const busyTimeoutMs = options.busyTimeoutMs ?? BUSY_TIMEOUT_MS;
  const database = new StoreDatabase({ path: paths.database, durability, busyTimeoutMs });
  try {
    migrate(database);
    return database;
  } catch (error) {
    database[Symbol.dispose]();
    throw error;
  }
}

function wire(context: StoreContext, resources: DisposableStack): Store {
  const { paths, disk } = context;
  const tables = {
    blobs: createBlobs(context),
    layers: createLayers(context),
    images: createImages(context),
    rootfs: createRootfsTable(context),
  };
  return {
    root: paths.root,
    durability: disk.durability,
    paths,
    ...tables,
    leases: createLeases(context),
    collect: (options) => {
      const report = withReserve(paths, () => collect(context, options));
      ensureReserve(paths);
      return report;
    },
    heal: () => withReserve(paths, () => heal(context)),
    flush: () => disk.flush(),
    verifyBlob: (digest) => verifyBlob(context, digest),
    verify: (options) => verify(context, tables, options?.deep ?? false),
    usage: () => usage(context),
    [Symbol.dispose]: () => resources.dispose(),
  };
}

/** A full disk must not keep anybody from opening the store to make room in it. */
function healUnlessFull(context: StoreContext): void {
  try {
    withReserve(context.paths, () => heal(context));
  } catch (error) {
    if (!(error instanceof StoreError && error.code === "disk-full")) throw error;
  }
}
