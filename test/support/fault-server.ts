/**
 * A registry of one image that misbehaves as told. Every request is offered to the faults in order; the first that takes
 * it decides what happens, and what none takes is answered as a good registry would.
 *
 *     await using server = await startFaultServer(image, { faults: [fail("manifest", 503, { times: 2 })] });
 *     // pull `${server.host}/any/name:any-tag`
 *     server.requests  // what was asked for, with headers
 *
 * Faults: `lie` (other bytes, size or headers), `fail` (a status), `truncate`, `stall`, `drop`, `redirect`, `challenge`,
 * `header` (adds one to the answer).
 * A fault with `times` is spent after so many requests. Any function of the same shape will do as well.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { type BuiltImage, sha256 } from "./tar-builder.ts";

export type Target = "manifest" | "config" | "layer" | "any";

export interface FaultRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  /** What is asked for, and what a good registry would answer; undefined when it has no such thing. */
  readonly target: Exclude<Target, "any"> | undefined;
  readonly body: Buffer | undefined;
  readonly mediaType: string;
}

/** Answers and returns true, or returns false to leave the request to the next. */
export type Fault = (request: FaultRequest, response: ServerResponse) => boolean;

export interface FaultServer extends AsyncDisposable {
  /** `127.0.0.1:PORT` */
  readonly host: string;
  readonly url: string;
  readonly requests: readonly FaultRequest[];
}

export interface FaultServerOptions {
  readonly faults?: readonly Fault[];
  /** Good behaviour: whether `Range` is honoured. Default: true. */
  readonly ranges?: boolean;
  /** Good behaviour: whether manifests come with their Docker-Content-Digest. Default: false. */
  readonly digests?: boolean;
  /** Speak https, with this key and certificate (PEM). */
  readonly tls?: { readonly key: string; readonly cert: string };
}

