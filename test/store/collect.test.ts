import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { digestOf, openStore } from "../../store/index.ts";
import { ingestText, makeImage, makeLayer, openIndex, temporaryStore } from "./fixtures/temporary-store.ts";

const names = (removed: readonly { kind: string; key: string }[]) =>
  removed.map(({ kind, key }) => `${kind} ${key}`).sort();

describe("collect keeps", () => {
  test("an image's manifest, configuration, layer blobs and layers", () => {
    using temporary = temporaryStore();
    const { store, lease } = temporary;
    makeImage(store, lease, "app", ["base", "top"]);
    lease.release();
    expect(store.collect()).toEqual({
      dryRun: false,
      removed: [],
      freedBytes: 0,
      kept: { blobs: 4, layers: 2, ingests: 0 },
    });
  });

  test("what a kept manifest names only by its edges, however deep", () => {
    using temporary = temporaryStore();
    const { store, lease } = temporary;
    const { manifestDigest } = makeImage(store, lease, "app", []);
    const put = (text: string) => store.blobs.put(Buffer.from(text), { lease }).digest;
    const [middle, leaf] = [put("middle"), put("leaf")];
    store.blobs.addEdges(manifestDigest, [middle]);
    store.blobs.addEdges(middle, [leaf, manifestDigest]); // a circle, too
    lease.release();
    expect(store.collect().removed).toEqual([]);
    store.images.remove("app");
    expect(store.collect().removed).toHaveLength(4);
  });

  test("what another image shares", () => {
    using temporary = temporaryStore();
    const { store, lease } = temporary;
    const { image, layers } = makeImage(store, lease, "one", ["base"]);
    const { configDigest, mediaType, platform } = image;
    const manifestDigest = store.blobs.put(Buffer.from("another"), { lease }).digest;
    store.images.set({ name: "two", platform, manifestDigest, configDigest, mediaType, layers, lease });
    lease.release();
    store.images.remove("one");
    expect(names(store.collect().removed)).toEqual([`blob ${image.manifestDigest}`]);
  });

  test("what a lease holds, though it came later", () => {
    using temporary = temporaryStore();
    const { store, lease } = temporary;
    using holder = store.leases.acquire({ purpose: "holder" });
    holder.hold("blob", digestOf("content"));
    holder.hold("layer", digestOf("base"));
    ingestText(store, lease, "content");
    makeLayer(store, lease, "base");
    lease.release();
    expect(store.collect().removed).toEqual([]);
    holder.release();
    expect(store.collect().removed).toHaveLength(2);
  });

  test("what a held manifest names", () => {
    using temporary = temporaryStore();
    const { store, lease } = temporary;
    const { manifestDigest, configDigest } = makeImage(store, lease, "app", []);
    lease.release();
    using holder = store.leases.acquire({ purpose: "holder" });
    holder.hold("blob", manifestDigest);
    store.images.remove("app");
    expect(store.collect().removed).toEqual([]);
    expect(store.blobs.get(configDigest)).toBeDefined();
  });

  test("the layers of a rootfs, and its fix-up", () => {
    using temporary = temporaryStore();
    const { store, lease } = temporary;
    const { key } = makeLayer(store, lease, "base");
    const fixup = makeLayer(store, lease, "chain", "fixup");
    store.rootfs.create({ id: "a", imageDigest: key, backend: "copy", readOnly: false, layers: [key, fixup.key] });
    lease.release();
    expect(store.collect().removed).toEqual([]);
    store.rootfs.destroying("a");
    store.rootfs.removed("a");
    expect(names(store.collect().removed)).toEqual([`fixup ${fixup.key}`, `layer ${key}`].sort());
  });

  test("the fix-up of an image that says its ChainID, not a layer of that key", () => {
    using temporary = temporaryStore();
    const { store, lease } = temporary;
    const { image } = makeImage(store, lease, "app", []);
    const { key: chainId } = makeLayer(store, lease, "chain", "fixup");
    makeLayer(store, lease, "chain");
    const { name, platform, manifestDigest, configDigest, mediaType } = image;
    store.images.set({ name, platform, manifestDigest, configDigest, mediaType, chainId, layers: [], lease });
    lease.release();
    expect(names(store.collect().removed)).toEqual([`layer ${chainId}`]);
  });

  test("an abandoned download that is young, or held", () => {
    using temporary = temporaryStore();
    const { store, lease } = temporary;
    const digest = digestOf("content");
    const abandon = () => {
      const claim = store.blobs.ingest({ digest, lease });
      if (claim.state !== "claimed") throw new Error(claim.state);
      writeFileSync(claim.ingest.path, "cont");
      claim.ingest[Symbol.dispose]();
    };
    abandon();
    expect(store.collect({ keepStaleIngestMs: 0 }).removed).toEqual([]);
    lease.release();
    expect(store.collect().removed).toEqual([]);
    expect(store.collect({ keepStaleIngestMs: 0 }).removed).toMatchObject([
      { kind: "ingest", key: digest, sizeBytes: 4 },
    ]);
    expect(readdirSync(store.paths.ingest)).toEqual([]);
  });
});

