/**
 * The HTTP client: the one file that knows undici. It sends one request and follows nothing; redirects, authorization and
 * retries are wrapped around it as functions of the same shape, `Send`.
 *
 * Every wait is bounded: connecting, waiting for headers, and a body that stops coming.
 */
import { Agent } from "undici";
import type { Emit } from "../../events.ts";
import { networkError } from "./network-error.ts";
import { redactUrl } from "./redact-url.ts";

export interface HttpRequest {
  readonly method: "GET" | "HEAD" | "POST";
  readonly url: URL;
  /** Lower-case names. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal?: AbortSignal;
  readonly emit: Emit;
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
  /** The longest pause within a body. */
  readonly stallMs?: number;
}

export interface HttpClient extends AsyncDisposable {
  readonly send: Send;
}

/** Disposing breaks whatever is under way. */
export function openHttpClient(timeouts: HttpTimeouts): HttpClient {
  const agent = new Agent({
    connect: { timeout: timeouts.connectMs ?? 10_000 },
    headersTimeout: timeouts.headersMs ?? 30_000,
    bodyTimeout: timeouts.stallMs ?? 60_000,
    keepAliveTimeout: 10_000,
    // Layers are fetched in parallel: one connection each is faster than streams that share one connection's window
    allowH2: false,
  });
  const send: Send = async (request) => {
    const { url, method, signal } = request;
    const started = performance.now();
    request.signal?.throwIfAborted();
    const response = await agent
      .request({
        origin: url.origin,
        path: `${url.pathname}${url.search}`,
        method,
        headers: { "user-agent": "rootwright", "accept-encoding": "identity", ...request.headers },
        ...(request.body !== undefined && { body: request.body }),
        ...(signal !== undefined && { signal }),
      })
      .catch((error: unknown) => {
        throw signal?.aborted ? signal.reason : networkError(error, request.url);
      });
    const { statusCode: status, body } = response;
    const durationMs = Math.round(performance.now() - started);
    request.emit({ type: "request", method, url: redactUrl(url), status, durationMs });
    return {
      status,
      url,
      headers: (name) => [response.headers[name] ?? []].flat(),
      body: readBody(body, request),
      discard: () => body.dump({ limit: 64 * 1024 }).catch(() => {}),
    };
  };
  return { send, [Symbol.asyncDispose]: () => agent.destroy() };
}

/** The one value of a header; undefined when it is absent or given several times with different values. */
export function singleHeader(response: HttpResponse, name: string): string | undefined {
  const values = new Set(response.headers(name));
  return values.size === 1 ? [...values][0] : undefined;
}

async function* readBody(body: AsyncIterable<Uint8Array>, request: HttpRequest): AsyncGenerator<Uint8Array> {
  try {
    yield* body;
  } catch (error) {
    throw request.signal?.aborted ? request.signal.reason : networkError(error, request.url);
  }
}
