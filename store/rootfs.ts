/**
 * Root filesystems: rows and directories. What is mounted in them is the provisioner's business; the store says which
 * exist, what they stand on, and which were left half made or half destroyed.
 */
import { chmodSync, existsSync, mkdirSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import { assertLease, fileWork, type StoreContext } from "./context.ts";
import type { Digest } from "./digest.ts";
import { StoreError } from "./errors.ts";
import { findLayer } from "./layers.ts";
import type { LayerKind, LayerRef, NewRootfs, Owner, Rootfs, RootfsState, RootfsTable } from "./model.ts";
import { quietly } from "./quietly.ts";
import { assertNothingMounted, removeTree } from "./remove-tree.ts";
import { withReserve } from "./reserve.ts";
import { assertRootfsId } from "./rootfs-id.ts";
import { randomShortId } from "./short-id.ts";
import { moveToTrash, removeTrashQuietly } from "./trash.ts";

interface RootfsRow {
  readonly id: string;
  readonly shortId: string;
  readonly image: string | null;
  readonly imageDigest: Digest;
  readonly backend: string;
  readonly state: RootfsState;
  readonly readOnly: 0 | 1;
  readonly path: string | null;
  readonly mounts: string | null;
  readonly runtimeConfig: string | null;
  readonly createdAt: number;
  readonly bootId: string;
  readonly sessionId: number | null;
}

const COLUMNS = `id, short_id AS shortId, image, image_digest AS imageDigest, backend, state, read_only AS readOnly, path, mounts,
  runtime_config AS runtimeConfig, created_at AS createdAt, boot_id AS bootId, session_id AS sessionId`;

export function createRootfsTable(context: StoreContext): RootfsTable {
  const { database, sessions } = context;
  const find = (where: string, ...values: string[]) =>
    database.read(() => {
      const rows = database.all<RootfsRow>(
        `SELECT ${COLUMNS} FROM rootfs WHERE ${where} ORDER BY created_at, id`,
        ...values,
      );
      return rows.map((row) => toRootfs(context, row));
    });
  return {
    create: (rootfs) => createRootfs(context, rootfs),
    ready(id, { path, mounts }) {
      if (!isAbsolute(path)) throw new RangeError(`the path of a root filesystem must be absolute: ${path}`);
      const changed = database.run(
        `UPDATE rootfs SET state = 'ready', path = ?, mounts = ?, boot_id = ?, session_id = NULL
         WHERE id = ? AND state = 'preparing' AND session_id = ?`,
        path,
        toJson(mounts),
        context.disk.bootId,
        id,
        sessions.current(),
      );
      const ready = changed === 1 ? find("id = ?", id)[0] : undefined;
      if (ready === undefined) throw rootfsNotFound(id, "make it ready: this process does not prepare it");
      return ready;
    },
    destroying: (id) => claimForDestruction(context, id),
    removed: (id) => removeRootfs(context, id),
    get: (id) => find("id = ?", id)[0],
    list: () => find("true"),
    directory(id) {
      const row = findRow(context, id);
      if (row === undefined) throw rootfsNotFound(id, "find its directory");
      return directoryOf(context, row);
    },
    abandoned() {
      sessions.reap();
      return find("state <> 'ready' AND session_id IS NULL");
    },
  };
}

function createRootfs(context: StoreContext, rootfs: NewRootfs): Rootfs {
  const { database, sessions, disk } = context;
  assertRootfsId(rootfs.id);
  const session = sessions.current();
  const created = database.write(() => {
    if (rootfs.lease !== undefined) assertLease(context, rootfs.lease);
    const existing = findRow(context, rootfs.id);
    if (existing !== undefined) throw rootfsExists(existing);
    const layerIds = rootfs.layers.map((ref) => layerId(context, ref));
    database.run(
      `INSERT INTO rootfs (id, short_id, image, image_digest, backend, state, read_only, runtime_config, created_at, boot_id, session_id)
       VALUES (?, ?, ?, ?, ?, 'preparing', ?, ?, ?, ?, ?)`,
      rootfs.id,
      freeShortId(context),
      rootfs.image ?? null,
      rootfs.imageDigest,
      rootfs.backend,
      rootfs.readOnly ? 1 : 0,
      toJson(rootfs.runtimeConfig),
      Date.now(),
      disk.bootId,
      session,
    );
    for (const [position, id] of layerIds.entries()) {
      database.run(
        "INSERT INTO rootfs_layer (rootfs_id, position, layer_id) VALUES (?, ?, ?)",
        rootfs.id,
        position,
        id,
      );
      database.run("UPDATE layer SET last_used_at = ? WHERE id = ?", Date.now(), id);
    }
    const row = findRow(context, rootfs.id);
    if (row === undefined) throw rootfsNotFound(rootfs.id, "create it");
    return toRootfs(context, row);
  });
  // row, then directory: whatever lies in rootfs/ has a row that says whose it is
  try {
    makeDirectory(context, created);
  } catch (error) {
    database.run("DELETE FROM rootfs WHERE id = ?", rootfs.id);
    throw error;
  }
  return created;
}

function makeDirectory(context: StoreContext, { id, directory }: Rootfs): void {
  fileWork(context, `make the directory of root filesystem ${id}`, directory, () => {
    mkdirSync(directory, { mode: 0o755 });
    chmodSync(directory, 0o755); // a user namespace must pass through here; the store's root keeps others out
  });
}

function layerId(context: StoreContext, ref: LayerRef): number {
  const found = findLayer(context, ref);
  if (found !== undefined) return found.id;
  const key = typeof ref === "string" ? ref : ref.key;
  throw new StoreError("layer-missing", `Cannot provision: layer ${key} is not in the store`, {
    details: { key },
    hint: "pull the image again",
  });
}

function claimForDestruction(context: StoreContext, id: string): Rootfs | undefined {
  const { database, sessions, paths } = context;
  const claim = () => {
    const session = sessions.current();
    return database.write(() => {
      const row = findRow(context, id);
      if (row === undefined) return undefined;
      const owner = sessions.isCurrent(row.sessionId) ? undefined : sessions.liveOwner(row.sessionId);
      if (owner !== undefined) throw rootfsBusy(row, owner);
      database.run("UPDATE rootfs SET state = 'destroying', session_id = ? WHERE id = ?", session, id);
      const claimed = findRow(context, id);
      return claimed && toRootfs(context, claimed);
    });
  };
  return withReserve(paths, () => makingRoom(context, id, claim));
}

/**
 * On a full disk not even the claim can be recorded. A directory that is not ready, and in nobody else's hands, most likely
 * filled it: it goes first, unless something is mounted there.
 */
function makingRoom<T>(context: StoreContext, id: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    const row = findRow(context, id);
    if (!(error instanceof StoreError && error.code === "disk-full") || row === undefined) throw error;
    const { sessions } = context;
    if (row.state === "ready" || !(sessions.isCurrent(row.sessionId) || !sessions.ownerOf(row.sessionId))) throw error;
    quietly(() => removeTree(directoryOf(context, row)));
    return action();
  }
}

