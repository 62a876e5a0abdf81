import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { AppError } from "../../../src/errors.ts";
import { type EnsureContext, ensureLayer, type LayerOrigin } from "../../../src/layers/ensure-layer.ts";
import { digestOf } from "../../../store/index.ts";
import { buildLayer } from "../../support/tar-builder.ts";
import { openTestWorkshop, type TestWorkshop } from "../../support/workshop.ts";

const TAR = buildLayer([
  { name: "manifest", content: "{}" },
  { name: "rootfs/a", content: "a".repeat(200_000) },
  { name: "rootfs/b", content: "b" },
]);
const BLOB = gzipSync(TAR);
const DIGESTS = { blob: { digest: digestOf(BLOB), size: BLOB.length }, diffId: digestOf(TAR) };

interface Remote extends LayerOrigin {
  readonly asked: string[];
}

/** Each entry is a place to ask: its bytes. `distrust` goes on to the next one. */
function remote(places: Readonly<Record<string, Buffer>>, keepBlob = true): Remote {
  const names = Object.keys(places);
  const asked: string[] = [];
  let at = 0;
  return {
    ...DIGESTS,
    keepBlob,
    asked,
    bytes: {
      open: async (offset) => {
        const name = names[at] ?? "";
        asked.push(`${name} from ${offset}`);
        const bytes = places[name] ?? Buffer.alloc(0);
        return {
          offset,
          body: (async function* () {
            yield bytes.subarray(offset);
          })(),
        };
      },
      distrust: () => {
        at += 1;
        return at < names.length;
      },
    },
  };
}

function ensure(origin: LayerOrigin, test: TestWorkshop, signal = new AbortController().signal) {
  const emit = (event: never) => (test.events as unknown[]).push(event);
  const context: EnsureContext = { ...test, emit: emit as never, signal, privileged: process.getuid?.() === 0 };
  return ensureLayer(origin, { index: 0, count: 1 }, context);
}

function warnings(test: TestWorkshop): string[] {
  return test.events.flatMap((event) => (event.type === "warning" ? [event.message] : []));
}

function leftovers({ store }: TestWorkshop): string[] {
  return ["ingest", "staging"].flatMap((name) => readdirSync(join(store.root, name)));
}

const OTHER = gzipSync(buildLayer([{ name: "rootfs/a", content: "other bytes" }]));
const LONGER = Buffer.concat([BLOB, Buffer.from("more")]);
const FLIPPED = Buffer.from(BLOB);
FLIPPED[BLOB.length - 20] = (FLIPPED[BLOB.length - 20] ?? 0) ^ 0xff;

describe.each([
  ["kept", true],
  ["not kept", false],
])("a layer whose blob is %s", (_how, keepBlob) => {
  test.each([
    ["flipped bytes", FLIPPED],
    ["too many bytes", LONGER],
    ["something else", Buffer.concat([OTHER, Buffer.alloc(BLOB.length - OTHER.length)])],
  ])("is asked for at the next place when the first one sends %s", async (_what, bad) => {
    await using test = await openTestWorkshop();
    const origin = remote({ mirror: bad, origin: BLOB }, keepBlob);
    const layer = await ensure(origin, test);
    expect(readFileSync(join(layer.fsPath, "rootfs/b"), "utf8")).toBe("b");
    expect(origin.asked).toEqual(["mirror from 0", "origin from 0"]);
    expect(warnings(test)).toEqual([expect.stringMatching(/^Cannot .*; asking somebody else for sha256:/)]);
    expect([leftovers(test), test.store.usage().blobs]).toEqual([[], keepBlob ? 1 : 0]);
  });

  test("fails with the last place's error when nobody is left to ask", async () => {
    await using test = await openTestWorkshop();
    const origin = remote({ mirror: FLIPPED, origin: FLIPPED }, keepBlob);
    await expect(ensure(origin, test)).rejects.toMatchObject({ kind: "integrity" });
    expect(origin.asked.length).toBe(2);
    expect([leftovers(test), test.store.usage()]).toMatchObject([[], { blobs: 0, layers: 0, ingests: 0 }]);
  });

  test("is asked for once when its bytes are right and its DiffID is not: everybody has the same", async () => {
    await using test = await openTestWorkshop();
    const origin = { ...remote({ mirror: BLOB, origin: BLOB }, keepBlob), diffId: digestOf("other") };
    await expect(ensure(origin, test)).rejects.toMatchObject({ code: "layer-corrupt" });
    expect(origin.asked).toEqual(["mirror from 0"]);
  });

  test("is asked for once when the failure is not one of the bytes", async () => {
    await using test = await openTestWorkshop();
    const denied = new AppError("registry-denied", "no");
    const origin = remote({ mirror: BLOB, origin: BLOB }, keepBlob);
    const open = () => Promise.reject(denied);
    await expect(ensure({ ...origin, bytes: { ...origin.bytes, open } }, test)).rejects.toBe(denied);
  });
});

test("bytes that an earlier attempt left are suspected before who sends the rest", async () => {
  await using test = await openTestWorkshop();
  {
    const claim = test.store.blobs.ingest({ ...DIGESTS.blob, lease: test.lease });
    if (claim.state !== "claimed") throw new Error(claim.state);
    using ingest = claim.ingest;
    writeFileSync(ingest.path, Buffer.alloc(100, 0x1f));
  }
  const origin = remote({ mirror: BLOB, origin: BLOB });
  await ensure(origin, test);
  expect(origin.asked).toEqual(["mirror from 100", "mirror from 0"]);
  expect(warnings(test)).toEqual([]);
});

