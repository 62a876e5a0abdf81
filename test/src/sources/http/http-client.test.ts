/** The client against servers that hang, trickle, break off or speak something else; and what it holds on to meanwhile. */
import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { setImmediate as turn } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { openAuthority } from "../../../support/certificates.ts";
import { missingPrograms } from "../../../support/peers.ts";
import { startRegistry } from "../../../support/registry.ts";
import { errorOf } from "../resolve-with.ts";
import { listen, openAsking, readText, transportOf } from "./requesting.ts";

const hello = (_: unknown, response: ServerResponse): void => void response.end("hello");

/** Accepts connections and never says a word. */
const openSilent = (): ReturnType<typeof openRaw> => openRaw(() => {});

async function openRaw(serve: (socket: Socket) => void): Promise<AsyncDisposable & { readonly port: number }> {
  const server = createServer((socket) => serve(socket.on("error", () => {}).resume()));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** How long it took to fail, in milliseconds. */
async function timed(promise: Promise<unknown>): Promise<{ error: Awaited<ReturnType<typeof errorOf>>; ms: number }> {
  const start = performance.now();
  const error = await errorOf(promise);
  return { error, ms: performance.now() - start };
}

describe("a wait that is bounded", () => {
  test("for a connection (TLS that is never answered) ends on time", async () => {
    await using silent = await openSilent();
    await using asking = openAsking({ timeouts: { connectMs: 50 } });
    const { error, ms } = await timed(asking.ask(`https://127.0.0.1:${silent.port}`));
    expect(error).toMatchObject({ code: "registry-unreachable", details: { temporary: true } });
    expect(error.message).toContain("the connection timed out");
    expect(ms).toBeLessThan(900);
  });

  test("for a connection is the host's own, where one is configured", async () => {
    await using silent = await openSilent();
    await using asking = openAsking();
    const transport = transportOf({ connectTimeoutMs: 50 });
    const { error } = await timed(asking.ask(`https://127.0.0.1:${silent.port}`, { transport }));
    expect(error.details["reason"]).toBe("UND_ERR_CONNECT_TIMEOUT");
  });

  test("for an answer ends on time", async () => {
    await using silent = await openSilent();
    await using asking = openAsking({ timeouts: { headersMs: 50 } });
    const { error, ms } = await timed(asking.ask(`http://127.0.0.1:${silent.port}`));
    expect(error).toMatchObject({ code: "registry-unreachable", details: { temporary: true } });
    expect(error.message).toContain("did not answer in time");
    expect(ms).toBeLessThan(900);
  });

  test("for an answer is not drawn out by answers that are none yet", async () => {
    await using server = await listen((_, response) => response.writeEarlyHints({ link: "</a>; rel=preload" }));
    await using asking = openAsking({ timeouts: { headersMs: 50 } });
    expect((await errorOf(asking.ask(server.url))).message).toContain("did not answer in time");
  });

  test("for more of a body ends on time", async () => {
    await using server = await listen((_, response) => void response.write("x".repeat(1000)));
    await using asking = openAsking({ timeouts: { stallMs: 60 } });
    const error = await errorOf(asking.get(server.url));
    expect(error).toMatchObject({ code: "registry-unreachable", details: { temporary: true, reason: "STALLED" } });
    expect(error.message).toContain("the transfer stalled: ");
    expect(error.message).toContain("in the last 0.06 s");
  });

  test("does not count while the reader is busy", async () => {
    const body = "x".repeat(300_000);
    await using server = await listen((_, response) => void response.end(body));
    await using asking = openAsking({ timeouts: { stallMs: 40 } });
    const response = await asking.ask(server.url);
    let size = 0;
    for await (const chunk of response.body) {
      // longer than the window, as a full disk or a large layer would make it
      const until = performance.now() + 60;
      while (size === 0 && performance.now() < until) await turn();
      size += chunk.byteLength;
    }
    expect(size).toBe(body.length);
  });

  test("ends at once when it is aborted, connected or not", async () => {
    await using silent = await openSilent();
    await using asking = openAsking();
    for (const scheme of ["http", "https"]) {
      const controller = new AbortController();
      const asked = asking.ask(`${scheme}://127.0.0.1:${silent.port}`, { signal: controller.signal });
      await turn();
      controller.abort(new Error("enough"));
      await expect(asked).rejects.toThrow("enough");
    }
  });
});

describe("a slot of a host", () => {
  /** A server that answers with the beginning of a body, and how many it has begun. */
  async function openHalf() {
    const begun: ServerResponse[] = [];
    const server = await listen((_, response) => {
      begun.push(response);
      response.write("begin");
    });
    const until = async (count: number): Promise<void> => {
      while (begun.length < count) await once(server.server, "request");
    };
    return { begun, until, url: server.url, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
  }

  test.each<readonly [string, (body: Awaited<ReturnType<typeof openHalf>>["begun"][0] | undefined) => void]>([
    ["is read to its end", (server) => void server?.end()],
    ["breaks off", (server) => void server?.destroy()],
  ])("is held until the body %s", async (_, finish) => {
    await using half = await openHalf();
    await using asking = openAsking({ connectionsPerHost: 1 });
    const first = await asking.ask(half.url);
    const second = asking.ask(half.url);
    await turn();
    expect(half.begun).toHaveLength(1);
    finish(half.begun[0]);
    await readText(first).catch(() => {});
    await second;
    expect(half.begun).toHaveLength(2);
  });

  test("is free again when the body is discarded", async () => {
    await using half = await openHalf();
    await using asking = openAsking({ connectionsPerHost: 1 });
    const first = await asking.ask(half.url);
    half.begun[0]?.end();
    await first.discard();
    await asking.ask(half.url);
  });

  test("is free again when a discarded body never ends", async () => {
    await using half = await openHalf();
    await using asking = openAsking({ connectionsPerHost: 1 });
    await (await asking.ask(half.url)).discard();
    await asking.ask(half.url);
  });

  test("is free again when the reader leaves early", async () => {
    await using half = await openHalf();
    await using asking = openAsking({ connectionsPerHost: 1 });
    for await (const _ of (await asking.ask(half.url)).body) break;
    await asking.ask(half.url);
  });

  test.each([
    ["is left before it is begun", 200],
    ["is left before it is begun, and was looked into for a hint of TLS", 400],
  ])("is free again when the body %s", async (_, status) => {
    await using server = await listen((_request, response) => void response.writeHead(status).write("begin"));
    await using asking = openAsking({ connectionsPerHost: 1 });
    for (let count = 0; count < 3; count += 1) {
      const response = await asking.ask(server.url);
      expect(response.status).toBe(status);
      await response.body[Symbol.asyncIterator]().return?.();
    }
  });

  test("is free again when the reader leaves in the middle of a wait", async () => {
    await using half = await openHalf();
    await using asking = openAsking({ connectionsPerHost: 1 });
    const body = (await asking.ask(half.url)).body[Symbol.asyncIterator]();
    await body.next();
    const waiting = body.next();
    await Promise.allSettled([body.return?.(), waiting]);
    await asking.ask(half.url);
  });

  test("is not waited for by token requests, which have slots and connections of their own", async () => {
    await using half = await openHalf();
    await using asking = openAsking({ connectionsPerHost: 2, timeouts: { connectMs: 2000 } });
    await Promise.all([asking.ask(half.url), asking.ask(half.url)]);
    await Promise.all([asking.ask(half.url, { queue: "token" }), asking.ask(half.url, { queue: "token" })]);
    const third = asking.ask(half.url, { queue: "token" });
    await turn();
    expect(half.begun).toHaveLength(4);
    half.begun[2]?.destroy();
    await third;
  });

  test("is free again when the request is aborted, before the body or within", async () => {
    await using silent = await openSilent();
    await using half = await openHalf();
    await using asking = openAsking({ connectionsPerHost: 1 });
    const within = new AbortController();
    const response = await asking.ask(half.url, { signal: within.signal });
    within.abort(new Error("enough"));
    await expect(readText(response)).rejects.toThrow("enough");
    await asking.ask(half.url);
    for (let count = 0; count < 3; count += 1) {
      const before = new AbortController();
      const asked = asking.ask(`http://127.0.0.1:${silent.port}`, { signal: before.signal });
      await turn();
      before.abort(new Error("enough"));
      await expect(asked).rejects.toThrow("enough");
    }
  });

  test("is free again when nothing could be sent at all", async () => {
    const gone = await listen(hello);
    await gone[Symbol.asyncDispose]();
    await using asking = openAsking({ connectionsPerHost: 1 });
    for (let count = 0; count < 3; count += 1) {
      expect((await errorOf(asking.ask(gone.url))).details["reason"]).toBe("ECONNREFUSED");
      const bad = { transport: transportOf({ clientCertificates: [{ cert: "x", key: "x" }] }) };
      expect((await errorOf(asking.ask(gone.url.replace("http", "https"), bad))).code).toBe("config-invalid");
    }
  });

  test("bounds how many connections one host sees", async () => {
    await using server = await listen((_, response) => void setImmediate(() => response.end("hello")));
    let most = 0;
    server.server.on("connection", () => server.server.getConnections((_, count) => (most = Math.max(most, count))));
    await using asking = openAsking({ connectionsPerHost: 3 });
    await Promise.all(Array.from({ length: 20 }, () => asking.get(server.url)));
    expect(most).toBeLessThanOrEqual(3);
  });

  test("is not waited for any more when the client is closed", async () => {
    await using half = await openHalf();
    const asking = openAsking({ connectionsPerHost: 1 });
    const first = await asking.ask(half.url);
    const waiting = errorOf(asking.ask(half.url));
    await asking[Symbol.asyncDispose]();
    expect(await waiting).toMatchObject({ code: "registry-unreachable", details: { temporary: false } });
    await expect(readText(first)).rejects.toMatchObject({ code: "registry-unreachable" });
    expect(await errorOf(asking.ask(half.url))).toMatchObject({ details: { temporary: false } });
  });
});

test("a body that is garbled in the middle may be asked for again", async () => {
  await using server = await openRaw((socket) =>
    socket.once("data", () =>
      socket.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\nnonsense"),
    ),
  );
  await using asking = openAsking();
  const error = await errorOf(asking.get(`http://127.0.0.1:${server.port}`));
  expect(error).toMatchObject({ code: "registry-unreachable", details: { temporary: true } });
  expect(error.message).toContain("garbled");
});

describe("headers that are configured for a host", () => {
  test("are sent, but do not displace what the request itself says", async () => {
    await using server = await listen((request, response) => void response.end(JSON.stringify(request.headers)));
    await using asking = openAsking();
    const hostHeaders = { "x-tenant": "one", authorization: "Basic configured", accept: "text/html" };
    const { text } = await asking.get(server.url, { hostHeaders, headers: { accept: "application/json" } });
    expect(JSON.parse(text)).toMatchObject({
      "x-tenant": "one",
      authorization: "Basic configured",
      accept: "application/json",
    });
    expect(JSON.stringify(asking.events)).not.toContain("configured");
  });
});

test("how a host is reached is told once to everybody who listens", async () => {
  await using server = await listen(hello);
  await using asking = openAsking();
  await asking.get(server.url);
  await asking.get(`${server.url}/again`);
  expect(asking.decisions()).toEqual([`${server.url} is reached directly`]);
  const heard: string[] = [];
  const emit = ({ type }: { type: string }): void => void heard.push(type);
  await asking.get(server.url, { emit });
  expect(heard).toEqual(["decision", "request"]);
});

describe("plain http to a server that expects TLS", () => {
  test.each([
    "Client sent an HTTP request to an HTTPS server.\n",
    "<html><title>400 The plain HTTP request was sent to HTTPS port</title></html>",
  ])("is told from its words: %j", async (words) => {
    await using server = await listen((_, response) => void response.writeHead(400).end(words));
    await using asking = openAsking();
    const error = await errorOf(asking.ask(server.url));
    expect(error).toMatchObject({ code: "registry-unreachable", details: { temporary: false } });
    expect(error.message).toContain("it speaks TLS, not plain http");
    expect(error.hint).toContain("use https");
  });

  test("is told when it answers in TLS", async () => {
    // a fatal alert, unexpected_message (RFC 8446, 6)
    const alert = Buffer.from([0x15, 3, 1, 0, 2, 2, 10]);
    await using server = await openRaw((socket) => socket.once("data", () => socket.end(alert)));
    await using asking = openAsking();
    const error = await errorOf(asking.ask(`http://127.0.0.1:${server.port}`));
    expect(error).toMatchObject({ code: "registry-unreachable", details: { temporary: false } });
    expect(error.message).toContain("does not speak http");
    expect(error.hint).toContain("use https");
  });

  const missing = missingPrograms("openssl", "docker-registry");
  test.skipIf(missing.length > 0)("is told of a real registry (needs openssl, docker-registry)", async () => {
    await using authority = await openAuthority("an authority");
    const { certFile: certificate, keyFile: key } = await authority.issue("registry");
    await using registry = await startRegistry({ tls: { certificate, key } });
    await using asking = openAsking();
    const error = await errorOf(asking.ask(`http://${registry.host}/v2/`));
    expect(error.message).toContain("it speaks TLS, not plain http");
  });

  test("is not suspected behind another 400", async () => {
    await using server = await listen((_, response) => void response.writeHead(400).end('{"errors":[]}'));
    await using asking = openAsking({ connectionsPerHost: 1 });
    expect(await asking.get(server.url)).toEqual({ status: 400, text: '{"errors":[]}' });
    await (await asking.ask(server.url)).discard();
    expect(await asking.get(server.url)).toEqual({ status: 400, text: '{"errors":[]}' });
  });
});

test.each([
  ["plain http", "http", /speaks TLS.*certs\.d\/127\.0\.0\.1:[0-9]+\/ca\.crt/],
  ["TLS", "https", /log of the registry/],
])("a connection that is closed without a word in %s comes with a hint", async (_, scheme, hint) => {
  await using raw = await openRaw((socket) => void socket.once("data", () => socket.destroy()));
  await using asking = openAsking();
  const error = await errorOf(asking.ask(`${scheme}://127.0.0.1:${raw.port}`));
  expect(error).toMatchObject({ code: "registry-unreachable", hint: expect.stringMatching(hint) });
});

test("headers that are too long come with a hint", async () => {
  await using server = await listen((_, response) => void response.setHeader("x", "x".repeat(100_000)).end());
  await using asking = openAsking();
  const error = await errorOf(asking.ask(server.url));
  expect(error).toMatchObject({ message: expect.stringContaining("headers are too long"), hint: expect.anything() });
});

test("https to a server that speaks http is told, with a hint", async () => {
  await using server = await listen(hello);
  await using asking = openAsking();
  const error = await errorOf(asking.ask(server.url.replace("http", "https")));
  expect(error.message).toContain("does not speak TLS");
  expect(error.hint).toContain("insecure registries");
});
