/** A plain web server of files in memory, as ACIs are published: HEAD, validators, ranges, and a few ways to misbehave. */
import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface FileServerOptions {
  /** Default: "etag". With "date", files were changed a day ago; with "weak", the ETag is one. */
  readonly validators?: "etag" | "weak" | "date" | "none";
  /** Whether `Range` is honoured. Default: true. */
  readonly ranges?: boolean;
  /** Whether HEAD is answered. Default: true. */
  readonly head?: boolean;
  /** GETs that are cut off after so many bytes. */
  readonly truncate?: { readonly bytes: number; times: number };
  /** Answers first; true when it has. */
  readonly intercept?: (request: IncomingMessage, response: ServerResponse) => boolean;
}

export interface FileServer extends AsyncDisposable {
  /** `127.0.0.1:PORT` */
  readonly host: string;
  readonly url: string;
  /** Path → bytes. Paths as they come, without decoding. */
  readonly files: Map<string, Buffer>;
  /** `GET /path`, with the range where one was asked for. */
  readonly requests: readonly { readonly line: string; readonly headers: IncomingMessage["headers"] }[];
}

export async function startFileServer(
  files: Readonly<Record<string, Buffer>>,
  options: FileServerOptions = {},
): Promise<FileServer> {
  const table = new Map(Object.entries(files));
  const requests: FileServer["requests"][number][] = [];
  const server = createServer((request, response) => {
    const { range } = request.headers;
    const line = `${request.method} ${request.url}${range === undefined ? "" : ` ${range}`}`;
    requests.push({ line, headers: request.headers });
    if (options.intercept?.(request, response) !== true) answer(request, response, table, options);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    host,
    url: `http://${host}`,
    files: table,
    requests,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function answer(
  request: IncomingMessage,
  response: ServerResponse,
  files: ReadonlyMap<string, Buffer>,
  options: FileServerOptions,
): void {
  const body = files.get(request.url ?? "");
  if (body === undefined) return void response.writeHead(404).end("<html>not here</html>");
  if (request.method === "HEAD" && options.head === false) return void response.writeHead(405).end();
  const headers = validators(body, options.validators ?? "etag");
  const start = Number(/^bytes=([0-9]+)-$/.exec(request.headers.range ?? "")?.[1] ?? Number.NaN);
  const current = request.headers["if-range"];
  const same = current === undefined || Object.values(headers).some((value) => value === current);
  const partial = options.ranges !== false && start < body.length && same;
  const sent = partial ? body.subarray(start) : body;
  response.writeHead(partial ? 206 : 200, {
    "content-length": sent.length,
    ...headers,
    ...(partial && { "content-range": `bytes ${start}-${body.length - 1}/${body.length}` }),
  });
  if (request.method === "HEAD") return void response.end();
  const { truncate } = options;
  if (truncate === undefined || truncate.times <= 0) return void response.end(sent);
  truncate.times -= 1;
  response.write(sent.subarray(0, truncate.bytes), () => response.destroy());
}

function validators(body: Buffer, kind: NonNullable<FileServerOptions["validators"]>): Record<string, string> {
  const etag = `"${createHash("sha256").update(body).digest("hex").slice(0, 16)}"`;
  if (kind === "etag") return { etag };
  if (kind === "weak") return { etag: `W/${etag}` };
  return kind === "date" ? { "last-modified": new Date(Date.now() - 86_400_000).toUTCString() } : {};
}
