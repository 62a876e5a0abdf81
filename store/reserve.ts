/**
 * A file that takes up room so that there is some when it is needed most: SQLite cannot delete a row on a full disk, so
 * a full store could otherwise not even be emptied. Given up on `disk-full`, made again when there is room.
 */
import { randomBytes } from "node:crypto";
import { renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { StoreError } from "./errors.ts";
import type { StorePaths } from "./paths.ts";
import { randomShortId } from "./short-id.ts";

/** The shared memory of the index, its log, and a few hundred rows; after them, removed content makes the room. */
const RESERVE_BYTES = 512 * 1024;

/**
 * Runs `action`; on a full disk gives up the reserve and runs it once more. `action` can be repeated. If it made room, there
 * is a reserve again afterwards.
 */
export function withReserve<T>(paths: StorePaths, action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (!(error instanceof StoreError && error.code === "disk-full") || !hasReserve(paths)) throw error;
    rmSync(paths.reserve, { force: true });
    try {
      return action();
    } finally {
      ensureReserve(paths);
    }
  }
}

/** Makes the reserve if it is missing. That it cannot be made is no reason to fail. */
export function ensureReserve(paths: StorePaths): void {
  if (hasReserve(paths)) return;
  const temporary = `${paths.reserve}.${randomShortId(8)}`;
  try {
    // random, so that a compressing file system really sets the room aside
    writeFileSync(temporary, randomBytes(RESERVE_BYTES), { flag: "wx", mode: 0o600 });
    renameSync(temporary, paths.reserve);
  } catch {
    rmSync(temporary, { force: true });
  }
}

function hasReserve(paths: StorePaths): boolean {
  return statSync(paths.reserve, { throwIfNoEntry: false }) !== undefined;
}
