import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { digestOf, openIngestWriter, openStore } from "../../store/index.ts";
import { startChild } from "./fixtures/child-store.ts";
import { codeOf, ingestText, makeImage, openIndex, temporaryRoot } from "./fixtures/temporary-store.ts";

/** A store alone on a file system of 2 MiB, and a file that takes what is left of it. */
function smallStore() {
  using stack = new DisposableStack();
  const directory = stack.use(temporaryRoot());
  expect(spawnSync("mount", ["-t", "tmpfs", "-o", "size=2m", "none", directory.path]).status).toBe(0);
  stack.defer(() => void spawnSync("umount", ["--lazy", directory.path]));
  const root = join(directory.path, "store");
  const store = stack.use(openStore({ root }));
  const filler = join(directory.path, "filler");
  const fill = () => {
    expect(codeOf(() => writeFileSync(filler, Buffer.alloc(4 * 1024 * 1024)))).toBe("ENOSPC");
  };
  const makeRoom = () => rmSync(filler);
  const resources = stack.move();
  return { root, store, fill, makeRoom, [Symbol.dispose]: () => resources.dispose() };
}

describe.skipIf(process.getuid?.() !== 0)("on a full disk (needs root to mount a small one)", () => {
  test("a download says how much it needs, keeps its bytes, and goes on when there is room", () => {
    using small = smallStore();
    const { store } = small;
    using lease = store.leases.acquire({ purpose: "test" });
    const bytes = Buffer.alloc(512 * 1024, "x");
    const digest = digestOf(bytes);
    const claim = store.blobs.ingest({ digest, size: bytes.length, lease });
    if (claim.state !== "claimed") throw new Error(claim.state);
    using ingest = claim.ingest;
    small.fill();
    {
      using writer = openIngestWriter(ingest.path, { digest, size: bytes.length, offset: 0 });
      expect(() => writer.write(bytes)).toThrow(
        expect.objectContaining({
          code: "disk-full",
          details: expect.objectContaining({ neededBytes: expect.any(Number), freeBytes: expect.any(Number) }),
        }),
      );
    }
    small.makeRoom();
    ingest[Symbol.dispose]();
    const again = store.blobs.ingest({ digest, size: bytes.length, lease });
    if (again.state !== "claimed") throw new Error(again.state);
    using resumed = again.ingest;
    using writer = openIngestWriter(resumed.path, { digest, size: bytes.length, offset: resumed.offset });
    writer.write(bytes.subarray(resumed.offset));
    expect(resumed.commit(writer.finish()).size).toBe(bytes.length);
    expect(store.verify({ deep: true }).problems).toEqual([]);
  });

  test("a download that filled it can be given up, and resumed by others when there is room", () => {
    using small = smallStore();
    const { store } = small;
    using lease = store.leases.acquire({ purpose: "test" });
    {
      const claim = store.blobs.ingestUnnamed({ key: "a key", lease });
      if (claim.state !== "claimed") throw new Error(claim.state);
      using ingest = claim.ingest;
      using writer = openIngestWriter(ingest.path, { digest: undefined, offset: 0 });
      expect(codeOf(() => writer.write(Buffer.alloc(4 * 1024 * 1024, "x")))).toBe("disk-full");
    }
    const again = store.blobs.ingestUnnamed({ key: "a key", lease });
    if (again.state !== "claimed") throw new Error(again.state);
    using ingest = again.ingest;
    expect(ingest.offset).toBeGreaterThan(0);
  });

  test("putting content fails as such, and leaves the store as it was", () => {
    using small = smallStore();
    const { store } = small;
    using lease = store.leases.acquire({ purpose: "test" });
    const { image } = makeImage(store, lease, "app", ["base"]);
    small.fill();
    expect(codeOf(() => store.blobs.put(Buffer.alloc(256 * 1024), { lease }))).toBe("disk-full");
    expect(store.images.get("app")).toEqual(image);
    small.makeRoom();
    expect(store.verify({ deep: true }).problems).toEqual([]);
  });

  test("the index says so when it cannot grow", () => {
    using small = smallStore();
    const { store } = small;
    small.fill();
    const acquire = () => {
      for (let i = 0; i < 10_000; i++) store.leases.acquire({ purpose: "x".repeat(1000) });
    };
    expect(codeOf(acquire)).toBe("disk-full");
    small.makeRoom();
    expect(codeOf(() => store.leases.acquire({ purpose: "test" }))).toBeUndefined();
  });

  test("a store can still be opened, and collected to make room", () => {
    using small = smallStore();
    {
      using lease = small.store.leases.acquire({ purpose: "test" });
      ingestText(small.store, lease, "x".repeat(512 * 1024));
    }
    small.store[Symbol.dispose]();
    small.fill();
    using store = openStore({ root: small.root });
    expect(store.collect().freedBytes).toBe(512 * 1024);
    expect(existsSync(store.paths.reserve)).toBe(true);
    using lease = store.leases.acquire({ purpose: "test" });
    expect(store.blobs.put(Buffer.from("room"), { lease }).size).toBe(4);
  });

  test("a layer that filled it fails with its own error, its tree goes, and the next command works", () => {
    using small = smallStore();
    const { store, root } = small;
    expect(() => fillWithLayer(small)).toThrow(
      expect.objectContaining({
        code: "disk-full",
        details: expect.objectContaining({ neededBytes: expect.any(Number), freeBytes: expect.any(Number) }),
      }),
    );
    expect(readdirSync(store.paths.staging)).toEqual([]);
    expect(existsSync(store.paths.reserve)).toBe(true);
    using next = openStore({ root });
    expect(next.images.list()).toEqual([]);
    using lease = next.leases.acquire({ purpose: "test" });
    expect(next.layers.stage({ key: KEY, kind: "layer", lease }).state).toBe("claimed");
  });

  test("a layer is given up even when its row cannot be: nobody waits for it, and there is a reserve when there is room", () => {
    using small = smallStore();
    const { store, root } = small;
    using lease = store.leases.acquire({ purpose: "test" });
    const claim = store.layers.stage({ key: KEY, kind: "layer", lease });
    if (claim.state !== "claimed") throw new Error(claim.state);
    {
      // somebody who writes for longer than we wait
      using index = openIndex(root);
      using impatient = openStore({ root, busyTimeoutMs: 1 });
      using theirs = impatient.leases.acquire({ purpose: "test" });
      const second = impatient.layers.stage({ key: digestOf("another"), kind: "layer", lease: theirs });
      if (second.state !== "claimed") throw new Error(second.state);
      index.write(() => second.staged[Symbol.dispose]());
      expect(existsSync(second.staged.path)).toBe(false);
      expect(store.layers.stage({ key: digestOf("another"), kind: "layer", lease }).state).toBe("claimed");
    }
    rmSync(store.paths.reserve);
    small.fill();
    useUpLog(root);
    claim.staged[Symbol.dispose]();
    expect(existsSync(claim.staged.path)).toBe(false);
    small.makeRoom();
    expect(store.layers.stage({ key: KEY, kind: "layer", lease }).state).toBe("claimed");
    openStore({ root })[Symbol.dispose]();
    expect(existsSync(store.paths.reserve)).toBe(true);
  });

  test("a layer that cannot be recorded leaves no tree among the layers", () => {
    using small = smallStore();
    const { store, root } = small;
    using lease = store.leases.acquire({ purpose: "test" });
    const claim = store.layers.stage({ key: KEY, kind: "layer", lease });
    if (claim.state !== "claimed") throw new Error(claim.state);
    using staged = claim.staged;
    small.fill();
    useUpLog(root);
    expect(codeOf(() => staged.commit({ sizeBytes: 0, entryCount: 0, facts: {} }))).toBe("disk-full");
    staged[Symbol.dispose]();
    expect(readdirSync(store.paths.layers)).toEqual([]);
    expect(readdirSync(store.paths.staging)).toEqual([]);
  });

  test("what a killed process left is cleared away when the store is opened, without any reserve", async () => {
    using small = smallStore();
    const { root } = small;
    small.store[Symbol.dispose]();
    await using child = await startChild();
    await child.call("open", { root });
    const { path } = (await child.call("stage", { key: KEY })) as { path: string };
    expect(codeOf(() => writeFileSync(join(path, "fs/big"), Buffer.alloc(4 * 1024 * 1024)))).toBe("ENOSPC");
    await child.kill();
    rmSync(join(root, "reserve"), { force: true });
    small.fill();
    useUpLog(root);
    using store = openStore({ root });
    expect(readdirSync(store.paths.staging)).toEqual([]);
    expect(existsSync(store.paths.reserve)).toBe(true);
    expect(store.leases.list()).toEqual([]);
  });

  test.each([true, false])("a root filesystem that filled it can be destroyed, with a reserve (%s)", (reserve) => {
    using small = smallStore();
    const { store, root } = small;
    const rootfs = { id: "one", imageDigest: KEY, backend: "copy", readOnly: false, layers: [] };
    const { directory } = store.rootfs.create(rootfs);
    if (!reserve) rmSync(store.paths.reserve);
    expect(codeOf(() => writeFileSync(join(directory, "big"), Buffer.alloc(4 * 1024 * 1024)))).toBe("ENOSPC");
    useUpLog(root);
    expect(store.rootfs.destroying("one")?.state).toBe("destroying");
    store.rootfs.removed("one");
    expect(store.rootfs.list()).toEqual([]);
    expect(readdirSync(store.paths.rootfs)).toEqual([]);
    expect(readdirSync(store.paths.staging)).toEqual([]);
    expect(existsSync(store.paths.reserve)).toBe(reserve);
  });
});

const KEY = digestOf("a layer");

/** As a pull does: bytes into the tree until there is no more room, and everything given up on the way out. */
function fillWithLayer({ store, root }: ReturnType<typeof smallStore>): void {
  using lease = store.leases.acquire({ purpose: "test" });
  const claim = store.layers.stage({ key: KEY, kind: "layer", lease });
  if (claim.state !== "claimed") throw new Error(claim.state);
  using staged = claim.staged;
  const bytes = Buffer.alloc(4 * 1024 * 1024, "x");
  using writer = openIngestWriter(join(staged.fsPath, "big"), { digest: KEY, size: bytes.length, offset: 0 });
  try {
    writer.write(bytes);
  } finally {
    useUpLog(root);
  }
}

/** On a full disk, until no row can be written any more: the log still has room where it was used before. */
function useUpLog(root: string): void {
  using index = openIndex(root);
  const writeOnePage = () => {
    for (let i = 0; i < 10_000; i++) index.run("UPDATE session SET opened_at = opened_at + 1");
  };
  expect(codeOf(writeOnePage)).toBe("disk-full");
}