/**
 * Name, then tree, then row, against the rule for content: until the directory is known to be free of mounts and out of the
 * way, the row must stay, for it is all that leads back to them; and on a full disk no row goes before the tree has.
 */
function removeRootfs(context: StoreContext, id: string): void {
  const { database, sessions, paths } = context;
  const row = findRow(context, id);
  if (row === undefined) return;
  if (row.state !== "destroying" || !sessions.isCurrent(row.sessionId)) throw notClaimed(row);
  const directory = directoryOf(context, row);
  assertNothingMounted(directory);
  removeTrashQuietly(context, moveToTrash(context, directory, sessions.current()));
  withReserve(paths, () => database.run("DELETE FROM rootfs WHERE id = ?", id));
}

function findRow({ database }: StoreContext, id: string): RootfsRow | undefined {
  return database.get<RootfsRow>(`SELECT ${COLUMNS} FROM rootfs WHERE id = ?`, id);
}

function directoryOf({ paths }: StoreContext, { shortId }: RootfsRow): string {
  return join(paths.rootfs, shortId);
}

function freeShortId({ database, paths }: StoreContext): string {
  for (;;) {
    const id = randomShortId();
    const taken = database.get("SELECT 1 FROM rootfs WHERE short_id = ?", id) !== undefined;
    if (!taken && !existsSync(join(paths.rootfs, id))) return id;
  }
}

function toRootfs(context: StoreContext, row: RootfsRow): Rootfs {
  const { database, sessions, disk } = context;
  const layers = database.all<{ key: Digest; kind: LayerKind }>(
    `SELECT key, kind FROM rootfs_layer JOIN layer ON layer.id = layer_id WHERE rootfs_id = ? ORDER BY position`,
    row.id,
  );
  return {
    id: row.id,
    image: row.image ?? undefined,
    imageDigest: row.imageDigest,
    backend: row.backend,
    state: row.state,
    readOnly: row.readOnly === 1,
    directory: directoryOf(context, row),
    rootfsPath: row.path ?? undefined,
    mounts: fromJson(row.mounts),
    runtimeConfig: fromJson(row.runtimeConfig),
    layers,
    createdAt: row.createdAt,
    owner: sessions.ownerOf(row.sessionId),
    fromThisBoot: row.bootId === disk.bootId,
  };
}

function toJson(value: unknown): string | null {
  return value === undefined ? null : JSON.stringify(value);
}

function fromJson(text: string | null): unknown {
  return text === null ? undefined : JSON.parse(text);
}

function rootfsExists({ id, state }: RootfsRow): StoreError {
  return new StoreError("rootfs-exists", `Cannot create root filesystem ${id}: it exists (${state})`, {
    details: { id, state },
    hint: state === "ready" ? "choose another id, or destroy it first" : "wait for that process, or destroy it",
  });
}

function rootfsNotFound(id: string, doing: string): StoreError {
  return new StoreError("rootfs-not-found", `Cannot find root filesystem ${id} to ${doing}`, {
    details: { id },
    hint: "list what is here with `ps`",
  });
}

function rootfsBusy({ id, state }: RootfsRow, { pid }: Owner): StoreError {
  return new StoreError("rootfs-busy", `Cannot destroy root filesystem ${id}: process ${pid} is ${state} it`, {
    details: { id, state, pid },
    hint: `wait for process ${pid}, or end it`,
  });
}

function notClaimed({ id, state }: RootfsRow): StoreError {
  return new StoreError(
    "rootfs-busy",
    `Cannot remove root filesystem ${id}: it is ${state}, and not being destroyed by this process`,
    {
      details: { id, state },
      hint: "destroy it: unmount first, remove last",
    },
  );
}
