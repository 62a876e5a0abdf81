/** Blobs, as the rest of the program asks for them; content.ts keeps their files and rows together. */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { BLOB_COLUMNS, type BlobRow, commitFile, dropBlob, findBlobRow, getBlob, sizeOf, toBlob } from "./content.ts";
import { fileWork, holdFor, type StoreContext } from "./context.ts";
import { algorithmOf, type Digest, digestOf } from "./digest.ts";
import { StoreError } from "./errors.ts";
import { claimIngest, claimUnnamedIngest, forgetDownload } from "./ingest.ts";
import type { Blob, Blobs } from "./model.ts";
import { randomShortId } from "./short-id.ts";
import { verifyBlob } from "./verify.ts";

export function createBlobs(context: StoreContext): Blobs {
  const { database } = context;
  return {
    get: (digest) => getBlob(context, digest),
    list: () =>
      database.all<BlobRow>(`SELECT ${BLOB_COLUMNS} FROM blob ORDER BY digest`).map((row) => toBlob(context, row)),
    read: (digest, { maxBytes }) => readBlob(context, digest, maxBytes),
    recheck(digest) {
      // the row first: what another process stores while we hash is not what we found wrong
      const row = findBlobRow(context, digest);
      if (row === undefined) return false;
      if (verifyBlob(context, digest) === undefined) return true;
      dropBlob(context, row);
      return false;
    },
    put: (bytes, options) => putBlob(context, bytes, options),
    ingest: (options) => claimIngest(context, options),
    ingestUnnamed: (options) => claimUnnamedIngest(context, options),
    forgetUnnamed: (key) => forgetDownload(context, key),
    pendingBytes(digest) {
      const row = database.get<{ id: string }>("SELECT id FROM ingest WHERE digest = ?", digest);
      return row === undefined ? 0 : (sizeOf(join(context.paths.ingest, row.id)) ?? 0);
    },
    addEdges(parent, children) {
      database.write(() => {
        if (findBlobRow(context, parent) === undefined) throw blobMissing(parent, "record what it refers to");
        for (const child of children)
          database.run("INSERT OR IGNORE INTO edge (parent, child) VALUES (?, ?)", parent, child);
      });
    },
    children: (parent) =>
      database
        .all<{ child: Digest }>("SELECT child FROM edge WHERE parent = ? ORDER BY child", parent)
        .map(({ child }) => child),
  };
}

function readBlob(context: StoreContext, digest: Digest, maxBytes: number): Buffer {
  const blob = getBlob(context, digest);
  const row = findBlobRow(context, digest); // before the bytes: what is stored while we hash is not what we found wrong
  if (blob === undefined || row === undefined) throw blobMissing(digest, "read it");
  if (blob.size > maxBytes) {
    throw new StoreError(
      "blob-too-large",
      `Cannot read ${digest}: it has ${blob.size} bytes, ${maxBytes} are allowed`,
      {
        details: { digest, size: blob.size, maxBytes },
        hint: "this is not the small document that it should be; check the image",
      },
    );
  }
  const bytes = fileWork(context, `read ${digest}`, blob.path, () => readFileSync(blob.path));
  const found = digestOf(bytes, algorithmOf(digest));
  if (found === digest) return bytes;
  dropBlob(context, row);
  throw new StoreError("blob-digest-mismatch", `Cannot read ${digest}: the stored bytes are ${found}`, {
    details: { expected: digest, found, path: blob.path },
    hint: "it was dropped; pull the image again, and check the disk",
  });
}

function putBlob(context: StoreContext, bytes: Uint8Array, { digest, lease }: Parameters<Blobs["put"]>[1]): Blob {
  const found = digestOf(bytes, digest === undefined ? "sha256" : algorithmOf(digest));
  if (digest !== undefined && found !== digest) {
    throw new StoreError("blob-digest-mismatch", `Cannot store ${digest}: the bytes are ${found}`, {
      details: { expected: digest, found, size: bytes.length },
      hint: "the source sent other bytes than it promised; try again, or another mirror",
    });
  }
  holdFor(context, lease, "blob", found);
  const present = getBlob(context, found);
  if (present !== undefined) return present;
  const path = join(context.paths.ingest, `put-${randomShortId(10)}`);
  // all in one transaction: a clean-up cannot take the file before it has its name, and content put here is small
  const blob = context.database.write(() =>
    fileWork(context, `store ${found}`, path, () => {
      try {
        writeFileSync(path, bytes, { flag: "wx", mode: 0o600 });
        return commitFile(context, path, found, bytes.length);
      } finally {
        rmSync(path, { force: true });
      }
    }),
  );
  context.disk.flushSoon();
  return blob;
}

function blobMissing(digest: Digest, doing: string): StoreError {
  return new StoreError("blob-missing", `Cannot ${doing}: blob ${digest} is not in the store`, {
    details: { digest },
    hint: "pull the image that it belongs to",
  });
}
