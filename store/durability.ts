/**
 * Getting things to the disk. Under `full` before the commit; otherwise soon after, off the critical path, and rows
 * that were not flushed before another boot began are not trusted (see content.ts and layers.ts).
 *
 * What is unflushed is read from the index, not remembered: a process also flushes what others of this boot left.
 */
import { closeSync, fsyncSync, openSync, readdirSync } from "node:fs";
import { open } from "node:fs/promises";
import { dirname } from "node:path";
import type { StoreDatabase } from "./db.ts";
import { parseDigest } from "./digest.ts";
import { errnoOf } from "./errors.ts";
import type { Durability, OpenStoreOptions } from "./model.ts";
import type { StorePaths } from "./paths.ts";

const FLUSH_DELAY_MS = 1000;

interface Unsynced {
  readonly blobs: readonly { readonly digest: string; readonly createdAt: number }[];
  readonly layers: readonly { readonly id: number; readonly shortId: string }[];
}

export class Disk {
  readonly durability: Durability;
  readonly bootId: string;
  readonly #database: StoreDatabase;
  readonly #paths: StorePaths;
  readonly #sync: OpenStoreOptions["sync"];
  readonly #syncInBackground: OpenStoreOptions["syncInBackground"];
  readonly #beforeBackgroundSync: OpenStoreOptions["beforeBackgroundSync"];
  #timer: NodeJS.Timeout | undefined;
  #flushing = false;
  /** Whether something was committed since the flush that is under way looked at what there is. */
  #missed = false;

  constructor(database: StoreDatabase, paths: StorePaths, bootId: string, options: OpenStoreOptions) {
    this.#database = database;
    this.#paths = paths;
    this.bootId = bootId;
    this.durability = options.durability ?? "relaxed";
    this.#sync = options.sync;
    this.#syncInBackground = options.syncInBackground;
    this.#beforeBackgroundSync = options.beforeBackgroundSync;
  }

  /** 1 when what is committed now is on the disk already. */
  get syncedFlag(): 0 | 1 {
    return this.durability === "full" ? 1 : 0;
  }

  /** Before a file or directory gets its name, and again for the directory that got the name. */
  beforeCommit(path: string): void {
    if (this.durability === "full") fsyncPath(path);
  }

  /** Before a whole tree gets its name. */
  beforeTreeCommit(path: string): void {
    if (this.durability !== "full") return;
    if (this.#sync === undefined) fsyncTree(Buffer.from(path));
    else this.#sync(this.#paths.root);
  }

  /** After a commit: flushes in a while, one flush at a time, without keeping the process alive for it. */
  flushSoon(): void {
    this.#missed = true;
    if (this.durability === "full" || this.#flushing || this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      void this.#flushThenAgain();
    }, FLUSH_DELAY_MS).unref();
  }

  flush(): void {
    const unsynced = this.#unsynced();
    if (this.#syncAll(unsynced)) return;
    const paths = this.#blobPaths(unsynced);
    for (const path of new Set([...paths, ...paths.map((path) => dirname(path))])) fsyncPath(path);
    this.#record({ blobs: unsynced.blobs, layers: [] });
  }

  /** Stops the timer. */
  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  async #flushThenAgain(): Promise<void> {
    this.#flushing = true;
    try {
      await this.#flushInBackground();
    } catch {
      // rows stay unsynced, which is the truth; the flush after the next commit tries again
    } finally {
      this.#flushing = false;
    }
    if (this.#missed && this.#database.isOpen) this.flushSoon();
  }

  async #flushInBackground(): Promise<void> {
    this.#missed = false; // so that what fails before it looks at the rows is not tried for ever
    await this.#beforeBackgroundSync?.();
    if (!this.#database.isOpen) return;
    // after the wait, for a flush covers all that was written before it begins, and no more
    this.#missed = false;
    const unsynced = this.#unsynced();
    if (unsynced.blobs.length + unsynced.layers.length === 0) return;
    if (this.#syncInBackground !== undefined) {
      await this.#syncInBackground(this.#paths.root);
      if (this.#database.isOpen) this.#record(unsynced);
      return;
    }
    if (this.#syncAll(unsynced)) return;
    const paths = this.#blobPaths(unsynced);
    for (const path of new Set([...paths, ...paths.map((path) => dirname(path))])) {
      await fsyncInBackground(path);
    }
    if (this.#database.isOpen) this.#record({ blobs: unsynced.blobs, layers: [] });
  }

  /** One call for the whole file system, where the caller gave us one. */
  #syncAll(unsynced: Unsynced): boolean {
    if (unsynced.blobs.length + unsynced.layers.length === 0) return true;
    if (this.#sync === undefined) return false;
    this.#sync(this.#paths.root);
    this.#record(unsynced);
    return true;
  }

  #unsynced(): Unsynced {
    return {
      blobs: this.#database.all(
        "SELECT digest, created_at AS createdAt FROM blob WHERE synced = 0 AND boot_id = ?",
        this.bootId,
      ),
      layers: this.#database.all(
        "SELECT id, short_id AS shortId FROM layer WHERE synced = 0 AND boot_id = ?",
        this.bootId,
      ),
    };
  }

  /** Only what was there before the flush, and is still the same file. */
  #record({ blobs, layers }: Unsynced): void {
    this.#database.write(() => {
      for (const { digest, createdAt } of blobs) {
        this.#database.run("UPDATE blob SET synced = 1 WHERE digest = ? AND created_at = ?", digest, createdAt);
      }
      for (const { id, shortId } of layers) {
        this.#database.run("UPDATE layer SET synced = 1 WHERE id = ? AND short_id = ?", id, shortId);
      }
    });
  }

  #blobPaths({ blobs }: Unsynced): string[] {
    return blobs.map(({ digest }) => this.#paths.blob(parseDigest(digest)));
  }
}

async function fsyncInBackground(path: string): Promise<void> {
  const file = await open(path).catch((error: unknown) => {
    if (errnoOf(error) !== "ENOENT") throw error;
  });
  await file?.sync().finally(() => file.close());
}

/** A file that was collected meanwhile needs no flush. */
function fsyncPath(path: string | Buffer): void {
  let fd: number;
  try {
    fd = openSync(path, "r");
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return;
    throw error;
  }
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Every regular file and directory below `path`; links, devices and pipes live in their directory. Names are bytes. */
function fsyncTree(path: Buffer): void {
  for (const entry of readdirSync(path, { withFileTypes: true, encoding: "buffer" })) {
    const child = Buffer.concat([path, Buffer.from("/"), entry.name]);
    if (entry.isDirectory()) fsyncTree(child);
    else if (entry.isFile()) fsyncPath(child);
  }
  fsyncPath(path);
}