test.each(["xz", "bzip2"])("a layer may be compressed by %s, as archives have them", async (command) => {
  await using test = await openTestWorkshop();
  const bytes = spawnSync(command, ["-c"], { input: TAR }).stdout;
  const origin = remote({ origin: bytes });
  const layer = await ensure({ ...origin, blob: { digest: digestOf(bytes), size: bytes.length } }, test);
  expect(readdirSync(join(layer.fsPath, "rootfs"))).toEqual(["a", "b"]);
});

describe("a layer in a file", () => {
  function inFile(test: TestWorkshop, bytes: Buffer): LayerOrigin {
    const path = join(test.path, "archive");
    writeFileSync(path, Buffer.concat([Buffer.from("before"), bytes]));
    return { ...DIGESTS, keepBlob: true, bytes: { file: { path, offset: 6, sizeBytes: bytes.length } } };
  }

  test("becomes a blob too when that is to be kept", async () => {
    await using test = await openTestWorkshop();
    await ensure(inFile(test, BLOB), test);
    expect(test.store.blobs.read(DIGESTS.blob.digest, { maxBytes: 1e6 }).equals(BLOB)).toBe(true);
    expect(leftovers(test)).toEqual([]);
  });

  test("goes on with what an earlier attempt left", async () => {
    await using test = await openTestWorkshop();
    {
      const claim = test.store.blobs.ingest({ ...DIGESTS.blob, lease: test.lease });
      if (claim.state !== "claimed") throw new Error(claim.state);
      using ingest = claim.ingest;
      writeFileSync(ingest.path, BLOB.subarray(0, 100));
    }
    await ensure(inFile(test, BLOB), test);
    expect(test.store.blobs.recheck(DIGESTS.blob.digest)).toBe(true);
  });

  test("is refused when it is damaged, and leaves nothing", async () => {
    await using test = await openTestWorkshop();
    await expect(ensure(inFile(test, FLIPPED), test)).rejects.toMatchObject({ kind: "integrity" });
    expect([leftovers(test), test.store.usage()]).toMatchObject([[], { blobs: 0, layers: 0, ingests: 0 }]);
  });
});

describe("parts of one tar", () => {
  const part = (...whitelists: string[][]) => ({
    key: digestOf(JSON.stringify(whitelists)),
    directory: "rootfs",
    whitelists,
  });

  test("are layers of their own, under their own keys", async () => {
    await using test = await openTestWorkshop();
    const [all, some] = [part(), part(["/b"])];
    const layers = await Promise.all(
      [all, some].map((taken) => ensure({ ...remote({ origin: BLOB }), part: taken }, test)),
    );
    expect(layers.map(({ key, fsPath }) => [key, readdirSync(fsPath)])).toEqual([
      [all.key, ["a", "b"]],
      [some.key, ["b"]],
    ]);
    expect(test.store.layers.get(DIGESTS.diffId)).toBeUndefined();
    const keys = test.events.flatMap((event) => (event.type === "layer" ? [event.diffId] : []));
    expect(new Set(keys)).toEqual(new Set([all.key, some.key]));
  });

  test("are verified by the DiffID of all of it", async () => {
    await using test = await openTestWorkshop();
    const origin = { ...remote({ origin: BLOB }), diffId: digestOf("other"), part: part() };
    await expect(ensure(origin, test)).rejects.toMatchObject({ code: "layer-corrupt" });
    expect([leftovers(test), test.store.usage().layers]).toEqual([[], 0]);
  });
});

describe("a failure of a layer that says what it is", () => {
  const what = "layer 1 of example.com/app from example.com";
  const origin = (tar: Buffer, blob: Buffer): LayerOrigin => ({
    blob: { digest: digestOf(blob), size: blob.length },
    diffId: digestOf(tar),
    keepBlob: true,
    bytes: { open: async (offset) => ({ offset, body: pieces(blob.subarray(offset)) }) },
    what,
  });
  async function* pieces(bytes: Buffer): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < bytes.length; at += 100) yield bytes.subarray(at, at + 100);
  }

  test("says it too", async () => {
    await using test = await openTestWorkshop();
    const tar = buildLayer([{ name: "../x", content: "" }]);
    await expect(ensure(origin(tar, gzipSync(tar)), test)).rejects.toMatchObject({
      code: "layer-escape",
      message: `Cannot unpack ${what}: entry "../x" leaves the tree by ".."`,
    });
    await expect(ensure({ ...origin(TAR, BLOB), diffId: digestOf("other") }, test)).rejects.toMatchObject({
      code: "layer-corrupt",
      message: `Cannot unpack ${what}: its content is ${digestOf(TAR)}`,
    });
  });

  test.each([
    ["kept", true],
    ["not kept", false],
  ])("is told as one of the bytes where these are not what was promised: %s", async (_how, keepBlob) => {
    await using test = await openTestWorkshop();
    const middle = Buffer.from(BLOB);
    middle[20] = (middle[20] ?? 0) ^ 0xff;
    const bad = { ...origin(TAR, BLOB), bytes: origin(TAR, middle).bytes, keepBlob };
    await expect(ensure(bad, test)).rejects.toMatchObject({
      code: "blob-corrupt",
      message: expect.stringContaining(`Cannot unpack ${what}: the bytes are ${digestOf(middle)}`),
    });
    expect([leftovers(test), test.store.usage().blobs]).toEqual([[], 0]);
  });

  test("is one of the archive where the bytes are right", async () => {
    await using test = await openTestWorkshop();
    const bad = Buffer.concat([BLOB.subarray(0, 40), Buffer.alloc(5000, "x")]);
    await expect(ensure(origin(TAR, bad), test)).rejects.toMatchObject({
      code: "layer-invalid",
      message: expect.stringMatching(/^Cannot unpack layer 1 of .*: the gzip stream is damaged/),
    });
  });
});
