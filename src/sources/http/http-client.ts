/**
 * The HTTP client. It sends one request and follows nothing; redirects, authorization and
 * retries are wrapped around it as functions of the same shape, `Send`.
 *
 *     send → proxy chosen → a slot of the host → dispatcher of (transport, proxy, client certificate) → exchange → body
 *
 * Every wait is bounded: connecting, waiting for headers, and a body that stops coming or does not come fast enough.
 */
import type { Dispatcher } from "undici";
import { AppError } from "../../errors.ts";
import type { Emit } from "../../events.ts";
import { openDispatchers, type Way } from "./dispatchers.ts";
import { exchange } from "./exchange.ts";
import { type HostTransport, PLAIN_TRANSPORT } from "./host-transport.ts";
import { networkError } from "./network-error.ts";
import { wantsOtherCertificate } from "./network-reasons.ts";
import { createProxyChoice, type ProxySettings } from "./proxies.ts";
import { redactUrl } from "./redact-url.ts";
import { createSlots } from "./slots.ts";
import { createTransportReport } from "./transport-report.ts";
import { watchedBody } from "./watched-body.ts";
import { refuseTlsServer } from "./wrong-protocol.ts";

export interface HttpRequest {
  readonly method: "GET" | "HEAD" | "POST";
  readonly url: URL;
  /** Lower-case names. */
  readonly headers?: Readonly<Record<string, string>>;
  /**
   * Headers that are configured for this host (lower-case names); they may be secrets, and no redirect takes them to another
   * origin. Where `headers` has the same name, that one is sent.
   */
  readonly hostHeaders?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Token requests wait for each other only: bodies, which may take an hour, wait for tokens. Default: for all of the host. */
  readonly queue?: "token";
  readonly signal?: AbortSignal;
  readonly emit: Emit;
  /** How the host of `url` is reached and trusted. Default: as one about which nothing is configured. */
  readonly transport?: HostTransport;
}

/** The body must be read to its end, or `discard()`ed, or the request's signal aborted; else its connection is lost. */
export interface HttpResponse {
  readonly status: number;
  /** Where the answer came from, after redirects. */
  readonly url: URL;
  /** All values of a header, in order; empty when it is absent. */
  headers(name: string): readonly string[];
  /** Throws AppError `registry-unreachable` when the connection breaks or stalls. */
  readonly body: AsyncIterable<Uint8Array>;
  discard(): Promise<void>;
}

export type Send = (request: HttpRequest) => Promise<HttpResponse>;

export interface HttpTimeouts {
  readonly connectMs?: number;
  /** From the request to the first line of the answer. */
  readonly headersMs?: number;
  /** The window over which the speed of a body is averaged: a transfer that stops is given up after this long. 0: never. */
  readonly stallMs?: number;
  /** Over a window of `stallMs`; a slower transfer is given up. */
  readonly minBytesPerSecond?: number;
}

export interface HttpClientOptions {
  readonly timeouts?: HttpTimeouts;
  /** Undefined where there are none. */
  readonly proxies?: ProxySettings;
  /** Requests to one origin, bodies included, that may be under way at once; more wait for their turn, in each `queue`. */
  readonly connectionsPerHost?: number;
}

export interface HttpClient extends AsyncDisposable {
  readonly send: Send;
}

/**
 * Far below any line that is still of use (a layer of 50 MB would take half a day), far above what a hung server trickles
 * out to keep a connection open; a minute, so that a short break in a network is survived.
 */
const DEFAULT_LIMITS = { connectMs: 10_000, headersMs: 30_000, stallMs: 60_000, minBytesPerSecond: 1024 };

/**
 * Enough to fill a line with layers that come from one host, and few enough that twenty layers, times all agents that start
 * at once, do not look like an attack: registries answer 429 to that.
 */
const DEFAULT_CONNECTIONS = 8;

/** How much of an unwanted body is read, and for how long, to keep its connection for the next request. */
const DISCARD = { bytes: 64 * 1024, ms: 250 };

