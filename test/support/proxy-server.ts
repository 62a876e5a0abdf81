/**
 * An HTTP proxy that tunnels (CONNECT) and forwards (absolute URIs), and remembers what it was asked for. It knows where
 * names lead, so that tests can use hosts that do not exist.
 *
 *     await using proxy = await startProxyServer({ hosts: { "registry.test:443": server.port } });
 *     proxy.requests  // [{ target: "registry.test:443", tunnel: true, … }]
 */
import { createServer, request as forward, type IncomingMessage, type RequestListener } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { type AddressInfo, connect, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { Pair } from "./certificates.ts";

export interface ProxyRequest {
  /** `host:port` */
  readonly target: string;
  readonly tunnel: boolean;
  readonly headers: IncomingMessage["headers"];
}

export interface ProxyServer extends AsyncDisposable {
  readonly url: string;
  readonly host: string;
  readonly requests: readonly ProxyRequest[];
}

export interface ProxyServerOptions {
  /** `host:port` → port on this machine. Everything else is answered 502. */
  readonly hosts?: Readonly<Record<string, number>>;
  /** `user:password`; others are answered 407. */
  readonly credentials?: string;
  /** Speak TLS, with this certificate. */
  readonly tls?: Pair;
  /** Every request is answered with this status. */
  readonly status?: number;
}

export async function startProxyServer(options: ProxyServerOptions = {}): Promise<ProxyServer> {
  const requests: ProxyRequest[] = [];
  const sockets = new Set<Duplex>();

  /** The port where the target is, or the status that refuses it. */
  const admit = (target: string, tunnel: boolean, { headers }: IncomingMessage): { port: number } | number => {
    requests.push({ target, tunnel, headers });
    const wanted = options.credentials && `Basic ${Buffer.from(options.credentials).toString("base64")}`;
    if (wanted !== undefined && headers["proxy-authorization"] !== wanted) return 407;
    if (options.status !== undefined) return options.status;
    const port = options.hosts?.[target];
    return port === undefined ? 502 : { port };
  };

  const listener: RequestListener = (incoming, response) => {
    const url = new URL(incoming.url ?? "", "http://no-host");
    const admitted = admit(`${url.hostname}:${url.port || "80"}`, false, incoming);
    if (typeof admitted === "number") {
      response.writeHead(admitted).end("the proxy's own words");
      return;
    }
    const { "proxy-authorization": _mine, ...headers } = incoming.headers;
    const path = `${url.pathname}${url.search}`;
    const onward = forward({ host: "127.0.0.1", port: admitted.port, path, method: incoming.method, headers });
    onward.on("response", (answer) => {
      response.writeHead(answer.statusCode ?? 500, answer.headers);
      answer.on("data", (chunk) => response.write(chunk)).on("end", () => response.end());
    });
    onward.on("error", () => response.destroy());
    incoming.on("data", (chunk) => onward.write(chunk)).on("end", () => onward.end());
  };

  const server = options.tls === undefined ? createServer(listener) : createTlsServer(options.tls, listener);
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  server.on("connect", (incoming: IncomingMessage, client: Duplex, head: Buffer) => {
    client.on("error", () => client.destroy());
    const admitted = admit(incoming.url ?? "", true, incoming);
    if (typeof admitted === "number") {
      client.end(`HTTP/1.1 ${admitted} No\r\ncontent-length: 0\r\n\r\n`);
      return;
    }
    const target = connect(admitted.port, "127.0.0.1", () => {
      client.write("HTTP/1.1 200 Connection established\r\n\r\n");
      target.write(head);
    });
    sockets.add(target);
    joinSockets(client, target);
    target.on("close", () => sockets.delete(target));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url: `${options.tls === undefined ? "http" : "https"}://${host}`,
    host,
    requests,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** What one says the other hears, until either goes. */
function joinSockets(one: Duplex, other: Duplex): void {
  for (const [from, to] of [
    [one, other],
    [other, one],
  ] as const) {
    from.on("data", (chunk: Buffer) => {
      if (!to.destroyed) to.write(chunk);
    });
    from.on("close", () => to.destroy());
    from.on("error", () => to.destroy());
  }
}
