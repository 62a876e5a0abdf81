/** What the tests of the Appc source do all the time: a source with a workshop, a resolve, and what was decided on the way. */
import { afterAll } from "vitest";
import type { RootwrightEvent } from "../../../../src/events.ts";
import { parseAppcReference } from "../../../../src/image/appc-reference.ts";
import { parsePlatform } from "../../../../src/image/platform.ts";
import { DEFAULT_LIMITS } from "../../../../src/layers/limits.ts";
import { openWorkerPool, type WorkerPool } from "../../../../src/layers/worker-pool.ts";
import { openWorkshop } from "../../../../src/layers/workshop.ts";
import { type AppcSource, type AppcSourceOptions, createAppcSource } from "../../../../src/sources/appc.ts";
import { PLAIN_TRANSPORT } from "../../../../src/sources/http/host-transport.ts";
import { openHttpClient, type Send } from "../../../../src/sources/http/http-client.ts";
import { DEFAULT_RETRY } from "../../../../src/sources/http/retry.ts";
import { createTransportSecurity } from "../../../../src/sources/http/transport-security.ts";
import type { Estimate, ResolveContext, ResolvedImage, WantedBytes, Workshop } from "../../../../src/sources/source.ts";
import { openStore } from "../../../../store/index.ts";
import { openTempDir } from "../../../support/temp-dir.ts";

/** What the workshop was asked for. */
export interface Keeping {
  readonly kept: readonly WantedBytes[];
  /** Paths. */
  readonly scanned: readonly string[];
  /** Offsets from which bytes were asked for, and those at which they began. */
  readonly opened: readonly { readonly asked: number; readonly got: number }[];
}

export interface OpenAppc extends AsyncDisposable {
  readonly source: AppcSource;
  /** The HTTP client itself, without what `options` may have put in its place. */
  readonly send: Send;
  readonly context: ResolveContext;
  readonly keeping: Keeping;
  readonly events: readonly RootwrightEvent[];
  resolve(text: string, platform?: string): Promise<ResolvedImage>;
  estimate(text: string): Promise<readonly Estimate[]>;
  /** Messages of `decision` events about `topic`. */
  decisions(topic: string): string[];
}

/** One for all tests of a file: starting workers takes longer than most of what they are started for here. */
let pool: WorkerPool | undefined;
afterAll(async () => await pool?.[Symbol.asyncDispose]());

export async function openAppc(
  options: Partial<AppcSourceOptions> & { readonly insecure?: readonly string[] } = {},
): Promise<OpenAppc> {
  await using stack = new AsyncDisposableStack();
  const temp = stack.use(await openTempDir("appc-store"));
  const store = stack.use(openStore({ root: temp.path }));
  const lease = stack.use(store.leases.acquire({ purpose: "test" }));
  const { signal } = new AbortController();
  pool ??= openWorkerPool(2);
  const house = stack.use(openWorkshop({ store, pool, lease, emit: () => {}, signal, limits: DEFAULT_LIMITS }));
  const { workshop, ...keeping } = recording(house);
  const http = stack.use(openHttpClient());
  const events: RootwrightEvent[] = [];
  const source = createAppcSource({
    send: http.send,
    security: createTransportSecurity(options.insecure ?? []),
    transportFor: async () => PLAIN_TRANSPORT,
    retryPolicy: { ...DEFAULT_RETRY, delay: async () => {} },
    httpAddresses: {},
    ...options,
  });
  const context: ResolveContext = {
    platform: parsePlatform("linux/amd64"),
    emit: (event) => void events.push(event),
    workshop,
  };
  const opened = stack.move();
  return {
    source,
    send: http.send,
    context,
    keeping,
    events,
    resolve: (text, platform = "linux/amd64") =>
      source.resolve(parseAppcReference(text), { ...context, platform: parsePlatform(platform) }),
    estimate: (text) => source.estimate(parseAppcReference(text), context),
    decisions: (topic) =>
      events.flatMap((event) => (event.type === "decision" && event.topic === topic ? [event.message] : [])),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

function recording(workshop: Workshop): Keeping & { readonly workshop: Workshop } {
  const kept: WantedBytes[] = [];
  const scanned: string[] = [];
  const opened: { asked: number; got: number }[] = [];
  const recorded: Workshop = {
    keep(wanted) {
      kept.push(wanted);
      const open: WantedBytes["open"] = async (asked, signal) => {
        const stream = await wanted.open(asked, signal);
        opened.push({ asked, got: stream.offset });
        return stream;
      };
      return workshop.keep({ ...wanted, open });
    },
    forget: (key) => workshop.forget(key),
    scanTar(file, options) {
      scanned.push(file.path);
      return workshop.scanTar(file, options);
    },
    expand: (bytes, what) => workshop.expand(bytes, what),
  };
  return { workshop: recorded, kept, scanned, opened };
}
