import { spawnSync } from "node:child_process";
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { digestOf, openIngestWriter, openStore } from "../../store/index.ts";
import { codeOf, ingestText, makeImage, temporaryRoot } from "./fixtures/temporary-store.ts";

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
});
