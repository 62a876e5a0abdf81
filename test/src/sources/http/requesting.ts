/** What the tests of the HTTP client do all the time: ask a server, read what it says, and catch what goes wrong. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, type RequestListener, type Server } from "node:http";
import { createServer as createTlsServer, type ServerOptions } from "node:https";
import type { AddressInfo } from "node:net";
import type { RootwrightEvent } from "../../../../src/events.ts";
import { type HostTransport, PLAIN_TRANSPORT } from "../../../../src/sources/http/host-transport.ts";
import {
  type HttpClientOptions,
  type HttpRequest,
  type HttpResponse,
  openHttpClient,
} from "../../../../src/sources/http/http-client.ts";

export interface Asking extends AsyncDisposable {
  /** Sends a GET request and leaves the body to the caller. */
  ask(url: string, request?: Partial<HttpRequest>): Promise<HttpResponse>;
  /** Status and body. */
  get(url: string, request?: Partial<HttpRequest>): Promise<{ readonly status: number; readonly text: string }>;
  readonly events: readonly RootwrightEvent[];
  /** Messages of decisions. */
  decisions(): string[];
}

export function openAsking(options: HttpClientOptions = {}): Asking {
  const events: RootwrightEvent[] = [];
  const emit = (event: RootwrightEvent): void => void events.push(event);
  const client = openHttpClient(options);
  const ask: Asking["ask"] = (url, request = {}) => client.send({ method: "GET", url: new URL(url), emit, ...request });
  return {
    events,
    ask,
    async get(url, request) {
      const response = await ask(url, request);
      return { status: response.status, text: await readText(response) };
    },
    decisions: () => events.flatMap((event) => (event.type === "decision" ? [event.message] : [])),
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  };
}

export async function readText(response: HttpResponse): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of response.body) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}

/** Settings for one host, as some file might have them. */
export function transportOf(settings: Partial<HostTransport>): HostTransport {
  return { ...PLAIN_TRANSPORT, key: JSON.stringify(settings), configuredBy: ["/etc/test/hosts.toml"], ...settings };
}

export interface Listening extends AsyncDisposable {
  readonly port: number;
  readonly url: string;
  readonly server: Server;
}

/** A web server on this machine, with TLS when it is given certificates. */
export async function listen(listener: RequestListener, tls?: ServerOptions): Promise<Listening> {
  const server = tls === undefined ? createServer(listener) : createTlsServer(tls, listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    port,
    server,
    url: `${tls === undefined ? "http" : "https"}://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

interface Settings {
  readonly options?: HttpClientOptions;
  readonly transport?: Partial<HostTransport>;
}

/**
 * What a process with another environment prints: the body or the error's code, and whatever else it has to say. Node reads
 * SSL_CERT_FILE only once.
 */
export async function getElsewhere(
  url: string,
  settings: Settings,
  env: Readonly<Record<string, string>>,
): Promise<string> {
  const script = `
    import { openAsking, transportOf } from "${import.meta.url}";
    const { url, options, transport } = JSON.parse(process.argv[1]);
    await using asking = openAsking(options);
    const asked = asking.get(url, transport && { transport: transportOf(transport) });
    console.log(await asked.then(({ text }) => text, ({ code }) => code));`;
  const args = ["--input-type=module", "--eval", script, JSON.stringify({ url, ...settings })];
  const child = spawn(process.execPath, args, { env });
  let printed = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Buffer) => {
      printed += chunk.toString();
    });
  }
  await once(child, "close");
  return printed;
}
