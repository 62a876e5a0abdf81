import {
  chmodSync,
  existsSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { digestOf, openIngestWriter, openStore } from "../../store/index.ts";
import { codeOf, forgeReboot, ingestText, openIndex, temporaryStore } from "./fixtures/temporary-store.ts";

const bytes = Buffer.from("some content");
const digest = digestOf(bytes);

describe("blobs.put", () => {
  test("stores bytes read-only under their digest", () => {
    using temporary = temporaryStore();
    const { store, lease, root } = temporary;
    const blob = store.blobs.put(bytes, { digest, lease });
    const encoded = digest.slice("sha256:".length);
    expect(blob).toMatchObject({
      digest,
      size: bytes.length,
      path: join(root, "blobs/sha256", encoded.slice(0, 2), encoded),
    });
    expect(readFileSync(blob.path)).toEqual(bytes);
    expect(statSync(blob.path).mode & 0o7777).toBe(0o444);
    expect(store.blobs.get(digest)).toEqual(blob);
    expect(readdirSync(join(root, "ingest"))).toEqual([]);
  });

  test("keeps sha512 digests as they are", () => {
    using temporary = temporaryStore();
    const sha512 = digestOf(bytes, "sha512");
    const blob = temporary.store.blobs.put(bytes, { digest: sha512, lease: temporary.lease });
    expect(blob.path).toContain("/blobs/sha512/");
    expect(temporary.store.blobs.read(sha512, { maxBytes: 100 })).toEqual(bytes);
  });

  test("is the same blob the second time", () => {
    using temporary = temporaryStore();
    const first = temporary.store.blobs.put(bytes, { lease: temporary.lease });
    expect(temporary.store.blobs.put(bytes, { lease: temporary.lease })).toEqual(first);
  });

  test("refuses bytes of another digest", () => {
    using temporary = temporaryStore();
    const { store, lease } = temporary;
    expect(codeOf(() => store.blobs.put(Buffer.from("other"), { digest, lease }))).toBe("blob-digest-mismatch");
    expect(store.blobs.get(digest)).toBeUndefined();
  });

  test("needs a lease that is held", () => {
    using temporary = temporaryStore();
    temporary.lease.release();
    expect(codeOf(() => temporary.store.blobs.put(bytes, { lease: temporary.lease }))).toBe("lease-lost");
  });
});

describe("blobs.read", () => {
  test("refuses a blob that is bigger than allowed", () => {
    using temporary = temporaryStore();
    temporary.store.blobs.put(bytes, { lease: temporary.lease });
    expect(codeOf(() => temporary.store.blobs.read(digest, { maxBytes: bytes.length - 1 }))).toBe("blob-too-large");
    expect(temporary.store.blobs.read(digest, { maxBytes: bytes.length })).toEqual(bytes);
  });

  test("says that a blob is missing", () => {
    using temporary = temporaryStore();
    expect(codeOf(() => temporary.store.blobs.read(digest, { maxBytes: 1 }))).toBe("blob-missing");
  });

  test("drops a blob whose bytes changed, so that it can be fetched again", () => {
    using temporary = temporaryStore();
    const { store, lease } = temporary;
    const { path } = store.blobs.put(bytes, { lease });
    chmodSync(path, 0o644);
    writeFileSync(path, Buffer.from(bytes).reverse());
    expect(codeOf(() => store.blobs.read(digest, { maxBytes: 100 }))).toBe("blob-digest-mismatch");
    expect(existsSync(path)).toBe(false);
    store.blobs.put(bytes, { lease });
    expect(store.blobs.read(digest, { maxBytes: 100 })).toEqual(bytes);
  });
});

describe("blobs.get", () => {
  test("drops a blob whose file is gone", () => {
    using temporary = temporaryStore();
    const { store, lease } = temporary;
    unlinkSync(store.blobs.put(bytes, { lease }).path);
    expect(store.blobs.get(digest)).toBeUndefined();
    expect(store.usage().blobs).toBe(0);
  });

  test("drops a blob whose file was cut", () => {
    using temporary = temporaryStore();
    const { store, lease } = temporary;
    const { path } = store.blobs.put(bytes, { lease });
    chmodSync(path, 0o644);
    truncateSync(path, 3);
    expect(store.blobs.get(digest)).toBeUndefined();
  });

  test("hashes again what an earlier boot left unflushed, once", () => {
    using temporary = temporaryStore();
    const { store, lease, root } = temporary;
    const blob = store.blobs.put(bytes, { lease });
    forgeReboot(root);
    expect(store.blobs.get(digest)).toEqual(blob);
    using index = openIndex(root);
    expect(index.get("SELECT 1 FROM blob WHERE boot_id = 'earlier'")).toBeUndefined();
  });

  test("drops what an earlier boot left unflushed and wrong, even of the right size", () => {
    using temporary = temporaryStore();
    const { store, lease, root } = temporary;
    const { path } = store.blobs.put(bytes, { lease });
    chmodSync(path, 0o644);
    writeFileSync(path, Buffer.alloc(bytes.length));
    expect(store.blobs.get(digest)).toBeDefined();
    forgeReboot(root);
    expect(store.blobs.get(digest)).toBeUndefined();
    expect(existsSync(path)).toBe(false);
  });
});

describe("durability", () => {
  test("closing flushes with one call, and what was flushed is trusted after a reboot", () => {
    using temporary = temporaryStore();
    const synced: string[] = [];
    {
      using store = openStore({ root: temporary.root, sync: (path) => void synced.push(path) });
      using lease = store.leases.acquire({ purpose: "test" });
      store.blobs.put(bytes, { lease });
      expect(store.usage().unsynced).toBe(1);
    }
    expect(synced).toEqual([temporary.store.root]);
    expect(temporary.store.usage().unsynced).toBe(0);
    expect(temporary.store.blobs.get(digest)?.synced).toBe(true);
  });

  test("closing leaves the flush to the next process of this boot when told so", () => {
    using temporary = temporaryStore();
    {
      using store = openStore({ root: temporary.root, syncOnClose: false });
      using lease = store.leases.acquire({ purpose: "test" });
      store.blobs.put(bytes, { lease });
    }
    expect(temporary.store.usage().unsynced).toBe(1);
    temporary.store.flush();
    expect(temporary.store.usage().unsynced).toBe(0);
  });

  test("a failing flush leaves blobs marked as unflushed, and closing still succeeds", () => {
    using temporary = temporaryStore();
    const sync = () => {
      throw new Error("the disk is on fire");
    };
    {
      using store = openStore({ root: temporary.root, sync });
      store.blobs.put(bytes, { lease: store.leases.acquire({ purpose: "test" }) });
    }
    expect(temporary.store.usage().unsynced).toBe(1);
  });

  test("full durability has flushed before it commits", () => {
    using temporary = temporaryStore({ durability: "full" });
    const { store, lease } = temporary;
    expect(store.blobs.put(bytes, { lease }).synced).toBe(true);
    ingestText(store, lease, "another");
    expect(store.usage().unsynced).toBe(0);
  });
});

describe("blobs.addEdges", () => {
  test("records children once", () => {
    using temporary = temporaryStore();
    const { store, lease } = temporary;
    const { digest: parent } = store.blobs.put(bytes, { lease });
    const children = [digestOf("a"), digestOf("b")].sort();
    store.blobs.addEdges(parent, children);
    store.blobs.addEdges(parent, children);
    expect(store.blobs.children(parent)).toEqual(children);
  });

  test("needs the parent to be stored", () => {
    using temporary = temporaryStore();
    expect(codeOf(() => temporary.store.blobs.addEdges(digest, []))).toBe("blob-missing");
  });
});

describe("blobs.ingest", () => {
  test("brings a blob in through a writer", () => {
    using temporary = temporaryStore();
    const { store, lease, root } = temporary;
    ingestText(store, lease, "some content");
    expect(store.blobs.read(digest, { maxBytes: 100 })).toEqual(bytes);
    expect(statSync(store.blobs.get(digest)?.path ?? "").mode & 0o7777).toBe(0o444);
    expect(readdirSync(join(root, "ingest"))).toEqual([]);
    expect(store.blobs.ingest({ digest, lease })).toMatchObject({ state: "present", blob: { digest } });
  });

  test("is busy for everybody else, in this process too", () => {
    using temporary = temporaryStore();
    const { store, lease } = temporary;
    const claim = store.blobs.ingest({ digest, lease });
    expect(claim.state).toBe("claimed");
    expect(store.blobs.ingest({ digest, lease })).toEqual({ state: "busy", owner: { pid: process.pid } });
  });

  test("keeps the bytes of an ingest that was given up", () => {
    using temporary = temporaryStore();
    const { store, lease } = temporary;
    {
      const claim = store.blobs.ingest({ digest, size: bytes.length, lease });
      if (claim.state !== "claimed") throw new Error(claim.state);
      using ingest = claim.ingest;
      using writer = openIngestWriter(ingest.path, { digest, size: bytes.length, offset: 0 });
      writer.write(bytes.subarray(0, 4));
    }
    const again = store.blobs.ingest({ digest, size: bytes.length, lease });
    expect(again).toMatchObject({ state: "claimed", ingest: { offset: 4 } });
  });

  test("starts again when more bytes are there than the whole has", () => {
    using temporary = temporaryStore();
    const { store, lease } = temporary;
    const claim = store.blobs.ingest({ digest, lease });
    if (claim.state !== "claimed") throw new Error(claim.state);
    writeFileSync(claim.ingest.path, Buffer.alloc(100));
    claim.ingest[Symbol.dispose]();
    expect(store.blobs.ingest({ digest, size: bytes.length, lease })).toMatchObject({ ingest: { offset: 0 } });
  });

  test("discard removes the bytes and the claim", () => {
    using temporary = temporaryStore();
    const { store, lease, root } = temporary;
    const claim = store.blobs.ingest({ digest, lease });
    if (claim.state !== "claimed") throw new Error(claim.state);
    writeFileSync(claim.ingest.path, "x");
    claim.ingest.discard();
    expect(readdirSync(join(root, "ingest"))).toEqual([]);
    expect(store.usage().ingests).toBe(0);
  });

  test("commit refuses a file that is not what was verified", () => {
    using temporary = temporaryStore();
    const { store, lease } = temporary;
    const claim = store.blobs.ingest({ digest, size: bytes.length, lease });
    if (claim.state !== "claimed") throw new Error(claim.state);
    using ingest = claim.ingest;
    writeFileSync(ingest.path, "short");
    expect(codeOf(() => ingest.commit({ digest, size: bytes.length }))).toBe("blob-size-mismatch");
    expect(codeOf(() => ingest.commit({ digest: digestOf("other"), size: 5 }))).toBe("blob-digest-mismatch");
    expect(store.blobs.get(digest)).toBeUndefined();
  });

  test("commit refuses a claim that another took over", () => {
    using temporary = temporaryStore();
    const { store, lease, root } = temporary;
    const claim = store.blobs.ingest({ digest, lease });
    if (claim.state !== "claimed") throw new Error(claim.state);
    using ingest = claim.ingest;
    writeFileSync(ingest.path, bytes);
    using index = openIndex(root);
    index.run("UPDATE ingest SET session_id = NULL");
    expect(codeOf(() => ingest.commit({ digest, size: bytes.length }))).toBe("lease-lost");
  });

  test("adopts a file that a crash left without its row, after hashing it", () => {
    using temporary = temporaryStore();
    const { store, lease, root } = temporary;
    const { path } = store.blobs.put(bytes, { lease });
    using index = openIndex(root);
    index.run("DELETE FROM blob");
    expect(store.blobs.ingest({ digest, lease })).toMatchObject({ state: "present", blob: { path } });
  });

  test("replaces a file that a crash left without its row and wrong", () => {
    using temporary = temporaryStore();
    const { store, lease, root } = temporary;
    const { path } = store.blobs.put(bytes, { lease });
    chmodSync(path, 0o644);
    writeFileSync(path, "damaged");
    using index = openIndex(root);
    index.run("DELETE FROM blob");
    ingestText(store, lease, "some content");
    expect(readFileSync(path)).toEqual(bytes);
  });
});
