/**
 * Layers: extracted trees, each with its entry index, under short names. A layer that was not flushed before another
 * boot began may have lost files without a trace, so it counts as absent: whoever stages its key replaces the tree
 * under the same row, and root filesystems that stand on it keep their reference.
 */
import { chmodSync, existsSync, mkdirSync, renameSync, statSync } from "node:fs";
import { join } from "node:path";
import { claimLost, fileWork, holdFor, type StoreContext } from "./context.ts";
import { isForeignKeyError } from "./db.ts";
import type { Digest } from "./digest.ts";
import { StoreError } from "./errors.ts";
import type { Layer, LayerFacts, LayerKind, LayerRef, Layers, StageClaim, StagedLayer } from "./model.ts";
import { quietly } from "./quietly.ts";
import { withReserve } from "./reserve.ts";
import { randomShortId } from "./short-id.ts";
import { moveToTrash, removeTrashQuietly } from "./trash.ts";

interface LayerRow {
  readonly id: number;
  readonly kind: LayerKind;
  readonly key: Digest;
  readonly shortId: string;
  readonly sizeBytes: number;
  readonly entryCount: number;
  readonly facts: string;
  readonly createdAt: number;
  readonly lastUsedAt: number;
  readonly bootId: string;
  readonly synced: 0 | 1;
}

const COLUMNS = `id, kind, key, short_id AS shortId, size_bytes AS sizeBytes, entry_count AS entryCount, facts,
  created_at AS createdAt, last_used_at AS lastUsedAt, boot_id AS bootId, synced`;

const MAX_FACTS_BYTES = 4096;

export function createLayers(context: StoreContext): Layers {
  return {
    get: (key, kind) => findLayer(context, kind === undefined ? key : { key, kind })?.layer,
    list: () =>
      context.database.all<LayerRow>(`SELECT ${COLUMNS} FROM layer ORDER BY id`).map((row) => toLayer(context, row)),
    stage: (options) => stageLayer(context, options),
    remove: (key, kind) => removeLayer(context, key, kind),
  };
}

/** A trusted layer and its row id. */
export function findLayer(
  context: StoreContext,
  ref: LayerRef,
): { readonly id: number; readonly layer: Layer } | undefined {
  if (typeof ref === "string")
    return findLayer(context, { key: ref, kind: "layer" }) ?? findLayer(context, { key: ref, kind: "fixup" });
  const row = findRow(context, ref.key, ref.kind);
  if (row === undefined || (row.synced === 0 && row.bootId !== context.disk.bootId)) return undefined;
  const layer = toLayer(context, row);
  return existsSync(layer.path) ? { id: row.id, layer } : undefined;
}

function stageLayer(context: StoreContext, { key, kind, lease }: Parameters<Layers["stage"]>[0]): StageClaim {
  const { database, sessions } = context;
  const session = sessions.current();
  return database.write((): StageClaim => {
    holdFor(context, lease, "layer", key);
    const present = findLayer(context, { key, kind });
    if (present !== undefined) return { state: "present", layer: present.layer };
    const sql = "SELECT id, session_id AS sessionId FROM staging WHERE key = ? AND kind = ?";
    const claim = database.get<{ id: string; sessionId: number }>(sql, key, kind);
    const owner = sessions.liveOwner(claim?.sessionId ?? null);
    // a claim appears with its directory: without one, it was given up by an owner who could not say so (a full disk)
    if (claim !== undefined && owner !== undefined && existsSync(join(context.paths.staging, claim.id)))
      return { state: "busy", owner };
    database.run("DELETE FROM staging WHERE key = ? AND kind = ?", key, kind);
    const id = randomShortId(10);
    database.run("INSERT INTO staging (key, kind, id, session_id) VALUES (?, ?, ?, ?)", key, kind, id, session);
    return { state: "claimed", staged: createStaged(context, { key, kind, id, session }) };
  });
}

interface Claim {
  readonly key: Digest;
  readonly kind: LayerKind;
  readonly id: string;
  readonly session: number;
}

function createStaged(context: StoreContext, claim: Claim): StagedLayer {
  const { database, paths } = context;
  const path = join(paths.staging, claim.id);
  const fsPath = join(path, "fs");
  fileWork(context, `stage layer ${claim.key}`, path, () => {
    for (const directory of [path, fsPath]) {
      mkdirSync(directory, { mode: 0o755 });
      chmodSync(directory, 0o755); // whatever the umask: this becomes the mode of `/` where an image does not say
    }
  });
  let open = true;
  return {
    path,
    fsPath,
    indexPath: join(path, "index"),
    commit(made) {
      const layer = commitLayer(context, claim, path, made);
      open = false;
      return layer;
    },
    [Symbol.dispose]() {
      if (!open || !database.isOpen) return;
      open = false;
      giveUp(context, claim, path);
    },
  };
}

/**
 * The tree goes before the row: it may be what fills the disk, and a full one takes no row's deletion. Nothing here may
 * hide why the layer was given up; a row that stays goes with its session, and stands in nobody's way without its tree.
 */
function giveUp(context: StoreContext, { id, session }: Claim, path: string): void {
  const { database, paths } = context;
  let tree = path;
  quietly(() => {
    tree = moveToTrash(context, path, session) ?? path;
  });
  removeTrashQuietly(context, tree);
  quietly(() =>
    withReserve(paths, () => database.run("DELETE FROM staging WHERE id = ? AND session_id = ?", id, session)),
  );
}

