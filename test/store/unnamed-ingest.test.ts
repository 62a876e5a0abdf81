import { chmodSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { digestOf, type Ingest, type Lease, openIngestWriter, openStore, type Store } from "../../store/index.ts";
import { codeOf, forgeReboot, openIndex, temporaryStore } from "./fixtures/temporary-store.ts";

const BYTES = Buffer.from("nobody knew");
const DIGEST = digestOf(BYTES);

function claim(store: Store, lease: Lease, key = "a key", size?: number): Ingest {
  const claimed = store.blobs.ingestUnnamed({ key, lease, ...(size !== undefined && { size }) });
  if (claimed.state !== "claimed") throw new Error(claimed.state);
  return claimed.ingest;
}

function write(ingest: Ingest, bytes: Buffer = BYTES): { digest: ReturnType<typeof digestOf>; size: number } {
  const { path, digest, size, offset } = ingest;
  using writer = openIngestWriter(path, { digest, size, offset });
  writer.write(bytes.subarray(offset));
  return writer.finish();
}

describe("blobs.ingestUnnamed", () => {
  test("makes a blob under the digest that the bytes turn out to have", () => {
    using temporary = temporaryStore();
    const { store, lease, root } = temporary;
    using ingest = claim(store, lease);
    expect(ingest.digest).toBeUndefined();
    expect(ingest.commit(write(ingest))).toMatchObject({ digest: DIGEST, size: BYTES.length });
    expect(store.blobs.read(DIGEST, { maxBytes: 100 })).toEqual(BYTES);
    expect(statSync(store.blobs.get(DIGEST)?.path ?? "").mode & 0o7777).toBe(0o444);
    expect([readdirSync(join(root, "ingest")), store.usage().ingests]).toEqual([[], 0]);
  });

  test("is not needed again for a key whose bytes are here, until they are collected", () => {
    using temporary = temporaryStore();
    const { store, lease } = temporary;
    {
      using ingest = claim(store, lease);
      ingest.commit(write(ingest));
    }
    {
      using another = store.leases.acquire({ purpose: "another pull" });
      const again = store.blobs.ingestUnnamed({ key: "a key", lease: another });
      expect(again).toMatchObject({ state: "present", blob: { digest: DIGEST } });
      lease.release();
      store.collect();
      expect(store.blobs.get(DIGEST)).toBeDefined();
    }
    store.collect();
    expect(store.blobs.get(DIGEST)).toBeUndefined();
    using last = store.leases.acquire({ purpose: "a later pull" });
    using ingest = claim(store, last);
    expect(ingest.offset).toBe(0);
  });

  test("is one flight for a key, and does not stand in the way of another", () => {
    using temporary = temporaryStore();
    const { store, lease } = temporary;
    using first = claim(store, lease);
    expect(store.blobs.ingestUnnamed({ key: "a key", lease })).toEqual({ state: "busy", owner: { pid: process.pid } });
    using second = claim(store, lease, "another key");
    expect(first.path).not.toBe(second.path);
  });

  test("keeps the bytes of one that was given up, under its key", () => {
    using temporary = temporaryStore();
    const { store, lease } = temporary;
    {
      using ingest = claim(store, lease);
      writeFileSync(ingest.path, BYTES.subarray(0, 4));
    }
    using other = claim(store, lease, "another key");
    using again = claim(store, lease);
    expect([other.offset, again.offset]).toEqual([0, 4]);
    expect(again.commit(write(again)).digest).toBe(DIGEST);
  });

  test("is held by its lease from the claim on, and its blob from the commit on", () => {
    using temporary = temporaryStore();
    const { store, lease } = temporary;
    {
      using ingest = claim(store, lease);
      writeFileSync(ingest.path, BYTES.subarray(0, 4));
    }
    expect(store.collect({ keepStaleIngestMs: 0 }).removed).toEqual([]);
    using ingest = claim(store, lease);
    ingest.commit(write(ingest));
    expect(store.collect({ keepStaleIngestMs: 0 }).removed).toEqual([]);
    lease.release();
    expect(store.collect().removed).toMatchObject([{ kind: "blob", key: DIGEST }]);
  });

  test("is swept when its lease is gone and nobody resumed it", () => {
    using temporary = temporaryStore();
    const { store, lease, root } = temporary;
    {
      using ingest = claim(store, lease);
      writeFileSync(ingest.path, BYTES);
    }
    lease.release();
    expect(store.collect({ keepStaleIngestMs: 0 }).removed).toMatchObject([
      { kind: "ingest", sizeBytes: BYTES.length },
    ]);
    expect(readdirSync(join(root, "ingest"))).toEqual([]);
  });

  test("drops its file when the blob is here already", () => {
    using temporary = temporaryStore();
    const { store, lease, root } = temporary;
    const before = store.blobs.put(BYTES, { lease });
    using ingest = claim(store, lease);
    expect(ingest.commit(write(ingest))).toEqual(before);
    expect(readdirSync(join(root, "ingest"))).toEqual([]);
    expect(store.verify({ deep: true }).problems).toEqual([]);
  });

  test("takes the place of a blob that was lost with the power", () => {
    using temporary = temporaryStore();
    const { store, lease, root } = temporary;
    const { path } = store.blobs.put(BYTES, { lease });
    forgeReboot(root);
    // of its size, so that only its bytes can tell
    chmodSync(path, 0o644);
    writeFileSync(path, "x".repeat(BYTES.length));
    using ingest = claim(store, lease);
    ingest.commit(write(ingest));
    expect(store.blobs.read(DIGEST, { maxBytes: 100 })).toEqual(BYTES);
    expect(store.verify({ deep: true }).problems).toEqual([]);
  });

  test("takes over a file that a crash left without a row", () => {
    using temporary = temporaryStore();
    const { store, lease, root } = temporary;
    store.blobs.put(BYTES, { lease });
    {
      using index = openIndex(root);
      index.run("DELETE FROM blob");
    }
    using ingest = claim(store, lease);
    expect(ingest.commit(write(ingest)).digest).toBe(DIGEST);
    expect(store.verify({ deep: true }).problems).toEqual([]);
  });

  test("commit refuses a file that is not what was verified", () => {
    using temporary = temporaryStore();
    const { store, lease } = temporary;
    using ingest = claim(store, lease);
    writeFileSync(ingest.path, "short");
    expect(codeOf(() => ingest.commit({ digest: DIGEST, size: BYTES.length }))).toBe("blob-size-mismatch");
    expect(store.blobs.get(DIGEST)).toBeUndefined();
  });

  test("commit refuses when its lease was released, and leaves no blob", () => {
    using temporary = temporaryStore();
    const { store, lease } = temporary;
    using ingest = claim(store, lease);
    const verified = write(ingest);
    lease.release();
    expect(codeOf(() => ingest.commit(verified))).toBe("lease-lost");
    expect(store.blobs.list()).toEqual([]);
  });

  test("refuses bytes beyond a size that was promised", () => {
    using temporary = temporaryStore();
    const { store, lease } = temporary;
    using ingest = claim(store, lease, "a key", 4);
    expect(codeOf(() => write(ingest))).toBe("blob-size-mismatch");
  });

  test("is brought in again for a key that was forgotten", () => {
    using temporary = temporaryStore();
    const { store, lease } = temporary;
    {
      using ingest = claim(store, lease);
      ingest.commit(write(ingest, BYTES.subarray(0, 4)));
    }
    store.blobs.forgetUnnamed("a key");
    store.blobs.forgetUnnamed("a key");
    using ingest = claim(store, lease);
    expect(ingest.commit(write(ingest)).digest).toBe(DIGEST);
  });
});

describe("an anonymous ingest", () => {
  test("makes a blob that no later one is taken for", () => {
    using temporary = temporaryStore();
    const { store, lease, root } = temporary;
    using first = claim(store, lease, "");
    using second = claim(store, lease, "");
    expect(first.commit(write(first)).digest).toBe(DIGEST);
    using third = claim(store, lease, "");
    expect(new Set([first.path, second.path, third.path]).size).toBe(3);
    using index = openIndex(root);
    expect(index.all("SELECT * FROM download")).toEqual([]);
  });

  test("is gone when it is disposed of, with what it had", () => {
    using temporary = temporaryStore();
    const { store, lease, root } = temporary;
    {
      using ingest = claim(store, lease, "");
      writeFileSync(ingest.path, BYTES);
    }
    expect([readdirSync(join(root, "ingest")), store.usage().ingests]).toEqual([[], 0]);
  });

  test("is gone when its process is, where another would be kept", () => {
    using temporary = temporaryStore();
    const { store, lease, root } = temporary;
    for (const key of ["", "a key"]) writeFileSync(claim(store, lease, key).path, BYTES);
    {
      using index = openIndex(root);
      index.run("UPDATE session SET start_time = 'another process with this pid'");
    }
    using other = openStore({ root });
    expect([readdirSync(join(root, "ingest")).length, other.usage().ingests]).toEqual([1, 1]);
  });
});
