/**
 * Ingests: the right to bring one blob in. One row for each digest, so one flight across all processes; the row outlives
 * its owner, and the next who asks goes on with the bytes that are there.
 */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { adoptBlob, commitFile, getBlob, sizeOf } from "./content.ts";
import { claimLost, fileWork, holdFor, type StoreContext } from "./context.ts";
import type { Digest } from "./digest.ts";
import { StoreError } from "./errors.ts";
import type { Blob, Blobs, Ingest, IngestClaim } from "./model.ts";
import { randomShortId } from "./short-id.ts";

interface IngestRow {
  readonly id: string;
  readonly sessionId: number | null;
}

export function claimIngest(
  context: StoreContext,
  { digest, size, lease }: Parameters<Blobs["ingest"]>[0],
): IngestClaim {
  const { database, sessions } = context;
  const session = sessions.current();
  holdFor(context, lease, "blob", digest);
  const present = getBlob(context, digest) ?? adoptBlob(context, digest);
  if (present !== undefined) return { state: "present", blob: present };
  return database.write((): IngestClaim => {
    const committed = getBlob(context, digest); // by another process, between the look above and this transaction
    if (committed !== undefined) return { state: "present", blob: committed };
    const row = database.get<IngestRow>("SELECT id, session_id AS sessionId FROM ingest WHERE digest = ?", digest);
    const owner = sessions.liveOwner(row?.sessionId ?? null);
    if (owner !== undefined) return { state: "busy", owner };
    const id = row?.id ?? randomShortId(10);
    database.run(
      `INSERT INTO ingest (digest, id, size, session_id, updated_at) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT (digest) DO UPDATE SET size = excluded.size, session_id = excluded.session_id, updated_at = excluded.updated_at`,
      digest,
      id,
      size ?? null,
      session,
      Date.now(),
    );
    return { state: "claimed", ingest: createIngest(context, { digest, size, id, session }) };
  });
}

interface Claim {
  readonly digest: Digest;
  readonly size: number | undefined;
  readonly id: string;
  readonly session: number;
}

function createIngest(context: StoreContext, claim: Claim): Ingest {
  const { database, paths } = context;
  const { digest, size, id, session } = claim;
  const path = join(paths.ingest, id);
  const found = sizeOf(path) ?? 0;
  let open = true;
  /** Ends the claim in one transaction with whatever becomes of the file; false when it was lost already. */
  const end = (body: () => void): void => {
    if (!open || !database.isOpen) return;
    open = false;
    database.write(() => {
      if (isClaimed(context, claim)) body();
    });
  };
  const discard = () => {
    database.run("DELETE FROM ingest WHERE digest = ?", digest);
    fileWork(context, `remove the download of ${digest}`, path, () => rmSync(path, { force: true }));
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
    [Symbol.dispose]: () =>
      end(() => {
        if ((sizeOf(path) ?? 0) === 0) return discard();
        const sql = "UPDATE ingest SET session_id = NULL, updated_at = ? WHERE digest = ? AND session_id = ?";
        database.run(sql, Date.now(), digest, session);
      }),
  };
}

function commitIngest(
  context: StoreContext,
  claim: Claim,
  path: string,
  verified: { digest: Digest; size: number },
): Blob {
  const { digest, size } = claim;
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
  const blob = context.database.write(() => {
    if (!isClaimed(context, claim)) throw claimLost(`blob ${digest}`);
    const committed = fileWork(context, `store ${digest}`, path, () =>
      commitFile(context, path, digest, verified.size),
    );
    context.database.run("DELETE FROM ingest WHERE digest = ?", digest);
    return committed;
  });
  context.disk.flushSoon();
  return blob;
}

function isClaimed({ database }: StoreContext, { digest, id, session }: Claim): boolean {
  const sql = "SELECT 1 FROM ingest WHERE digest = ? AND id = ? AND session_id = ?";
  return database.get(sql, digest, id, session) !== undefined;
}
