import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { AppError } from "../../../src/errors.ts";
import type { WantedBytes, Workshop } from "../../../src/sources/source.ts";
import { digestOf, openStore, type Store } from "../../../store/index.ts";
import { openTempDir } from "../../support/temp-dir.ts";
import { openTestWorkshop } from "../../support/workshop.ts";

const CONTENT = Buffer.alloc(3 * 1024 * 1024, "rootwright ");
const DIGEST = digestOf(CONTENT);

interface Origin extends WantedBytes {
  readonly offsets: number[];
}

/** Serves CONTENT, or `bytes`, from wherever it is asked to. */
function origin(wanted: Partial<WantedBytes> = {}, bytes = CONTENT): Origin {
  const offsets: number[] = [];
  return {
    key: "http://example.com/thing etag 1",
    what: "thing",
    offsets,
    open: async (offset) => {
      offsets.push(offset);
      return { offset, body: chunks(bytes.subarray(offset)) };
    },
    ...wanted,
  };
}

async function* chunks(bytes: Buffer, end?: () => Promise<void>): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 100_000) yield bytes.subarray(at, at + 100_000);
  await end?.();
}

function leftovers(store: Store): string[] {
  return ["ingest", "staging"].flatMap((name) => readdirSync(join(store.root, name)));
}

