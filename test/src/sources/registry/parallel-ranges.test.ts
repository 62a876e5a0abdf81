/** Very large layers in parallel ranges: in order, bounded, and broken off where a range fails. */
import { describe, expect, test } from "vitest";
import { AppError } from "../../../../src/errors.ts";
import type { ByteRange, StreamedBlob } from "../../../../src/sources/registry/blob-stream.ts";
import { type OpenRange, openInParallel } from "../../../../src/sources/registry/parallel-ranges.ts";
import { fail, startFaultServer, truncate } from "../../../support/fault-server.ts";
import { buildImage } from "../../../support/tar-builder.ts";
import { errorOf, openResolving, readLayer } from "../resolve-with.ts";

const BLOB = Buffer.from(Array.from({ length: 1000 }, (_, at) => at % 251));
const NEVER = new AbortController().signal;

interface Server {
  readonly open: OpenRange;
  readonly asked: ByteRange[];
  /** Ranges that are open now, and the most that were. */
  readonly now: { open: number; most: number };
}

/** Gives ranges in small chunks; later ones are ready before earlier ones. `change` may spoil one. */
function serve(change: (range: ByteRange, good: Buffer) => StreamedBlob | Buffer = (_, good) => good): Server {
  const asked: ByteRange[] = [];
  const now = { open: 0, most: 0 };
  async function* chunks(bytes: Buffer, from: number): AsyncGenerator<Uint8Array> {
    now.open += 1;
    now.most = Math.max(now.most, now.open);
    try {
      for (let turn = 0; turn < 10 - from / 100; turn += 1) await Promise.resolve();
      for (let at = 0; at < bytes.length; at += 7) yield bytes.subarray(at, at + 7);
    } finally {
      now.open -= 1;
    }
  }
  const open: OpenRange = async (range, signal) => {
    signal.throwIfAborted();
    asked.push(range);
    const { from, to = BLOB.length - 1 } = range;
    const given = change(range, BLOB.subarray(from, to + 1));
    return Buffer.isBuffer(given) ? { offset: from, isPart: true, body: chunks(given, from) } : given;
  };
  return { open, asked, now };
}

async function read(server: Server, offset = 0, parallelism = 3, signal = NEVER) {
  const options = { parallelism, rangeBytes: 100, minBytes: 0 };
  const opened = await openInParallel(server.open, { offset, size: BLOB.length, what: "x" }, options, signal);
  if (opened === "refused-range") return opened;
  const chunks: Uint8Array[] = [];
  let error: unknown;
  try {
    for await (const chunk of opened.body) chunks.push(chunk);
  } catch (thrown) {
    error = thrown;
  }
  return { offset: opened.offset, bytes: Buffer.concat(chunks), error };
}

describe("parallel ranges", () => {
  test.each([0, 1, 250, 999])("give the blob in order, from byte %i on", async (offset) => {
    const server = serve();
    expect(await read(server, offset)).toEqual({ offset, bytes: BLOB.subarray(offset), error: undefined });
    expect(server.asked).toHaveLength(Math.ceil((BLOB.length - offset) / 100));
  });

  test.each([2, 3, 5])("are at most %i at once", async (parallelism) => {
    const server = serve();
    await read(server, 0, parallelism);
    expect(server.now).toEqual({ open: 0, most: parallelism });
  });

  test("are not asked for where the server gives all of it", async () => {
    async function* whole() {
      yield BLOB;
    }
    const server = serve(() => ({ offset: 0, isPart: false, body: whole() }));
    expect(await read(server, 300)).toMatchObject({ offset: 0, bytes: BLOB });
    expect(server.asked).toHaveLength(1);
    expect(await read(serve(() => "refused-range"))).toBe("refused-range");
  });

  test.each<readonly [string, (range: ByteRange, good: Buffer) => StreamedBlob | Buffer]>([
    ["is refused", () => "refused-range"],
    ["ends early", (_, good) => good.subarray(1)],
    ["is too long", (_, good) => Buffer.concat([good, good])],
    [
      "cannot be had",
      () => {
        throw new AppError("registry-error", "Cannot pull x: registry y answered 500");
      },
    ],
    ["is all of it", () => ({ offset: 0, isPart: false, body: (async function* () {})() })],
  ])("end before the one that %s, and can be gone on with", async (_, spoil) => {
    const spoilt = serve((range, good) => (range.from === 300 ? spoil(range, good) : good));
    const result = await read(spoilt);
    expect(result).toMatchObject({ bytes: BLOB.subarray(0, 300), error: { code: "registry-unreachable" } });
    expect(spoilt.now.open).toBe(0);
    expect(await read(serve(), 300)).toMatchObject({ bytes: BLOB.subarray(300) });
  });

  test("end with the first where that is too short", async () => {
    const short = serve((range, good) => (range.from === 0 ? good.subarray(0, 50) : good));
    const result = await read(short);
    expect(result).toMatchObject({ bytes: BLOB.subarray(0, 50), error: { code: "registry-unreachable" } });
  });

  test("end with the caller's signal, all of them", async () => {
    const controller = new AbortController();
    const server = serve((range, good) => {
      if (range.from === 500) controller.abort(new Error("enough"));
      return good;
    });
    const result = await read(server, 0, 3, controller.signal);
    expect(result).toMatchObject({ error: { message: "enough" } });
    expect(server.now.open).toBe(0);
  });
});

