/**
 * Ingests: the right to bring one blob in. One row for each digest, so one flight across all processes; the row outlives
 * its owner, and the next who asks goes on with the bytes that are there.
 *
 * Bytes whose digest only they will tell have such a row too, under a stand-in for it that is made from what they are
 * called. No blob ever has that digest; a lease that holds the stand-in keeps the bytes from being swept. Where not even
 * that tells them from others, the ingest is anonymous: nobody can resume it, so nothing of it outlives its owner.
 */
import { randomUUID } from "node:crypto";
import { rmSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { adoptBlob, commitFile, getBlob, sizeOf } from "./content.ts";
import { claimLost, fileWork, holdFor, type StoreContext } from "./context.ts";
import { type Digest, digestOf } from "./digest.ts";
import { StoreError } from "./errors.ts";
import type { Blob, Blobs, Ingest, IngestClaim, Lease } from "./model.ts";
import { quietly } from "./quietly.ts";
import { withReserve } from "./reserve.ts";
import { randomShortId } from "./short-id.ts";

/** What a few rows of the index can take on the disk, its log and shared memory included. */
const ROOM_BYTES = 512 * 1024;

interface IngestRow {
  readonly id: string;
  readonly sessionId: number | null;
}

export function claimIngest(
  context: StoreContext,
  { digest, size, lease }: Parameters<Blobs["ingest"]>[0],
): IngestClaim {
  const session = context.sessions.current();
  holdFor(context, lease, "blob", digest);
  const present = getBlob(context, digest) ?? adoptBlob(context, digest);
  if (present !== undefined) return { state: "present", blob: present };
  return context.database.write((): IngestClaim => {
    const committed = getBlob(context, digest); // by another process, between the look above and this transaction
    if (committed !== undefined) return { state: "present", blob: committed };
    return claimRow(context, { key: digest, digest, anonymous: false, size, lease, session });
  });
}

export function claimUnnamedIngest(
  context: StoreContext,
  { key, size, lease }: Parameters<Blobs["ingestUnnamed"]>[0],
): IngestClaim {
  const session = context.sessions.current();
  const anonymous = key === "";
  const standIn = anonymous ? digestOf(`anonymous ingest\0${randomUUID()}`) : standInFor(key);
  const present = downloaded(context, standIn, lease);
  if (present !== undefined) return { state: "present", blob: present };
  return context.database.write((): IngestClaim => {
    const committed = downloaded(context, standIn, lease); // by another process meanwhile
    if (committed !== undefined) return { state: "present", blob: committed };
    holdFor(context, lease, "blob", standIn);
    return claimRow(context, { key: standIn, digest: undefined, anonymous, size, lease, session });
  });
}

export function forgetDownload({ database }: StoreContext, key: string): void {
  database.run("DELETE FROM download WHERE key = ?", standInFor(key));
}

function standInFor(key: string): Digest {
  return digestOf(`unnamed ingest\0${key}`);
}

/** What was fetched under this name before, if it is still here; held from before the look. */
function downloaded(context: StoreContext, standIn: Digest, lease: Lease): Blob | undefined {
  const row = context.database.get<{ digest: Digest }>("SELECT digest FROM download WHERE key = ?", standIn);
  if (row === undefined) return undefined;
  holdFor(context, lease, "blob", row.digest);
  return getBlob(context, row.digest);
}

interface Wanted {
  /** Of the row: the digest, or what stands in for it. */
  readonly key: Digest;
  readonly digest: Digest | undefined;
  readonly anonymous: boolean;
  readonly size: number | undefined;
  readonly lease: Lease;
  readonly session: number;
}

/** Part of the caller's transaction. */
function claimRow(context: StoreContext, wanted: Wanted): IngestClaim {
  const { database, sessions } = context;
  const { key, anonymous, size, session } = wanted;
  const row = database.get<IngestRow>("SELECT id, session_id AS sessionId FROM ingest WHERE digest = ?", key);
  const owner = sessions.liveOwner(row?.sessionId ?? null);
  if (owner !== undefined) return { state: "busy", owner };
  const id = row?.id ?? randomShortId(10);
  database.run(
    `INSERT INTO ingest (digest, id, size, session_id, anonymous, updated_at) VALUES (?, ?, ?, ?, ?, ?)
     ON CONFLICT (digest) DO UPDATE SET size = excluded.size, session_id = excluded.session_id, updated_at = excluded.updated_at`,
    key,
    id,
    size ?? null,
    session,
    anonymous ? 1 : 0,
    Date.now(),
  );
  return { state: "claimed", ingest: createIngest(context, { ...wanted, id }) };
}

interface Claim extends Wanted {
  readonly id: string;
}

function createIngest(context: StoreContext, claim: Claim): Ingest {
  const { database, paths } = context;
  const { key, digest, anonymous, size, id, session } = claim;
  const path = join(paths.ingest, id);
  const found = sizeOf(path) ?? 0;
  let open = true;
  /** Ends the claim in one transaction with whatever becomes of the file; false when it was lost already. */
  const end = (body: () => void): void => {
    if (!open || !database.isOpen) return;
    const give = () =>
      database.write(() => {
        if (isClaimed(context, claim)) body();
      });
    withReserve(paths, () => makingRoom(path, give));
    open = false;
  };
  const discard = () => {
    database.run("DELETE FROM ingest WHERE digest = ?", key);
    fileWork(context, `remove the download of ${digest ?? id}`, path, () => rmSync(path, { force: true }));
  };
  return {
    digest,
    size,
    path,
    // more than the whole is the rest of something else
    offset: size !== undefined && found > size ? 0 : found,
    commit(verified) {
      const blob = commitIngest(context, claim, path, verified);
      open = false;
      return blob;
    },
    discard: () => end(discard),
    // quietly: why the download failed must not be hidden by what came of that; the claim then ends with its session
    [Symbol.dispose]: () =>
      quietly(() =>
        end(() => {
          if (anonymous || (sizeOf(path) ?? 0) === 0) return discard();
          const sql = "UPDATE ingest SET session_id = NULL, updated_at = ? WHERE digest = ? AND session_id = ?";
          database.run(sql, Date.now(), key, session);
        }),
      ),
  };
}

/**
 * On a full disk the index cannot record that a claim is given up, and its owner would stand in everybody's way. The last
 * bytes of the download, which most likely filled it, make room: those before them can be resumed from as well.
 */
function makingRoom(path: string, action: () => void): void {
  try {
    action();
  } catch (error) {
    const size = sizeOf(path);
    if (!(error instanceof StoreError && error.code === "disk-full") || size === undefined) throw error;
    truncateSync(path, Math.max(0, size - ROOM_BYTES));
    action();
  }
}

function commitIngest(
  context: StoreContext,
  claim: Claim,
  path: string,
  verified: { digest: Digest; size: number },
): Blob {
  const { digest = verified.digest, size } = claim;
  if (verified.digest !== digest) {
    throw new StoreError("blob-digest-mismatch", `Cannot store ${digest}: the received bytes are ${verified.digest}`, {
      details: { expected: digest, found: verified.digest, path },
    });
  }
  const found = sizeOf(path);
  if (found !== verified.size || (size !== undefined && found !== size)) {
    throw new StoreError("blob-size-mismatch", `Cannot store ${digest}: the file has ${found ?? "no"} bytes`, {
      details: { expected: size ?? verified.size, found, path },
    });
  }
  // a big file is flushed before the transaction, so that no other process waits for it
  fileWork(context, `flush ${digest}`, path, () => context.disk.beforeCommit(path));
  if (claim.digest === undefined) meet(context, claim.lease, digest);
  const blob = context.database.write(() => {
    if (!isClaimed(context, claim)) throw claimLost(`blob ${digest}`);
    const committed = fileWork(context, `store ${digest}`, path, () =>
      commitFile(context, path, digest, verified.size),
    );
    context.database.run("DELETE FROM ingest WHERE digest = ?", claim.key);
    if (claim.digest === undefined && !claim.anonymous)
      context.database.run("INSERT OR REPLACE INTO download (key, digest) VALUES (?, ?)", claim.key, digest);
    return committed;
  });
  context.disk.flushSoon();
  return blob;
}

/**
 * What a named ingest does when it is claimed, an unnamed one does now that it has its name: hold it, then look whether it
 * is here. One that is here and not as it should be is dropped by the look, so that the new file takes its place.
 */
function meet(context: StoreContext, lease: Lease, digest: Digest): void {
  holdFor(context, lease, "blob", digest);
  getBlob(context, digest);
}

function isClaimed({ database }: StoreContext, { key, id, session }: Claim): boolean {
  const sql = "SELECT 1 FROM ingest WHERE digest = ? AND id = ? AND session_id = ?";
  return database.get(sql, key, id, session) !== undefined;
}