/** Without an image it only answers what its faults answer, as a content network or a token server might. */
export async function startFaultServer(
  image: BuiltImage | undefined,
  options: FaultServerOptions = {},
): Promise<FaultServer> {
  const requests: FaultRequest[] = [];
  const listener = (incoming: IncomingMessage, response: ServerResponse): void => {
    const request = describe(incoming, image);
    requests.push(request);
    if (options.faults?.some((fault) => fault(request, response))) return;
    answer(request, response, options);
  };
  const server = options.tls === undefined ? createServer(listener) : createTlsServer(options.tls, listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    host,
    url: `${options.tls === undefined ? "http" : "https"}://${host}`,
    requests,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function describe(incoming: IncomingMessage, image: BuiltImage | undefined): FaultRequest {
  const path = incoming.url ?? "/";
  const base = { method: incoming.method ?? "GET", path, headers: incoming.headers };
  const [, kind, version = ""] = /\/(manifests|blobs)\/([^/?]+)/.exec(path) ?? [];
  if (image === undefined || kind === undefined) return { ...base, target: undefined, body: undefined, mediaType: "" };
  if (kind === "manifests") {
    // any tag is the image's; a digest is what it says
    const body = image.blobs.get(version.includes(":") ? version : image.manifest.digest);
    return { ...base, target: "manifest", body, mediaType: image.manifest.mediaType };
  }
  const target = version === image.config.digest ? "config" : "layer";
  return { ...base, target, body: image.blobs.get(version), mediaType: "application/octet-stream" };
}

function answer(request: FaultRequest, response: ServerResponse, options: FaultServerOptions): void {
  const { body } = request;
  if (body === undefined) {
    response
      .writeHead(404, { "content-type": "application/json" })
      .end(JSON.stringify({ errors: [{ code: "MANIFEST_UNKNOWN" }] }));
    return;
  }
  const range = /^bytes=([0-9]+)-([0-9]*)$/.exec(request.headers.range ?? "");
  const partial = (options.ranges ?? true) && range !== null;
  const [start, end] = [Number(range?.[1] ?? 0), range?.[2] ? Number(range[2]) + 1 : body.length];
  const sent = partial ? body.subarray(start, end) : body;
  response.writeHead(partial ? 206 : 200, {
    "content-type": request.mediaType,
    "content-length": sent.length,
    ...(partial && { "content-range": `bytes ${start}-${start + sent.length - 1}/${body.length}` }),
    ...(options.digests === true && request.target === "manifest" && { "docker-content-digest": sha256(body) }),
  });
  response.end(request.method === "HEAD" ? undefined : sent);
}

export interface FaultOptions {
  /** After so many requests the fault is spent. Default: never. */
  readonly times?: number;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Takes requests for `target` while it is not spent, and answers them with `act`. */
export function fault(
  target: Target,
  act: (request: FaultRequest, response: ServerResponse) => void,
  times = Infinity,
): Fault {
  let left = times;
  return (request, response) => {
    if (left <= 0 || (target !== "any" && request.target !== target)) return false;
    left -= 1;
    act(request, response);
    return true;
  };
}

/** Answers with a status, and a body as registries write it. */
export function fail(target: Target, status: number, options: FaultOptions & { readonly code?: string } = {}): Fault {
  const body = JSON.stringify({ errors: [{ code: options.code ?? "UNKNOWN", message: "as the test asked" }] });
  return fault(target, (_, response) => void response.writeHead(status, options.headers).end(body), options.times);
}

/** Answers 200 with bytes and headers of its own: another digest, another size, another media type. */
export function lie(target: Target, change: (good: Buffer) => Buffer, options: FaultOptions = {}): Fault {
  const act = (request: FaultRequest, response: ServerResponse): void => {
    const body = change(request.body ?? Buffer.alloc(0));
    response
      .writeHead(200, { "content-type": request.mediaType, "content-length": body.length, ...options.headers })
      .end(body);
  };
  return fault(target, act, options.times);
}

/** Promises the whole body, sends `bytes` of it, and breaks the connection. */
export function truncate(target: Target, bytes: number, options: FaultOptions = {}): Fault {
  const act = (request: FaultRequest, response: ServerResponse): void =>
    begin(request, response, bytes, () => response.destroy());
  return fault(target, act, options.times);
}

/** Promises the whole body, sends `bytes` of it, and then nothing any more. */
export function stall(target: Target, bytes: number, options: FaultOptions = {}): Fault {
  return fault(target, (request, response) => begin(request, response, bytes, () => {}), options.times);
}

/** Breaks the connection without an answer. */
export function drop(target: Target, options: FaultOptions = {}): Fault {
  return fault(target, (_, response) => void response.destroy(), options.times);
}

/** Adds a header to the good answer, or to what a later fault makes of it. */
export function header(target: Target, name: string, value: string): Fault {
  return (request, response) => {
    if (target === "any" || request.target === target) response.setHeader(name, value);
    return false;
  };
}

/** Sends the client elsewhere: `to` is the new address, from the path that was asked for. */
export function redirect(target: Target, to: (path: string) => string, status = 307): Fault {
  return fault(target, ({ path }, response) => void response.writeHead(status, { location: to(path) }).end());
}

/** Answers 401 with challenges, unless `accept` likes the Authorization header. */
export function challenge(
  challenges: string | string[],
  accept: (authorization: string) => boolean = () => false,
): Fault {
  return (request, response) => {
    if (request.headers.authorization !== undefined && accept(request.headers.authorization)) return false;
    response
      .writeHead(401, { "www-authenticate": challenges })
      .end(JSON.stringify({ errors: [{ code: "UNAUTHORIZED" }] }));
    return true;
  };
}

function begin(request: FaultRequest, response: ServerResponse, bytes: number, then: () => void): void {
  const body = request.body ?? Buffer.alloc(0);
  response.writeHead(200, { "content-type": request.mediaType, "content-length": body.length });
  response.write(body.subarray(0, bytes), then);
}
