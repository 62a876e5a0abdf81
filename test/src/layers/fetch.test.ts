import { MessageChannel } from "node:worker_threads";
import { describe, expect, test } from "vitest";
import { AppError } from "../../../src/errors.ts";
import type { RootwrightEvent } from "../../../src/events.ts";
import { openPortBytes, PortFeed } from "../../../src/layers/feed.ts";
import { fetchToPort, type OpenStream } from "../../../src/layers/fetch.ts";
import { readChunks } from "../../../src/layers/input.ts";

const CONTENT = Buffer.from(Array.from({ length: 300_000 }, (_, at) => at % 251));

interface Fetched {
  readonly bytes: Buffer;
  readonly error: AppError | undefined;
  readonly events: readonly RootwrightEvent[];
  readonly offsets: readonly number[];
}

interface Options {
  readonly start?: number;
  readonly sizeBytes?: number | undefined;
  readonly maxBytes?: number;
}

async function fetchAll(open: OpenStream, { start = 0, maxBytes = 1e9, ...rest }: Options = {}): Promise<Fetched> {
  const sizeBytes = "sizeBytes" in rest ? rest.sizeBytes : CONTENT.length;
  const { port1, port2 } = new MessageChannel();
  const bytes = openPortBytes(port2);
  const events: RootwrightEvent[] = [];
  const offsets: number[] = [];
  const chunks: Uint8Array[] = [];
  const abort = new AbortController();
  const reading = (async () => {
    for await (const chunk of readChunks(bytes)) chunks.push(Buffer.from(chunk));
  })();
  const error = await fetchToPort({
    what: "thing",
    sizeBytes,
    maxBytes,
    open: (offset, signal) => {
      offsets.push(offset);
      return open(offset, signal);
    },
    port: new PortFeed(port1, bytes, abort.signal),
    start,
    emit: (event) => {
      events.push(event);
    },
    signal: abort.signal,
  }).then(
    () => undefined,
    (failure: AppError) => failure,
  );
  if (error === undefined) await reading;
  port1.close();
  port2.close();
  return { bytes: Buffer.concat(chunks), error, events, offsets };
}

/** Serves from where it is asked, at most so many bytes each time, and then breaks with `error` or just ends. */
function server(perAttempt: number, error?: () => AppError): OpenStream {
  return async (offset) => ({
    offset,
    body: (async function* () {
      yield CONTENT.subarray(offset, offset + perAttempt);
      if (error !== undefined && offset + perAttempt < CONTENT.length) throw error();
    })(),
  });
}

const broken = (details: Record<string, unknown> = {}) =>
  new AppError("registry-unreachable", "Cannot reach it", { details });

function retries(events: readonly RootwrightEvent[]): number[] {
  return events.flatMap((event) => (event.type === "retry" ? [event.delayMs] : []));
}

function decisions(events: readonly RootwrightEvent[]): string[] {
  return events.flatMap((event) => (event.type === "decision" ? [event.message] : []));
}

describe("a fetch", () => {
  test("that goes through brings every byte once", async () => {
    const { bytes, error, events, offsets } = await fetchAll(server(1e9));
    expect([bytes.equals(CONTENT), error, events, offsets]).toEqual([true, undefined, [], [0]]);
  });

  test("of unknown size ends where its source ends", async () => {
    const { bytes, offsets } = await fetchAll(server(1e9), { sizeBytes: undefined });
    expect([bytes.equals(CONTENT), offsets]).toEqual([true, [0]]);
  });

  test("goes on where it broke, and says so", async () => {
    const { bytes, events, offsets } = await fetchAll(server(100_000, broken));
    expect([bytes.equals(CONTENT), offsets]).toEqual([true, [0, 100_000, 200_000]]);
    expect(decisions(events)).toEqual([
      "thing: going on at byte 100000 of 300000, where the connection broke",
      "thing: going on at byte 200000 of 300000, where the connection broke",
    ]);
  });

  test("goes on with what an earlier run left, and says so", async () => {
    const { bytes, events, offsets } = await fetchAll(server(1e9), { start: 1234 });
    expect([bytes.equals(CONTENT.subarray(1234)), offsets]).toEqual([true, [1234]]);
    expect(decisions(events)).toEqual(["thing: going on at byte 1234 of 300000, with what an earlier run left"]);
  });

  test("skips what is here where the source begins again, and says so", async () => {
    const fromStart: OpenStream = (_, signal) => server(1e9)(0, signal);
    const { bytes, events } = await fetchAll(fromStart, { start: 1234 });
    expect(bytes.equals(CONTENT.subarray(1234))).toBe(true);
    expect(decisions(events)).toEqual(["thing: 1234 bytes are here, but its source begins at byte 0 again"]);
  });

  test("asks nobody for what is here already", async () => {
    expect(await fetchAll(server(1e9), { start: CONTENT.length })).toMatchObject({ offsets: [], error: undefined });
  });

  test("gives up after five attempts in a row without a byte", async () => {
    const { error, offsets } = await fetchAll(async () => {
      throw broken();
    });
    expect([error?.code, offsets.length]).toEqual(["registry-unreachable", 6]);
  });

  test("does not let itself be fed by the byte for ever", async () => {
    const { error, offsets } = await fetchAll(server(1));
    expect([error?.code, offsets]).toEqual(["registry-unreachable", [0, 1, 2, 3, 4, 5]]);
  });

  test.each([
    ["will not pass", broken({ temporary: false })],
    [
      "is an answer, which its source has asked for again",
      new AppError("registry-error", "503", { details: { temporary: true } }),
    ],
    ["is one of the bytes", new AppError("blob-corrupt", "other bytes")],
    ["asks us to wait for an hour", broken({ retryAfterMs: 3_600_000 })],
  ])("does not try again after a failure that %s", async (_what, failure) => {
    const { error, offsets } = await fetchAll(async () => {
      throw failure;
    });
    expect([error, offsets]).toEqual([failure, [0]]);
  });

  test("waits as long as it is asked to", async () => {
    let asked = false;
    const { events } = await fetchAll(async (offset, signal) => {
      if (asked) return await server(1e9)(offset, signal);
      asked = true;
      throw broken({ retryAfterMs: 150 });
    });
    expect(retries(events)).toEqual([150]);
  });

  test.each([
    ["more bytes than were promised", server(1e9), { sizeBytes: 1000 }, "blob-corrupt"],
    ["more bytes than are allowed", server(1e9), { sizeBytes: undefined, maxBytes: 1000 }, "layer-too-large"],
    [
      "a beginning beyond what is here",
      (async () => ({ offset: 10, body: (async function* () {})() })) as OpenStream,
      { start: 5 },
      "blob-corrupt",
    ],
    [
      "an end before what is here",
      (async () => ({ offset: 0, body: (async function* () {})() })) as OpenStream,
      { start: 5, sizeBytes: undefined },
      "blob-corrupt",
    ],
  ] as const)("refuses %s", async (_what, open, options, code) => {
    expect((await fetchAll(open, options)).error?.code).toBe(code);
  });

  test("ends a body that it refuses to begin, in whatever it is wrapped", async () => {
    let ended = false;
    const { error } = await fetchAll(async (offset, signal) => {
      signal.addEventListener("abort", () => {
        ended = true;
      });
      return { offset: offset + 1, body: (async function* () {})() };
    });
    expect([error?.code, ended]).toEqual(["blob-corrupt", true]);
  });
});
