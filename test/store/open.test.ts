import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { openStore, StoreError } from "../../store/index.ts";
import { startChild } from "./fixtures/child-store.ts";
import { codeOf, makeImage, openIndex, temporaryRoot, temporaryStore } from "./fixtures/temporary-store.ts";

const notRoot = process.getuid?.() !== 0;

describe("openStore", () => {
  test("makes a missing directory and its parents a store that only its owner can enter", () => {
    using directory = temporaryRoot();
    const root = join(directory.path, "a/b/store");
    using store = openStore({ root });
    expect(statSync(root).mode & 0o777).toBe(0o700);
    expect(readFileSync(join(root, "CACHEDIR.TAG"), "utf8")).toMatch(/^Signature: 8a477f597d28d172789f06886806bc55\n/);
    expect(readFileSync(join(root, "VERSION"), "utf8")).toBe("1\n");
    expect(store.usage()).toMatchObject({ blobs: 0, layers: 0, images: 0, rootfs: 0, leases: 0, unsynced: 0 });
  });

  test("sets every database setting", () => {
    using temporary = temporaryStore({ durability: "full" });
    using index = openIndex(temporary.root);
    expect(index.pragma("journal_mode")).toBe("wal");
    expect(index.pragma("foreign_keys")).toBe(1);
    expect(index.pragma("busy_timeout")).toBe(5000);
    expect(index.pragma("synchronous")).toBe(1);
    expect(index.pragma("user_version")).toBe(2);
  });

  test("closes an empty directory to others when it becomes a store", () => {
    using directory = temporaryRoot();
    chmodSync(directory.path, 0o755);
    using _store = openStore({ root: directory.path });
    expect(statSync(directory.path).mode & 0o777).toBe(0o700);
  });

  test("knows a store by its real path", () => {
    using directory = temporaryRoot();
    mkdirSync(join(directory.path, "real"));
    symlinkSync("real", join(directory.path, "link"));
    using store = openStore({ root: join(directory.path, "link") });
    expect(store.root.endsWith("/real")).toBe(true);
  });

  test("makes nothing when it may not create", () => {
    using directory = temporaryRoot();
    const root = join(directory.path, "missing");
    expect(codeOf(() => openStore({ root, create: false }))).toBe("store-not-a-store");
    expect(codeOf(() => openStore({ root: directory.path, create: false }))).toBe("store-not-a-store");
    expect(existsSync(root)).toBe(false);
    expect(existsSync(join(directory.path, "index.db"))).toBe(false);
  });

  test("refuses a directory that holds other things, and leaves it as it was", () => {
    using directory = temporaryRoot();
    writeFileSync(join(directory.path, "thesis.tex"), "");
    chmodSync(directory.path, 0o755);
    expect(codeOf(() => openStore({ root: directory.path }))).toBe("store-not-a-store");
    expect(existsSync(join(directory.path, "blobs"))).toBe(false);
    expect(statSync(directory.path).mode & 0o777).toBe(0o755);
  });

  test("refuses a file", () => {
    using directory = temporaryRoot();
    const root = join(directory.path, "file");
    writeFileSync(root, "");
    expect(codeOf(() => openStore({ root }))).toBe("store-not-a-store");
  });

  test("says what to do about an index that is no database", () => {
    using directory = temporaryRoot();
    writeFileSync(join(directory.path, "index.db"), "this is not a database, whatever its name".repeat(100));
    const open = () => openStore({ root: directory.path });
    expect(codeOf(open)).toBe("database-not-a-database");
    expect(open).toThrow(`Cannot use the index ${directory.path}/index.db`);
  });

  test("says that an index is damaged", () => {
    using directory = temporaryRoot();
    openStore({ root: directory.path })[Symbol.dispose]();
    const file = join(directory.path, "index.db");
    const bytes = readFileSync(file);
    writeFileSync(file, bytes.fill(0x5a, 100));
    expect(codeOf(() => openStore({ root: directory.path }))).toBe("database-corrupt");
  });

  test("refuses the database of another program", () => {
    using directory = temporaryRoot();
    {
      using index = openIndex(directory.path);
      index.exec("CREATE TABLE recipe (name TEXT)");
    }
    expect(codeOf(() => openStore({ root: directory.path }))).toBe("store-not-a-store");
  });

  test.each([
    ["directory", (root: string) => writeFileSync(join(root, "VERSION"), "2\n")],
    [
      "index",
      (root: string) => {
        using index = openIndex(root);
        index.pragma("user_version = 99");
      },
    ],
  ])("refuses a store whose %s was made by a newer version", (_, forge) => {
    using directory = temporaryRoot();
    openStore({ root: directory.path })[Symbol.dispose]();
    forge(directory.path);
    expect(codeOf(() => openStore({ root: directory.path }))).toBe("store-newer");
  });

  test("brings an index of version 1 up to date with what is in it", () => {
    using temporary = temporaryStore();
    const { image } = makeImage(temporary.store, temporary.lease, "app", ["base"]);
    temporary.store[Symbol.dispose]();
    {
      using index = openIndex(temporary.root);
      for (const table of ["download", "image_alias", "image_asked", "image_part"]) index.exec(`DROP TABLE ${table}`);
      index.exec("DROP INDEX image_image_id; ALTER TABLE ingest DROP COLUMN anonymous");
      index.exec("ALTER TABLE image DROP COLUMN image_id; ALTER TABLE image DROP COLUMN updated_at");
      index.pragma("user_version = 1");
    }
    using store = openStore({ root: temporary.root });
    expect(store.images.get("app")).toEqual(image);
  });

  test("waits for another writer only as long as it was told", () => {
    using temporary = temporaryStore();
    using index = openIndex(temporary.root);
    using impatient = openStore({ root: temporary.root, busyTimeoutMs: 10 });
    index.exec("BEGIN IMMEDIATE");
    expect(codeOf(() => impatient.leases.acquire({ purpose: "test" }))).toBe("store-busy");
    index.exec("ROLLBACK");
    expect(codeOf(() => impatient.leases.acquire({ purpose: "test" }))).toBeUndefined();
  });

  test("is done by eight processes at once to a directory that was not there", async () => {
    using directory = temporaryRoot();
    const root = join(directory.path, "store");
    await using stack = new AsyncDisposableStack();
    const children = await Promise.all(Array.from({ length: 8 }, async () => stack.use(await startChild())));
    const results = await Promise.all(children.map((child) => child.call("open", { root })));
    expect(results).toHaveLength(8);
    const digests = await Promise.all(children.map((child) => child.call("put", { text: "the same" })));
    expect(new Set(digests.map(({ digest }) => digest)).size).toBe(1);
    using store = openStore({ root });
    expect(store.usage()).toMatchObject({ blobs: 1, leases: 8 });
    expect(store.verify({ deep: true }).problems).toEqual([]);
  });

  test("closing twice, and using what was claimed after closing, does no harm", () => {
    using temporary = temporaryStore();
    const lease = temporary.store.leases.acquire({ purpose: "test" });
    temporary.store[Symbol.dispose]();
    lease.release();
    temporary.store[Symbol.dispose]();
  });
});