describe("collect", () => {
  test("removes names, then the rest, and says what it freed", () => {
    using temporary = temporaryStore();
    const { store, lease, root } = temporary;
    const { layers, manifestDigest, configDigest } = makeImage(store, lease, "app", ["base"]);
    lease.release();
    store.images.remove("app");
    const bytes = store.usage().blobBytes + store.usage().layerBytes;
    const report = store.collect();
    const expected = [
      `blob ${configDigest}`,
      `blob ${manifestDigest}`,
      ...layers.flatMap(({ blob, diffId }) => [`blob ${blob}`, `layer ${diffId}`]),
    ];
    expect(names(report.removed)).toEqual(expected.sort());
    expect(report.freedBytes).toBe(bytes);
    expect(report.kept).toEqual({ blobs: 0, layers: 0, ingests: 0 });
    expect(readdirSync(join(root, "layers"))).toEqual([]);
    expect(readdirSync(join(root, "staging"))).toEqual([]);
    expect(store.verify({ deep: true }).problems).toEqual([]);
  });

  test("only tells what it would do in a dry run", () => {
    using temporary = temporaryStore();
    const { store, lease } = temporary;
    const digest = ingestText(store, lease, "content");
    makeLayer(store, lease, "base");
    lease.release();
    const dry = store.collect({ dryRun: true });
    expect(dry).toMatchObject({ dryRun: true, kept: { blobs: 0, layers: 0, ingests: 0 } });
    expect(store.blobs.get(digest)).toBeDefined();
    expect(names(store.collect().removed)).toEqual(names(dry.removed));
  });

  test("sweeps names without rows, and only those that have the form of ours", () => {
    using temporary = temporaryStore();
    const { store, lease, root } = temporary;
    const digest = ingestText(store, lease, "content");
    const blob = store.blobs.get(digest)?.path ?? "";
    const layer = makeLayer(store, lease, "base");
    const stranger = join(root, "blobs/sha256/readme");
    mkdirSync(stranger);
    writeFileSync(join(stranger, "README"), "not ours");
    using index = openIndex(root);
    index.exec("DELETE FROM blob; DELETE FROM layer");
    expect(store.verify().problems.map(({ kind }) => kind)).toEqual(["orphan", "orphan"]);
    expect(names(store.collect().removed)).toHaveLength(2);
    expect([blob, layer.path, join(stranger, "README")].map((path) => existsSync(path))).toEqual([false, false, true]);
  });

  test("can be followed by fetching the same again", () => {
    using temporary = temporaryStore();
    const { store, lease } = temporary;
    ingestText(store, lease, "content");
    lease.release();
    store.collect();
    using again = store.leases.acquire({ purpose: "again" });
    expect(store.blobs.read(ingestText(store, again, "content"), { maxBytes: 10 }).toString()).toBe("content");
  });
});

describe("heal", () => {
  test("removes staging directories and ingest files that nobody claims, and knows when there are none", () => {
    using temporary = temporaryStore();
    const { store, root } = temporary;
    mkdirSync(join(root, "staging/leftover/fs"), { recursive: true });
    mkdirSync(join(root, "staging/trash-999999-abc"));
    writeFileSync(join(root, "ingest/put-leftover"), "x");
    using again = openStore({ root });
    expect(readdirSync(join(root, "staging"))).toEqual([]);
    expect(readdirSync(join(root, "ingest"))).toEqual([]);
    expect(again.heal()).toEqual({ deadOwners: 0, removedPaths: [] });
    mkdirSync(join(root, "staging/another"));
    expect(store.heal()).toEqual({ deadOwners: 0, removedPaths: ["staging/another"] });
  });

  test("leaves alone trees that a live process is removing", () => {
    using temporary = temporaryStore();
    const { store, root } = temporary;
    using index = openIndex(root);
    const session = index.get<{ id: number }>("SELECT id FROM session")?.id;
    mkdirSync(join(root, `staging/trash-${session}-abc`));
    expect(store.heal().removedPaths).toEqual([]);
  });
});
