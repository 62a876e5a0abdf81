/**
 * Collection: one recursive query marks from images, leases and root filesystems; the rest is swept item by item. There
 * is no global lock: each removal is a transaction of its own that looks again whether the item is still unneeded, so a
 * pull that begins meanwhile either holds it first, or finds it gone and fetches it.
 */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { removeNameWithoutRow, sizeOf } from "./content.ts";
import { fileWork, type StoreContext } from "./context.ts";
import type { Digest } from "./digest.ts";
import { BLOB_IS_NEEDED, LAYER_IS_NEEDED, UNMARKED_BLOBS } from "./gc-marks.ts";
import { heal } from "./heal.ts";
import { removeLayerTree } from "./layers.ts";
import type { Collected, CollectOptions, CollectReport, LayerKind } from "./model.ts";
import { orphanBlobs, orphanLayers } from "./orphans.ts";

const DAY_MS = 24 * 60 * 60 * 1000;

export function collect(context: StoreContext, options: CollectOptions = {}): CollectReport {
  const { database } = context;
  const dryRun = options.dryRun ?? false;
  if (!dryRun) heal(context);
  const removed = [
    ...sweepBlobs(context, dryRun),
    ...sweepLayers(context, dryRun),
    ...sweepIngests(context, dryRun, options.keepStaleIngestMs ?? DAY_MS),
    ...sweepOrphans(context, dryRun),
  ];
  const count = (table: "blob" | "layer" | "ingest", ...kinds: Collected["kind"][]) => {
    const rows = database.get<{ count: number }>(`SELECT count(*) AS count FROM ${table}`)?.count ?? 0;
    return dryRun ? rows - removed.filter(({ kind }) => kinds.includes(kind)).length : rows;
  };
  return {
    dryRun,
    removed,
    freedBytes: removed.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    kept: {
      blobs: count("blob", "blob"),
      layers: count("layer", "layer", "fixup"),
      ingests: count("ingest", "ingest"),
    },
  };
}

function sweepBlobs(context: StoreContext, dryRun: boolean): Collected[] {
  const { database } = context;
  return database.all<{ digest: Digest; size: number }>(UNMARKED_BLOBS).flatMap(({ digest, size }): Collected[] => {
    const item: Collected = { kind: "blob", key: digest, sizeBytes: size, reason: "no image or lease needs it" };
    if (dryRun) return [item];
    const gone = database.write(() => {
      if (database.get(BLOB_IS_NEEDED, { digest }) !== undefined) return false;
      return database.run("DELETE FROM blob WHERE digest = ?", digest) > 0;
    });
    if (!gone) return [];
    removeNameWithoutRow(context, digest);
    return [item];
  });
}

function sweepLayers(context: StoreContext, dryRun: boolean): Collected[] {
  const { database, sessions } = context;
  const sql = `SELECT id, kind, key, short_id AS shortId, size_bytes AS size FROM layer WHERE NOT (${LAYER_IS_NEEDED})`;
  const unneeded = database.all<{ id: number; kind: LayerKind; key: Digest; shortId: string; size: number }>(sql);
  if (unneeded.length === 0) return [];
  const session = sessions.current();
  return unneeded.flatMap(({ id, kind, key, shortId, size }): Collected[] => {
    const item: Collected = { kind, key, sizeBytes: size, reason: "no image, lease or root filesystem needs it" };
    if (dryRun) return [item];
    // `short_id` too: a tree that was made anew under this row is another one
    if (database.run(`DELETE FROM layer WHERE id = ? AND short_id = ? AND NOT (${LAYER_IS_NEEDED})`, id, shortId) === 0)
      return [];
    removeLayerTree(context, shortId, session);
    return [item];
  });
}

/** Downloads that nobody resumed. A claimed or held one stays, however old. */
function sweepIngests(context: StoreContext, dryRun: boolean, keepMs: number): Collected[] {
  const { database, paths } = context;
  const stale = `session_id IS NULL AND updated_at <= :before
    AND NOT EXISTS (SELECT 1 FROM lease_item WHERE kind = 'blob' AND key = ingest.digest)`;
  const before = Date.now() - keepMs;
  const rows = database.all<{ digest: Digest; id: string }>(`SELECT digest, id FROM ingest WHERE ${stale}`, { before });
  return rows.flatMap(({ digest, id }): Collected[] => {
    const path = join(paths.ingest, id);
    const item: Collected = {
      kind: "ingest",
      key: digest,
      sizeBytes: sizeOf(path) ?? 0,
      reason: "an abandoned download",
    };
    if (dryRun) return [item];
    return database.write(() => {
      if (database.run(`DELETE FROM ingest WHERE digest = :digest AND ${stale}`, { digest, before }) === 0) return [];
      fileWork(context, `remove ${path}`, path, () => rmSync(path, { force: true }));
      return [item];
    });
  });
}

/** Names without rows: what a crash between the name and the row left, in either direction. */
function sweepOrphans(context: StoreContext, dryRun: boolean): Collected[] {
  const reason = "left behind by a crash";
  const blobs = orphanBlobs(context).flatMap(({ digest, name, sizeBytes }): Collected[] => {
    if (!dryRun && removeNameWithoutRow(context, digest) === 0 && sizeBytes > 0) return [];
    return [{ kind: "orphan", key: name, sizeBytes, reason }];
  });
  const layers = orphanLayers(context).flatMap(({ shortId, name }): Collected[] => {
    if (!dryRun && !removeLayerTree(context, shortId, context.sessions.current())) return [];
    return [{ kind: "orphan", key: name, sizeBytes: 0, reason }];
  });
  return [...blobs, ...layers];
}