describe.skipIf(notRoot)("openStore as an ordinary user (needs root to become one)", () => {
  test("says that the directory cannot be written", async () => {
    using directory = temporaryRoot();
    chmodSync(directory.path, 0o755);
    await using child = await startChild({ uid: 65_534 });
    await expect(child.call("open", { root: join(directory.path, "store") })).rejects.toMatchObject({
      code: "store-not-writable",
      message: expect.stringContaining(directory.path),
      hint: expect.stringContaining("--root"),
    });
  });

  test("says that another user's store cannot be written", async () => {
    using directory = temporaryRoot();
    chmodSync(directory.path, 0o755);
    openStore({ root: join(directory.path, "store") })[Symbol.dispose]();
    await using child = await startChild({ uid: 65_534 });
    await expect(child.call("open", { root: join(directory.path, "store") })).rejects.toMatchObject({
      code: "store-not-writable",
    });
  });

  test("works in a directory of the user's own", async () => {
    using directory = temporaryRoot();
    chownSync(directory.path, 65_534, 65_534);
    await using child = await startChild({ uid: 65_534 });
    await child.call("open", { root: directory.path });
    expect(await child.call("put", { text: "mine" })).toMatchObject({ digest: expect.stringMatching(/^sha256:/) });
  });
});

test("StoreError tells code, facts and hint", () => {
  const error = new StoreError("disk-full", "Cannot write", { details: { freeBytes: 0 }, hint: "free space" });
  expect(error).toMatchObject({ name: "StoreError", code: "disk-full", details: { freeBytes: 0 }, hint: "free space" });
});
