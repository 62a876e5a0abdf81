/** What the parts of an open store share. */
import type { StoreDatabase } from "./db.ts";
import type { Disk } from "./durability.ts";
import { explainFileError, StoreError } from "./errors.ts";
import type { Lease, LeaseItemKind } from "./model.ts";
import type { StorePaths } from "./paths.ts";
import type { Sessions } from "./sessions.ts";

export interface StoreContext {
  readonly database: StoreDatabase;
  readonly paths: StorePaths;
  readonly sessions: Sessions;
  readonly disk: Disk;
}

/**
 * Holds `key` for the lease, or throws `lease-lost`. Part of the caller's transaction, so that what is claimed or
 * committed and what protects it appear together.
 */
export function holdFor({ database }: StoreContext, lease: Lease, kind: LeaseItemKind, key: string): void {
  database.write(() => {
    if (database.get("SELECT 1 FROM lease WHERE id = ?", lease.id) === undefined) throw leaseLost(lease);
    database.run("INSERT OR IGNORE INTO lease_item (lease_id, kind, key) VALUES (?, ?, ?)", lease.id, kind, key);
  });
}

/** Throws `lease-lost` unless the lease still protects what it holds. */
export function assertLease({ database }: StoreContext, lease: Lease): void {
  if (database.get("SELECT 1 FROM lease WHERE id = ?", lease.id) === undefined) throw leaseLost(lease);
}

function leaseLost({ id, purpose }: Lease): StoreError {
  return new StoreError("lease-lost", `Cannot go on with ${purpose}: its lease ${id} was released`, {
    details: { lease: id, purpose },
    hint: "do it again from the start: what it fetched may have been collected",
  });
}

/** A claim that this store no longer has: it was closed, or the row was removed by hand. */
export function claimLost(what: string): StoreError {
  return new StoreError("lease-lost", `Cannot commit ${what}: this process no longer has the claim to it`, {
    details: { what },
    hint: "do it again from the start",
  });
}

/** Runs file work of the store and explains the errors; `doing` follows "Cannot". */
export function fileWork<T>({ paths }: StoreContext, doing: string, path: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw explainFileError(error, { doing, path, root: paths.root });
  }
}
