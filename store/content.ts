/**
 * Blob files and their rows: bytes under their digest. Bytes, then name, then row; and away in the opposite order. A name and its row
 * change inside one write transaction, so that no other process ever sees one without the other; only a crash can leave
 * a name without row, which is adopted when the blob is asked for again (`adopt`) or swept by collection.
 */
import { chmodSync, closeSync, mkdirSync, openSync, readSync, renameSync, rmSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { fileWork, type StoreContext } from "./context.ts";
import { algorithmOf, createHasher, type Digest } from "./digest.ts";
import { errnoOf, withFileErrors } from "./errors.ts";
import type { Blob } from "./model.ts";

export interface BlobRow {
  readonly digest: Digest;
  readonly size: number;
  readonly createdAt: number;
  readonly bootId: string;
  readonly synced: 0 | 1;
}

export const BLOB_COLUMNS = "digest, size, created_at AS createdAt, boot_id AS bootId, synced";

export function getBlob(context: StoreContext, digest: Digest): Blob | undefined {
  const row = findBlobRow(context, digest);
  if (row === undefined) return undefined;
  const path = context.paths.blob(digest);
  if (sizeOf(path) !== row.size) {
    dropBlob(context, row);
    return undefined;
  }
  if (row.synced === 1 || row.bootId === context.disk.bootId) return toBlob(context, row);
  // written shortly before the machine went down: the name may have reached the disk without the bytes
  if (digestOfFile(context, digest) !== digest) {
    dropBlob(context, row);
    return undefined;
  }
  context.database.run(
    "UPDATE blob SET boot_id = ? WHERE digest = ? AND created_at = ?",
    context.disk.bootId,
    digest,
    row.createdAt,
  );
  return toBlob(context, row);
}

/** Commit point 1. Gives a verified file its name and its row; part of the caller's transaction. */
export function commitFile(context: StoreContext, file: string, digest: Digest, size: number): Blob {
  const { disk } = context;
  const path = context.paths.blob(digest);
  const row = findBlobRow(context, digest);
  if (row !== undefined && sizeOf(path) === size) {
    rmSync(file, { force: true }); // somebody was faster
    return toBlob(context, row);
  }
  chmodSync(file, 0o444);
  disk.beforeCommit(file);
  const directory = dirname(path);
  if (mkdirSync(directory, { recursive: true, mode: 0o755 }) !== undefined) disk.beforeCommit(dirname(directory));
  renameSync(file, path);
  disk.beforeCommit(directory);
  return recordRow(context, digest, size);
}

/** Takes a file that has its name but, after a crash, no row. */
export function adoptBlob(context: StoreContext, digest: Digest): Blob | undefined {
  const path = context.paths.blob(digest);
  const size = sizeOf(path);
  if (size === undefined || findBlobRow(context, digest) !== undefined || digestOfFile(context, digest) !== digest)
    return undefined;
  // the file may have been swept while it was hashed; inside the transaction it cannot be
  return context.database.write(() => (sizeOf(path) === size ? recordRow(context, digest, size, 0) : undefined));
}

/** `synced`: 0 also under `full` for a file that somebody else left, of which nobody knows whether it reached the disk. */
function recordRow(context: StoreContext, digest: Digest, size: number, synced: 0 | 1 = context.disk.syncedFlag): Blob {
  const { database, paths, disk } = context;
  const createdAt = Date.now();
  database.run(
    `INSERT INTO blob (digest, size, created_at, boot_id, synced) VALUES (?, ?, ?, ?, ?)
     ON CONFLICT (digest) DO UPDATE SET size = excluded.size, created_at = excluded.created_at,
       boot_id = excluded.boot_id, synced = excluded.synced`,
    digest,
    size,
    createdAt,
    disk.bootId,
    synced,
  );
  return { digest, size, path: paths.blob(digest), createdAt, synced: synced === 1 };
}

/** Row, then name: but never the row or name of a newer blob that another process put in its place meanwhile. */
export function dropBlob(context: StoreContext, { digest, createdAt, bootId }: BlobRow): void {
  const sql = "DELETE FROM blob WHERE digest = ? AND created_at = ? AND boot_id = ?";
  if (context.database.run(sql, digest, createdAt, bootId) > 0) removeNameWithoutRow(context, digest);
}

/** Removes the file of a digest that has no row; returns the bytes that this freed. */
export function removeNameWithoutRow(context: StoreContext, digest: Digest): number {
  const path = context.paths.blob(digest);
  return context.database.write(() => {
    if (findBlobRow(context, digest) !== undefined) return 0;
    const size = sizeOf(path) ?? 0;
    fileWork(context, `remove ${digest}`, path, () => rmSync(path, { force: true }));
    return size;
  });
}

/** The digest that the stored bytes really have; undefined when there is no file. */
export function digestOfFile(context: StoreContext, digest: Digest): Digest | undefined {
  const path = context.paths.blob(digest);
  return fileWork(context, `read ${digest}`, path, () => {
    let fd: number;
    try {
      fd = openSync(path, "r");
    } catch (error) {
      if (errnoOf(error) === "ENOENT") return undefined;
      throw error;
    }
    try {
      const hasher = createHasher(algorithmOf(digest));
      const buffer = Buffer.allocUnsafe(1024 * 1024);
      for (let read = readSync(fd, buffer); read > 0; read = readSync(fd, buffer))
        hasher.update(buffer.subarray(0, read));
      return hasher.digest();
    } finally {
      closeSync(fd);
    }
  });
}

export function findBlobRow({ database }: StoreContext, digest: Digest): BlobRow | undefined {
  return database.get<BlobRow>(`SELECT ${BLOB_COLUMNS} FROM blob WHERE digest = ?`, digest);
}

export function toBlob({ paths }: StoreContext, { digest, size, createdAt, synced }: BlobRow): Blob {
  return { digest, size, path: paths.blob(digest), createdAt, synced: synced === 1 };
}

/** Size of a regular file; undefined when there is none. */
export function sizeOf(path: string): number | undefined {
  const context = { doing: "look at a file of the store", path, root: dirname(path) };
  const stat = withFileErrors(context, () => statSync(path, { throwIfNoEntry: false }));
  return stat?.isFile() ? stat.size : undefined;
}