/** Disposing breaks whatever is under way. */
export function openHttpClient(options: HttpClientOptions = {}): HttpClient {
  const limits = { ...DEFAULT_LIMITS, ...options.timeouts };
  const connections = options.connectionsPerHost ?? DEFAULT_CONNECTIONS;
  const chooseProxy = createProxyChoice(options.proxies ?? {});
  const tellTransport = createTransportReport();
  const slots = createSlots(connections);
  const dispatchers = openDispatchers(connections);
  const identities = new Map<string, number>();
  const closing = new AbortController();

  const sendAs = async (request: HttpRequest, way: Way): Promise<HttpResponse> => {
    const { url, method, signal } = request;
    let release = (): void => {};
    try {
      release = await slots.take(
        `${url.origin} ${way.queue}`,
        signal === undefined ? closing.signal : AbortSignal.any([signal, closing.signal]),
      );
      const started = performance.now();
      const response = await exchange(dispatchers.get(way), requestOptions(request), {
        connectMs: way.connectMs,
        headersMs: limits.headersMs,
        over: release,
        ...(signal !== undefined && { signal }),
      });
      const { statusCode: status, body } = response;
      const durationMs = Math.round(performance.now() - started);
      request.emit({ type: "request", method, url: redactUrl(url), status, durationMs });
      return await refuseTlsServer({
        status,
        url,
        headers: (name) => [response.headers[name] ?? []].flat(),
        body: watchedBody(body, request, way.proxy, { windowMs: limits.stallMs, ...limits }),
        discard: async () => {
          await body.dump({ limit: DISCARD.bytes, signal: AbortSignal.timeout(DISCARD.ms) }).catch(() => {});
        },
      });
    } catch (error) {
      release();
      throw signal?.aborted ? signal.reason : networkError(error, url, way.proxy);
    }
  };

  return {
    async send(request) {
      const { url, transport = PLAIN_TRANSPORT } = request;
      const choice = chooseProxy(url, transport);
      tellTransport(request.emit, url, transport, choice);
      const connectMs = transport.connectTimeoutMs || limits.connectMs;
      const way = {
        https: url.protocol === "https:",
        transport,
        proxy: choice.proxy,
        connectMs,
        queue: request.queue ?? "",
      };
      // node shows one client certificate a connection, whatever the server asks for: they are tried in turn
      const count = way.https ? Math.max(1, transport.clientCertificates.length) : 1;
      const key = `${url.origin} ${transport.key}`;
      const best = identities.get(key) ?? 0;
      for (let tried = 1; ; tried += 1) {
        const identity = (best + tried - 1) % count;
        try {
          const response = await sendAs(request, { ...way, identity });
          if (identity !== best) identities.set(key, identity);
          return response;
        } catch (error) {
          const refused = error instanceof AppError && wantsOtherCertificate(error.details["reason"]);
          if (!refused || tried === count) throw error;
          const message = `${url.origin} refuses client certificate ${identity + 1} of ${count}; the next one is tried`;
          request.emit({ type: "decision", topic: "transport", message });
        }
      }
    },
    async [Symbol.asyncDispose]() {
      closing.abort(Object.assign(new Error("the HTTP client is closed"), { code: "UND_ERR_CLOSED" }));
      await dispatchers[Symbol.asyncDispose]();
    },
  };
}

/** The one value of a header; undefined when it is absent or given several times with different values. */
export function singleHeader(response: HttpResponse, name: string): string | undefined {
  const values = new Set(response.headers(name));
  return values.size === 1 ? [...values][0] : undefined;
}

function requestOptions({ url, method, headers, hostHeaders, body }: HttpRequest): Dispatcher.RequestOptions {
  return {
    origin: url.origin,
    path: `${url.pathname}${url.search}`,
    method,
    headers: { "user-agent": "rootwright", "accept-encoding": "identity", ...hostHeaders, ...headers },
    ...(body !== undefined && { body }),
  };
}