describe("a large layer", () => {
  const image = buildImage(
    [[{ name: "a", content: Buffer.from(Array.from({ length: 5000 }, (_, at) => at % 251)) }]],
    { architecture: "amd64" },
    { compression: "none" },
  );
  const LAYER = image.blobs.get(image.layers[0]?.digest ?? "") ?? Buffer.alloc(0);
  const ranges = { parallelism: 3, rangeBytes: 1000, minBytes: 2000 };

  test("is fetched in ranges, with one request each", async () => {
    await using server = await startFaultServer(image);
    await using resolving = openResolving({ ranges });
    const { layers } = await resolving.resolve(`${server.host}/app:1`);
    expect(await readLayer(layers[0])).toEqual({ offset: 0, bytes: LAYER });
    const asked = server.requests.flatMap(({ headers }) => headers.range ?? []);
    expect(asked.slice(0, 2)).toEqual(["bytes=0-999", "bytes=1000-1999"]);
    expect(asked).toHaveLength(Math.ceil(LAYER.length / 1000));
    expect(await readLayer(layers[0], 100)).toEqual({ offset: 100, bytes: LAYER.subarray(100) });
  });

  test("is fetched in one piece where that is not asked for, or little is left of it", async () => {
    await using server = await startFaultServer(image);
    await using one = openResolving();
    expect((await readLayer((await one.resolve(`${server.host}/app:1`)).layers[0])).bytes).toEqual(LAYER);
    await using resolving = openResolving({ ranges });
    const { layers } = await resolving.resolve(`${server.host}/app:1`);
    await readLayer(layers[0], LAYER.length - 100);
    expect(server.requests.flatMap(({ headers }) => headers.range ?? [])).toEqual([`bytes=${LAYER.length - 100}-`]);
  });

  test("is fetched in one piece from a server without ranges", async () => {
    await using server = await startFaultServer(image, { ranges: false });
    await using resolving = openResolving({ ranges });
    const { layers } = await resolving.resolve(`${server.host}/app:1`);
    expect(await readLayer(layers[0], 100)).toEqual({ offset: 0, bytes: LAYER });
    expect(server.requests.filter(({ target }) => target === "layer")).toHaveLength(1);
  });

  test("that breaks off in a range is registry-unreachable", async () => {
    await using server = await startFaultServer(image, { faults: [truncate("layer", 100, { times: 1 })] });
    await using resolving = openResolving({ ranges });
    const { layers } = await resolving.resolve(`${server.host}/app:1`);
    expect((await errorOf(readLayer(layers[0]))).code).toBe("registry-unreachable");
  });

  test("that is not there is image-unknown, as ever", async () => {
    await using server = await startFaultServer(image, { faults: [fail("layer", 404)] });
    await using resolving = openResolving({ ranges });
    const { layers } = await resolving.resolve(`${server.host}/app:1`);
    expect((await errorOf(readLayer(layers[0]))).code).toBe("image-unknown");
  });
});
