/**
 * Leases: everything that is fetched or used is held from the moment it is named, so that a collection running beside
 * cannot take it. A lease ends when it is released, when its store is closed, or with its process.
 */
import { holdFor, type StoreContext } from "./context.ts";
import type { LeaseSummary, Leases } from "./model.ts";

function quietly(action: () => void): void {
  try {
    action();
  } catch {
    // see dispose
  }
}

export function createLeases(context: StoreContext): Leases {
  const { database, sessions } = context;
  return {
    acquire({ purpose }) {
      const sql = "INSERT INTO lease (session_id, purpose, created_at) VALUES (?, ?, ?)";
      const id = database.insert(sql, sessions.current(), purpose, Date.now());
      const release = () => {
        // a closed store released all its leases already
        if (database.isOpen) database.run("DELETE FROM lease WHERE id = ?", id);
      };
      const lease = {
        id,
        purpose,
        hold: (kind: "blob" | "layer" | "image", key: string) => holdFor(context, lease, kind, key),
        release,
        // a row that cannot be deleted now (a full disk) goes with its session; the caller's own error must not be hidden by it
        [Symbol.dispose]: () => quietly(release),
      };
      return lease;
    },
    list() {
      sessions.reap();
      return database
        .all<{ id: number; purpose: string; pid: number; createdAt: number; items: number }>(
          `SELECT lease.id, purpose, pid, created_at AS createdAt,
                  (SELECT count(*) FROM lease_item WHERE lease_id = lease.id) AS items
           FROM lease JOIN session ON session.id = session_id ORDER BY lease.id`,
        )
        .map(({ pid, ...lease }): LeaseSummary => ({ ...lease, owner: { pid } }));
    },
  };
}
