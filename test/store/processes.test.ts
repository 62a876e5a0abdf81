import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { digestOf, openIngestWriter, openStore } from "../../store/index.ts";
import { type ChildStore, startChild } from "./fixtures/child-store.ts";
import { openIndex, temporaryStore } from "./fixtures/temporary-store.ts";

const text = "some content";
const digest = digestOf(text);
const size = text.length;

async function openChild(root: string): Promise<ChildStore> {
  const child = await startChild();
  await child.call("open", { root });
  return child;
}

describe("two processes on one store", () => {
  test("bring a blob in once: one claims, the other is told who, and then has it", async () => {
    using temporary = temporaryStore();
    await using first = await openChild(temporary.root);
    await using second = await openChild(temporary.root);
    expect(await first.call("ingest", { digest, size })).toMatchObject({ state: "claimed", offset: 0 });
    expect(await second.call("ingest", { digest, size })).toEqual({ state: "busy", owner: { pid: first.pid } });
    await first.call("write", { text });
    expect(await first.call("commit")).toEqual({ size });
    expect(await second.call("ingest", { digest, size })).toMatchObject({ state: "present" });
  });

  test("go on with the bytes of one that was killed", async () => {
    using temporary = temporaryStore();
    const { store, lease, root } = temporary;
    await using child = await openChild(root);
    await child.call("ingest", { digest, size });
    await child.call("write", { text: text.slice(0, 5) });
    await child.kill();
    const claim = store.blobs.ingest({ digest, size, lease });
    if (claim.state !== "claimed") throw new Error(claim.state);
    using ingest = claim.ingest;
    expect(ingest.offset).toBe(5);
    using writer = openIngestWriter(ingest.path, { digest, size, offset: 5 });
    writer.write(Buffer.from(text.slice(5)));
    expect(ingest.commit(writer.finish())).toMatchObject({ digest, size });
  });

  test("make a layer once", async () => {
    using temporary = temporaryStore();
    await using first = await openChild(temporary.root);
    await using second = await openChild(temporary.root);
    expect(await first.call("stage", { key: digest })).toMatchObject({ state: "claimed" });
    expect(await second.call("stage", { key: digest })).toMatchObject({ state: "busy" });
    await first.call("commitLayer");
    expect(await second.call("stage", { key: digest })).toMatchObject({ state: "present" });
  });

  test("take over the layer of one that was killed, and its staging directory goes", async () => {
    using temporary = temporaryStore();
    const { root } = temporary;
    await using first = await openChild(root);
    const { path } = await first.call("stage", { key: digest });
    expect(existsSync(path)).toBe(true);
    await first.kill();
    await using second = await openChild(root);
    expect(existsSync(path)).toBe(false);
    expect(await second.call("stage", { key: digest })).toMatchObject({ state: "claimed" });
  });

  test("leave alone what a live one has in progress", async () => {
    using temporary = temporaryStore();
    const { store, root } = temporary;
    await using child = await openChild(root);
    await child.call("stage", { key: digest });
    await child.call("ingest", { digest, size });
    await child.call("write", { text: text.slice(0, 5) });
    expect(store.heal()).toEqual({ deadOwners: 0, removedPaths: [] });
    expect(store.collect({ keepStaleIngestMs: 0 }).removed).toEqual([]);
    await child.call("write", { text: text.slice(5) });
    await child.call("commit");
    await child.call("commitLayer");
    expect(store.layers.get(digest)).toBeDefined();
  });

  test("lose the leases of one that was killed", async () => {
    using temporary = temporaryStore();
    const { store, root } = temporary;
    await using child = await openChild(root);
    await child.call("put", { text });
    expect(store.collect().removed).toEqual([]);
    expect(store.leases.list().map(({ owner }) => owner.pid)).toContain(child.pid);
    await child.kill();
    expect(store.collect().removed).toMatchObject([{ kind: "blob", key: digest }]);
  });

  test("find the rootfs that one was making when it was killed", async () => {
    using temporary = temporaryStore();
    const { store, root } = temporary;
    await using child = await openChild(root);
    await child.call("createRootfs", { id: "half", imageDigest: digest });
    expect(store.rootfs.abandoned()).toEqual([]);
    expect(store.rootfs.get("half")).toMatchObject({ state: "preparing", owner: { pid: child.pid } });
    expect(() => store.rootfs.destroying("half")).toThrow(expect.objectContaining({ code: "rootfs-busy" }));
    await child.kill();
    expect(store.rootfs.abandoned()).toMatchObject([{ id: "half", owner: undefined }]);
    store.rootfs.destroying("half");
    store.rootfs.removed("half");
    expect(readdirSync(join(root, "rootfs"))).toEqual([]);
  });

  test("give up their claims when they close, though they live on", async () => {
    using temporary = temporaryStore();
    const { store, lease, root } = temporary;
    await using child = await openChild(root);
    await child.call("ingest", { digest, size });
    await child.call("write", { text: text.slice(0, 5) });
    await child.call("close");
    expect(store.blobs.ingest({ digest, size, lease })).toMatchObject({ state: "claimed", ingest: { offset: 5 } });
  });

  test("put, hold and collect side by side without a loss", async () => {
    using temporary = temporaryStore();
    const { root } = temporary;
    await using stack = new AsyncDisposableStack();
    const children = await Promise.all(Array.from({ length: 3 }, async () => stack.use(await openChild(root))));
    const [collector, ...putters] = children;
    const texts = Array.from({ length: 20 }, (_, index) => `blob ${index}`);
    const puts = putters.map(async (child) => {
      for (const each of texts) await child.call("put", { text: each });
    });
    const collects = (async () => {
      for (const _ of texts) await collector?.call("collect");
    })();
    await Promise.all([...puts, collects]);
    using store = openStore({ root });
    for (const each of texts) expect(store.blobs.get(digestOf(each)), each).toBeDefined();
    expect(store.verify({ deep: true }).problems).toEqual([]);
  });
});

describe("a dead owner", () => {
  test.each([
    ["another boot", "boot_id = 'earlier'"],
    ["another start time, the pid having been given to somebody else", "start_time = '1'"],
    ["a pid that nobody has", "pid = 99999999"],
  ])("is told by %s", (_, forgery) => {
    using temporary = temporaryStore();
    const { store, root } = temporary;
    using other = openStore({ root });
    const claim = other.blobs.ingest({ digest, lease: other.leases.acquire({ purpose: "test" }) });
    expect(claim.state).toBe("claimed");
    using index = openIndex(root);
    index.exec(`UPDATE session SET ${forgery} WHERE id = (SELECT max(id) FROM session)`);
    expect(store.heal().deadOwners).toBe(1);
    expect(store.blobs.ingest({ digest, lease: temporary.lease }).state).toBe("claimed");
  });

  test("is not assumed of a process in another pid namespace", () => {
    using temporary = temporaryStore();
    using index = openIndex(temporary.root);
    index.exec("UPDATE session SET pid = 99999999, pid_namespace = 'pid:[1]'");
    expect(temporary.store.heal().deadOwners).toBe(0);
  });
});
