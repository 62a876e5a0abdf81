/**
 * A registry and its token server that do exactly as they are told, for what the real ones cannot be brought to do: refuse a
 * token that they have just issued, change their mind about a password, know no OAuth 2.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface StandIn extends AsyncDisposable {
  /** `127.0.0.1:PORT` */
  readonly host: string;
  /** Every request: method, path with query, `Authorization`, body. */
  readonly seen: readonly Seen[];
  /** Of those, the ones to paths that contain `part`. */
  to(part: string): readonly Seen[];
}

export interface Seen {
  readonly method: string;
  readonly url: URL;
  readonly authorization: string | undefined;
  readonly body: string;
}

export interface Reply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

export async function startStandIn(answer: (seen: Seen, host: string) => Reply | Promise<Reply>): Promise<StandIn> {
  const seen: Seen[] = [];
  const handle = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Uint8Array[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Uint8Array);
    const url = new URL(incoming.url ?? "/", `http://${host}`);
    const { authorization } = incoming.headers;
    const request = { method: incoming.method ?? "", url, authorization, body: Buffer.concat(chunks).toString("utf8") };
    seen.push(request);
    const reply = await answer(request, host);
    response.writeHead(reply.status, reply.headers).end(reply.body);
  };
  const server = createServer((incoming, response) => void handle(incoming, response).catch(() => response.destroy()));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    host,
    seen,
    to: (part) => seen.filter(({ url }) => url.pathname.includes(part)),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** 401 with one challenge, and a body as registries send it. */
export function unauthorized(challenge: string): Reply {
  const body = JSON.stringify({ errors: [{ code: "UNAUTHORIZED", message: "authentication required" }] });
  return { status: 401, headers: { "www-authenticate": challenge }, body };
}

export function basicUser(authorization: string | undefined): string | undefined {
  const encoded = /^Basic (.+)$/.exec(authorization ?? "")?.[1];
  return encoded === undefined ? undefined : Buffer.from(encoded, "base64").toString("utf8");
}

export function json(value: unknown, headers: Readonly<Record<string, string>> = {}): Reply {
  return { status: 200, headers: { "content-type": "application/json", ...headers }, body: JSON.stringify(value) };
}