async function killed(root: string, key: string, size: number): Promise<void> {
  const script = join(import.meta.dirname, "fixtures/keep-child.ts");
  const child: ChildProcess = spawn(process.execPath, [script, root, key, String(size)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(child.stdout as NodeJS.ReadableStream, "data");
  child.kill("SIGKILL");
  await once(child, "exit");
}

describe("keep", () => {
  test("makes a blob of bytes that nobody could name before", async () => {
    await using test = await openTestWorkshop();
    const kept = await test.workshop.keep(origin());
    expect(kept).toEqual({
      digest: DIGEST,
      file: { path: test.store.blobs.get(DIGEST)?.path, offset: 0, sizeBytes: CONTENT.length },
    });
    expect(readFileSync(kept.file.path).equals(CONTENT)).toBe(true);
    expect(leftovers(test.store)).toEqual([]);
    expect(test.store.verify({ deep: true }).problems).toEqual([]);
  });

  test("holds it until the lease is over", async () => {
    await using test = await openTestWorkshop();
    await test.workshop.keep(origin());
    expect(test.store.collect().removed).toEqual([]);
    test.lease.release();
    expect(test.store.collect().removed).toMatchObject([{ kind: "blob", key: DIGEST }]);
  });

  test("gives back the blob that is here already, when that is what came", async () => {
    await using test = await openTestWorkshop();
    const before = test.store.blobs.put(CONTENT, { lease: test.lease });
    expect((await test.workshop.keep(origin())).file.path).toBe(before.path);
    expect(test.store.usage()).toMatchObject({ blobs: 1, ingests: 0 });
  });

  test("asks for nothing when the digest is known and the blob here", async () => {
    await using test = await openTestWorkshop();
    test.store.blobs.put(CONTENT, { lease: test.lease });
    const wanted = origin({ digest: DIGEST });
    expect((await test.workshop.keep(wanted)).digest).toBe(DIGEST);
    expect(wanted.offsets).toEqual([]);
    expect(test.events).toMatchObject([{ type: "download", what: "thing", state: "cached" }]);
  });

  test("asks once for what is wanted twice at the same time, and twice for what differs", async () => {
    await using test = await openTestWorkshop();
    const [a, b] = [origin(), origin({ key: "http://example.com/thing etag 2" })];
    const kept = await Promise.all([a, a, b].map((wanted) => test.workshop.keep(wanted)));
    expect(new Set(kept.map(({ digest }) => digest))).toEqual(new Set([DIGEST]));
    expect([a.offsets, b.offsets]).toEqual([[0], [0]]);
  });

  test("asks again for what was forgotten", async () => {
    await using test = await openTestWorkshop();
    const wanted = origin();
    await test.workshop.keep(wanted);
    await test.workshop.keep(wanted);
    expect(wanted.offsets).toEqual([0]);
    test.workshop.forget(wanted.key);
    await test.workshop.keep(wanted);
    expect(wanted.offsets).toEqual([0, 0]);
  });

  test("remembers nothing of what nothing tells from its next version", async () => {
    await using test = await openTestWorkshop();
    const wanted = origin({ key: "" });
    const [first] = await Promise.all([test.workshop.keep(wanted), test.workshop.keep(wanted)]);
    expect(first?.digest).toBe(DIGEST);
    expect(wanted.offsets).toEqual([0, 0]);
    const broken = async (): Promise<void> => {
      throw new AppError("registry-error", "changed");
    };
    const open: WantedBytes["open"] = async (offset) => ({ offset, body: chunks(CONTENT, broken) });
    await expect(test.workshop.keep(origin({ key: "", open }))).rejects.toMatchObject({ code: "registry-error" });
    expect(leftovers(test.store)).toEqual([]);
  });

  test.each([
    ["another digest", { digest: digestOf("other") }],
    ["fewer bytes", { sizeBytes: 1000 }],
    ["fewer bytes and a digest", { sizeBytes: 1000, digest: DIGEST }],
  ])("refuses what was promised to have %s, and leaves nothing", async (_what, promised) => {
    await using test = await openTestWorkshop();
    await expect(test.workshop.keep(origin(promised))).rejects.toMatchObject({
      code: "blob-corrupt",
      message: expect.stringContaining("Cannot fetch thing: "),
    });
    expect([leftovers(test.store), test.store.usage().blobs]).toEqual([[], 0]);
  });

  test("refuses more than the limit, and leaves nothing", async () => {
    await using test = await openTestWorkshop({ limits: { maxBytes: 1024 * 1024 } });
    await expect(test.workshop.keep(origin())).rejects.toMatchObject({ code: "layer-too-large" });
    expect(leftovers(test.store)).toEqual([]);
  });

  test("tells how far it is", async () => {
    await using test = await openTestWorkshop();
    await test.workshop.keep(origin({ sizeBytes: CONTENT.length }));
    const states = test.events.flatMap((event) => (event.type === "download" ? [[event.state, event.sizeBytes]] : []));
    expect(states.at(0)).toEqual(["started", CONTENT.length]);
    expect(states.at(-1)).toEqual(["done", CONTENT.length]);
    expect(states.length).toBeGreaterThan(3);
  });

  test("goes on where a connection broke", async () => {
    await using test = await openTestWorkshop();
    const offsets: number[] = [];
    const open: WantedBytes["open"] = async (offset) => {
      offsets.push(offset);
      const broken = async () => {
        throw new AppError("registry-unreachable", "Cannot reach it");
      };
      const half = CONTENT.subarray(offset, offset + 2_000_000);
      return { offset, body: chunks(half, offset === 0 ? broken : undefined) };
    };
    expect((await test.workshop.keep(origin({ open }))).digest).toBe(DIGEST);
    expect(offsets).toEqual([0, 2_000_000]);
  });

  test("leaves what came when it is aborted, for the next who asks", async () => {
    await using temp = await openTempDir("abort");
    const root = join(temp.path, "store");
    const abort = new AbortController();
    {
      await using first = await openTestWorkshop({ root, signal: abort.signal });
      const open: WantedBytes["open"] = async (offset, signal) => ({
        offset,
        body: chunks(CONTENT.subarray(offset, 2_500_000), async () => {
          const aborted = once(signal, "abort");
          abort.abort(new AppError("canceled", "enough"));
          await aborted;
          signal.throwIfAborted();
        }),
      });
      await expect(first.workshop.keep(origin({ open }))).rejects.toMatchObject({ code: "canceled" });
      expect(first.store.usage()).toMatchObject({ blobs: 0 });
    }
    await using second = await openTestWorkshop({ root });
    const wanted = origin();
    expect((await second.workshop.keep(wanted)).digest).toBe(DIGEST);
    expect(leftovers(second.store)).toEqual([]);
  });

  test("goes on with what a process left that was killed", async () => {
    await using temp = await openTempDir("killed");
    const root = join(temp.path, "store");
    await killed(root, "the key", 2_000_000);
    await using test = await openTestWorkshop({ root });
    const wanted = origin({ key: "the key" }, Buffer.alloc(4_000_000, "x"));
    expect((await test.workshop.keep(wanted)).digest).toBe(digestOf(Buffer.alloc(4_000_000, "x")));
    expect(wanted.offsets[0]).toBeGreaterThan(1_000_000);
    expect(test.events).toContainEqual(expect.objectContaining({ type: "decision", topic: "resume" }));
    expect(test.store.verify({ deep: true }).problems).toEqual([]);
  });

  test("begins anew when what was left is not of it", async () => {
    await using temp = await openTempDir("killed");
    const root = join(temp.path, "store");
    await killed(root, "the key", 2_000_000);
    await using test = await openTestWorkshop({ root });
    // shorter than what is here, and so another version: sent from the start, as an If-Range that fails is answered
    const open: WantedBytes["open"] = async () => ({ offset: 0, body: chunks(CONTENT.subarray(0, 1000)) });
    expect((await test.workshop.keep(origin({ key: "the key", open }))).digest).toBe(
      digestOf(CONTENT.subarray(0, 1000)),
    );
    expect(test.events).toContainEqual(expect.objectContaining({ type: "warning" }));
  });

  test("waits for another process that brings the same, and takes over when that dies", async () => {
    await using temp = await openTempDir("busy");
    const root = join(temp.path, "store");
    const script = join(import.meta.dirname, "fixtures/keep-child.ts");
    const child = spawn(process.execPath, [script, root, "the key", "2000000"], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await once(child.stdout as NodeJS.ReadableStream, "data");
    await using test = await openTestWorkshop({ root });
    const keeping = test.workshop.keep(origin({ key: "the key" }, Buffer.alloc(3_000_000, "x")));
    expect(test.events).toMatchObject([{ type: "download", state: "waiting" }]);
    child.kill("SIGKILL");
    expect((await keeping).digest).toBe(digestOf(Buffer.alloc(3_000_000, "x")));
  });
});

describe("expand", () => {
  const forms: readonly [string, Buffer][] = [
    ["gzip", gzipSync(CONTENT)],
    ["zstd", zstdCompressSync(CONTENT)],
    ["bzip2", spawnSync("bzip2", ["-c"], { input: CONTENT }).stdout],
    ["xz", spawnSync("xz", ["-c"], { input: CONTENT }).stdout],
  ];

  async function expandFile(workshop: Workshop, path: string, bytes: Buffer): Promise<Buffer> {
    writeFileSync(path, Buffer.concat([Buffer.from("before"), bytes]));
    const {
      path: made,
      offset,
      sizeBytes,
    } = await workshop.expand({ path, offset: 6, sizeBytes: bytes.length }, "an archive");
    return readFileSync(made).subarray(offset, offset + sizeBytes);
  }

  test.each(forms)("of a file undoes %s", async (name, bytes) => {
    await using test = await openTestWorkshop();
    expect((await expandFile(test.workshop, join(test.path, "a"), bytes)).equals(CONTENT)).toBe(true);
    expect(test.events).toEqual([
      { type: "decision", topic: "archive", message: `expanding an archive in the store: it is compressed (${name})` },
    ]);
  });

  test.each(forms)("of a stream undoes %s", async (_name, bytes) => {
    await using test = await openTestWorkshop();
    const { path, sizeBytes } = await test.workshop.expand(chunks(bytes), "stdin");
    expect([readFileSync(path).equals(CONTENT), sizeBytes]).toEqual([true, CONTENT.length]);
  });

  test("of a file that is not compressed is that file", async () => {
    await using test = await openTestWorkshop();
    const path = join(test.path, "a");
    writeFileSync(path, CONTENT);
    const file = { path, offset: 5, sizeBytes: 1000 };
    expect(await test.workshop.expand(file, "an archive")).toEqual(file);
    expect([test.events, leftovers(test.store)]).toEqual([[], []]);
  });

  test("of a stream that is not compressed is a copy of it", async () => {
    await using test = await openTestWorkshop();
    const { path } = await test.workshop.expand(chunks(CONTENT), "stdin");
    expect(readFileSync(path).equals(CONTENT)).toBe(true);
  });

  test("is gone when the workshop is", async () => {
    await using test = await openTestWorkshop();
    const made = [
      await test.workshop.expand(chunks(CONTENT), "stdin"),
      await test.workshop.expand(chunks(CONTENT), "stdin"),
    ];
    expect(leftovers(test.store).length).toBe(2);
    await test.workshop[Symbol.asyncDispose]();
    expect(made.map(({ path }) => existsSync(path))).toEqual([false, false]);
    expect(leftovers(test.store)).toEqual([]);
  });

  test("is gone when its process was killed and the store is opened again", async () => {
    await using temp = await openTempDir("killed");
    const root = join(temp.path, "store");
    await killed(root, "expand", 1_000_000);
    expect(readdirSync(join(root, "staging")).length).toBe(1);
    using store = openStore({ root });
    expect(leftovers(store)).toEqual([]);
  });

  test("stops at the limit, and leaves nothing", async () => {
    await using test = await openTestWorkshop({ limits: { maxBytes: 10 * 1024 * 1024 } });
    const bomb = gzipSync(Buffer.alloc(512 * 1024 * 1024));
    await expect(expandFile(test.workshop, join(test.path, "a"), bomb)).rejects.toMatchObject({
      code: "layer-too-large",
      message: "Cannot expand an archive: it has more than 10485760 bytes",
    });
    expect(leftovers(test.store)).toEqual([]);
  });

  test.each([
    ["truncated", gzipSync(CONTENT).subarray(0, 1000), /Cannot expand stdin: the gzip stream is truncated/],
    [
      "damaged",
      Buffer.concat([gzipSync(CONTENT), Buffer.from("garbage")]),
      /Cannot expand stdin: the gzip stream is damaged/,
    ],
  ])("refuses a stream that is %s, and leaves nothing", async (_what, bytes, message) => {
    await using test = await openTestWorkshop();
    await expect(test.workshop.expand(chunks(bytes), "stdin")).rejects.toThrow(message);
    expect(leftovers(test.store)).toEqual([]);
  });

  test("passes on what a stream fails with, and leaves nothing", async () => {
    await using test = await openTestWorkshop();
    const failure = new AppError("archive-missing", "the other end is gone");
    const body = chunks(CONTENT, async () => {
      throw failure;
    });
    await expect(test.workshop.expand(body, "stdin")).rejects.toBe(failure);
    expect(leftovers(test.store)).toEqual([]);
  });

  test("stops when it is aborted, though the stream says nothing, and leaves nothing", async () => {
    const abort = new AbortController();
    await using test = await openTestWorkshop({ signal: abort.signal });
    const silent = chunks(CONTENT, async () => {
      abort.abort(new AppError("canceled", "enough"));
      await new Promise(() => {});
    });
    await expect(test.workshop.expand(silent, "stdin")).rejects.toMatchObject({ code: "canceled" });
    expect(leftovers(test.store)).toEqual([]);
  });

  test.skipIf(process.getuid?.() !== 0)("says so when the disk is full, and leaves nothing (needs root)", async () => {
    await using temp = await openTempDir("full");
    expect(spawnSync("mount", ["-t", "tmpfs", "-o", "size=4m", "none", temp.path]).status).toBe(0);
    try {
      await using test = await openTestWorkshop({ root: join(temp.path, "store") });
      const bytes = gzipSync(Buffer.alloc(64 * 1024 * 1024, "x"));
      await expect(test.workshop.expand(chunks(bytes), "stdin")).rejects.toMatchObject({
        code: "disk-full",
        message: expect.stringContaining("Cannot expand stdin"),
      });
      expect(leftovers(test.store)).toEqual([]);
      await expect(test.workshop.keep(origin({}, Buffer.alloc(8_000_000, "y")))).rejects.toMatchObject({
        code: "disk-full",
      });
      expect(test.store.usage()).toMatchObject({ blobs: 0, ingests: 1 });
      rmSync(join(temp.path, "store/reserve"), { force: true });
      expect((await test.workshop.expand(chunks(gzipSync(Buffer.from("small"))), "stdin")).sizeBytes).toBe(5);
    } finally {
      spawnSync("umount", ["--lazy", temp.path]);
    }
  });
});

test("scanTar reads what keep and expand made", async () => {
  await using test = await openTestWorkshop();
  const { file } = await test.workshop.keep(origin({}, gzipSync(Buffer.alloc(10_240))));
  const scanned = await test.workshop.scanTar(file, { algorithm: "sha512" });
  expect(scanned).toMatchObject({ digest: digestOf(Buffer.alloc(10_240), "sha512"), entryCount: 0 });
  const expanded = await test.workshop.expand(file, "thing");
  expect(await test.workshop.scanTar(expanded, { algorithm: "sha512" })).toEqual(scanned);
});