/** Commit point 2. */
function commitLayer(
  context: StoreContext,
  claim: Claim,
  path: string,
  made: Parameters<StagedLayer["commit"]>[0],
): Layer {
  const { database, disk } = context;
  const { key, kind, id, session } = claim;
  const facts = formatFacts(made.facts);
  fileWork(context, `commit layer ${key}`, path, () => {
    statSync(path);
    disk.beforeTreeCommit(path);
  });
  let named: string | undefined;
  const enter = () => {
    const sql = "SELECT 1 FROM staging WHERE key = ? AND kind = ? AND id = ? AND session_id = ?";
    if (database.get(sql, key, kind, id, session) === undefined) throw claimLost(`layer ${key}`);
    database.run("DELETE FROM staging WHERE id = ?", id);
    const old = findRow(context, key, kind);
    const shortId = freeShortId(context);
    fileWork(context, `commit layer ${key}`, path, () => {
      const to = join(context.paths.layers, shortId);
      renameSync(path, to);
      named = to;
      disk.beforeCommit(context.paths.layers);
    });
    database.run(
      `INSERT INTO layer (kind, key, short_id, size_bytes, entry_count, facts, created_at, last_used_at, boot_id, synced)
       VALUES (:kind, :key, :shortId, :sizeBytes, :entryCount, :facts, :now, :now, :bootId, :synced)
       ON CONFLICT (key, kind) DO UPDATE SET short_id = :shortId, size_bytes = :sizeBytes, entry_count = :entryCount,
         facts = :facts, created_at = :now, last_used_at = :now, boot_id = :bootId, synced = :synced`,
      {
        kind,
        key,
        shortId,
        sizeBytes: made.sizeBytes,
        entryCount: made.entryCount,
        facts,
        now: Date.now(),
        bootId: disk.bootId,
        synced: disk.syncedFlag,
      },
    );
    const row = findRow(context, key, kind);
    if (row === undefined) throw claimLost(`layer ${key}`);
    return { layer: toLayer(context, row), replaced: old && toLayer(context, old).path };
  };
  // without its row the tree is nobody's: back to where it is cleared away
  const leave = () => named !== undefined && renameSync(named, path);
  const { layer, replaced } = undoing(leave, () => database.write(enter));
  if (replaced !== undefined)
    removeTrashQuietly(
      context,
      database.write(() => moveToTrash(context, replaced, session)),
    );
  disk.flushSoon();
  return layer;
}

/** Runs `action`; when it fails, undoes what of it the index cannot, and throws its error in any case. */
function undoing<T>(undo: () => unknown, action: () => T): T {
  try {
    return action();
  } catch (error) {
    quietly(undo);
    throw error;
  }
}

function removeLayer(context: StoreContext, key: Digest, kind: LayerKind | undefined): boolean {
  const { database, sessions } = context;
  const row =
    kind === undefined
      ? (findRow(context, key, "layer") ?? findRow(context, key, "fixup"))
      : findRow(context, key, kind);
  if (row === undefined) return false;
  const session = sessions.current();
  try {
    withReserve(context.paths, () => database.run("DELETE FROM layer WHERE id = ?", row.id));
  } catch (error) {
    if (isForeignKeyError(error)) throw layerInUse(context, row, error);
    throw error;
  }
  removeLayerTree(context, row.shortId, session);
  return true;
}

/** Removes `layers/<short id>`, unless a row has that name; returns whether there was something to remove. */
export function removeLayerTree(context: StoreContext, shortId: string, session: number): boolean {
  const trash = context.database.write(() => {
    if (context.database.get("SELECT 1 FROM layer WHERE short_id = ?", shortId) !== undefined) return undefined;
    return moveToTrash(context, join(context.paths.layers, shortId), session);
  });
  removeTrashQuietly(context, trash);
  return trash !== undefined;
}

function layerInUse({ database }: StoreContext, { id, key }: LayerRow, cause: unknown): StoreError {
  const sql = "SELECT DISTINCT rootfs_id AS id FROM rootfs_layer WHERE layer_id = ? LIMIT 10";
  const users = database.all<{ id: string }>(sql, id).map((row) => row.id);
  return new StoreError(
    "layer-in-use",
    `Cannot remove layer ${key}: root filesystem ${users.join(", ")} stands on it`,
    {
      details: { key, rootfs: users },
      hint: "destroy that root filesystem first",
      cause,
    },
  );
}

function formatFacts(facts: LayerFacts): string {
  const text: unknown =
    typeof facts === "object" && facts !== null && !Array.isArray(facts) ? JSON.stringify(facts) : undefined;
  if (typeof text === "string" && text.startsWith("{") && Buffer.byteLength(text) <= MAX_FACTS_BYTES) return text;
  throw new StoreError(
    "layer-invalid-facts",
    `Cannot commit a layer: its facts are no JSON object of at most ${MAX_FACTS_BYTES} bytes`,
  );
}

function freeShortId({ database, paths }: StoreContext): string {
  for (;;) {
    const id = randomShortId();
    const taken = database.get("SELECT 1 FROM layer WHERE short_id = ?", id) !== undefined;
    if (!taken && !existsSync(join(paths.layers, id))) return id;
  }
}

function findRow({ database }: StoreContext, key: Digest, kind: LayerKind): LayerRow | undefined {
  return database.get<LayerRow>(`SELECT ${COLUMNS} FROM layer WHERE key = ? AND kind = ?`, key, kind);
}

function toLayer({ paths }: StoreContext, row: LayerRow): Layer {
  const { id: _id, bootId: _bootId, synced: _synced, facts, ...rest } = row;
  const path = join(paths.layers, row.shortId);
  return {
    ...rest,
    path,
    fsPath: join(path, "fs"),
    indexPath: join(path, "index"),
    facts: JSON.parse(facts) as LayerFacts,
  };
}
