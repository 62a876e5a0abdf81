/** TLS: whom the client trusts, what it shows of itself, and what it says when that is not enough. */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Authority, type IssuedPair, openAuthority, selfSigned } from "../../../support/certificates.ts";
import { missingPrograms, stopChild } from "../../../support/peers.ts";
import { startRegistry } from "../../../support/registry.ts";
import { errorOf, printed } from "../resolve-with.ts";
import { getElsewhere, listen, openAsking, transportOf } from "./requesting.ts";

const hello = (_: unknown, response: { end(text: string): void }): void => response.end("hello");

describe.skipIf(missingPrograms("openssl").length > 0)("trust (needs openssl)", () => {
  let authority: Authority;
  let other: Authority;
  let server: IssuedPair;
  let client: IssuedPair;
  let stranger: IssuedPair;
  beforeAll(async () => {
    authority = await openAuthority("authority one");
    other = await openAuthority("authority two");
    server = await authority.issue("server");
    client = await authority.issue("client");
    stranger = await other.issue("stranger");
  });
  afterAll(async () => {
    await authority[Symbol.asyncDispose]();
    await other[Symbol.asyncDispose]();
  });

  test("an authority that nobody configured is not trusted, and the hint says where to put it", async () => {
    await using listening = await listen(hello, server);
    await using asking = openAsking();
    const error = await errorOf(asking.get(listening.url));
    expect(error).toMatchObject({ code: "registry-unreachable", details: { temporary: false } });
    expect(error.message).toContain(`127.0.0.1:${listening.port}`);
    expect(error.message).toContain("unknown authority");
    expect(error.hint).toContain(`certs.d/127.0.0.1:${listening.port}/ca.crt`);
  });

  test("an authority that is configured for the host is trusted", async () => {
    await using listening = await listen(hello, server);
    await using asking = openAsking();
    const transport = transportOf({ ca: [other.ca, authority.ca] });
    expect(await asking.get(listening.url, { transport })).toEqual({ status: 200, text: "hello" });
    expect(asking.decisions()).toEqual([
      `${listening.url} is reached directly; its authorities are trusted besides the system's (/etc/test/hosts.toml)`,
    ]);
  });

  test("an authority that is configured for one host is not trusted for another", async () => {
    await using listening = await listen(hello, server);
    await using asking = openAsking();
    await asking.get(listening.url, { transport: transportOf({ ca: [authority.ca] }) });
    expect((await errorOf(asking.get(listening.url))).message).toContain("unknown authority");
  });

  test("a configured authority comes besides the others, not in their place", async () => {
    await using listening = await listen(hello, await other.issue("server"));
    const settings = { transport: { ca: [authority.ca] } };
    expect(await getElsewhere(listening.url, settings, { SSL_CERT_FILE: other.caFile })).toBe("hello\n");
  });

  test("SSL_CERT_FILE is honoured", async () => {
    await using listening = await listen(hello, server);
    expect(await getElsewhere(listening.url, {}, { SSL_CERT_FILE: authority.caFile })).toBe("hello\n");
    expect(await getElsewhere(listening.url, {}, {})).toBe("registry-unreachable\n");
  });

  test("a certificate that is its own authority is trusted only where it is configured", async () => {
    const own = await selfSigned();
    await using listening = await listen(hello, own);
    await using asking = openAsking();
    expect(await asking.get(listening.url, { transport: transportOf({ ca: [own.cert] }) })).toMatchObject({
      text: "hello",
    });
    expect(await errorOf(asking.get(listening.url))).toMatchObject({
      message: expect.stringContaining("self-signed"),
      hint: expect.stringContaining("ca.crt"),
    });
  });

  test("skip-verify takes any certificate, and is told", async () => {
    await using listening = await listen(hello, await authority.issue("elsewhere", { names: ["DNS:elsewhere.test"] }));
    await using asking = openAsking();
    const error = await errorOf(asking.get(listening.url, { transport: transportOf({ ca: [authority.ca] }) }));
    expect(error.message).toContain("for another host");
    const transport = transportOf({ skipVerify: true });
    expect((await asking.get(listening.url, { transport })).text).toBe("hello");
    expect(asking.decisions().at(-1)).toContain("its certificate is not checked (/etc/test/hosts.toml)");
  });

  // Node's own server closes such connections without the alert that the specification wants: these two send it
  describe.each([
    ["docker-registry", "TLS 1.3", startDockerRegistry],
    ["openssl", "TLS 1.2", startOpensslServer],
  ])("a server that wants a client certificate", (program, version, start) => {
    describe.skipIf(missingPrograms(program).length > 0)(`${program}, ${version}`, () => {
      test("gets it", async () => {
        await using peer = await start(server, authority.caFile);
        await using asking = openAsking();
        const transport = transportOf({ ca: [authority.ca], clientCertificates: [client] });
        expect(await asking.get(peer.url, { transport })).toMatchObject({ status: 200 });
        expect(asking.decisions()).toEqual([expect.stringContaining("a client certificate is shown")]);
      });

      test("is told of with a hint when there is none", async () => {
        await using peer = await start(server, authority.caFile);
        await using asking = openAsking();
        const error = await errorOf(asking.get(peer.url, { transport: transportOf({ ca: [authority.ca] }) }));
        expect(error).toMatchObject({ code: "registry-unreachable", details: { temporary: false } });
        expect(error.hint).toContain("client certificate");
        expect(error.hint).toContain(`certs.d/${new URL(peer.url).host}/`);
      });

      test("is told of when it does not like the one that there is", async () => {
        await using peer = await start(server, authority.caFile);
        await using asking = openAsking();
        const transport = transportOf({ ca: [authority.ca], clientCertificates: [stranger] });
        const error = await errorOf(asking.get(peer.url, { transport }));
        expect(error.message).toContain("client certificate");
        expect(error.hint).toContain("certs.d/");
        expect(printed(error)).not.toContain("PRIVATE KEY");
      });

      test("is shown several in turn, and from then on the one that it likes", async () => {
        await using peer = await start(server, authority.caFile);
        await using asking = openAsking();
        const transport = transportOf({ ca: [authority.ca], clientCertificates: [stranger, client] });
        expect(await asking.get(peer.url, { transport })).toMatchObject({ status: 200 });
        expect(await asking.get(peer.url, { transport })).toMatchObject({ status: 200 });
        const refusals = asking.decisions().filter((message) => message.includes("refuses client certificate 1 of 2"));
        expect(refusals).toHaveLength(1);
      });
    });
  });

  test.each([
    [
      "a certificate with another one's key",
      () => ({ cert: client.cert, key: stranger.key }),
      "do not belong together",
    ],
    ["a key that is none", () => ({ cert: client.cert, key: "x" }), "cannot be read"],
    ["a certificate that is none", () => ({ cert: "x", key: client.key }), "not a PEM certificate"],
  ])("%s is config-invalid, naming its file", async (_, pair, why) => {
    await using asking = openAsking();
    const transport = transportOf({ clientCertificates: [pair()] });
    const error = await errorOf(asking.get("https://127.0.0.1:1", { transport }));
    expect(error.code).toBe("config-invalid");
    expect(error.message).toContain("/etc/test/hosts.toml");
    expect(error.message).toContain(why);
  });

  test("an authority that is no certificate is config-invalid", async () => {
    await using asking = openAsking();
    const error = await errorOf(asking.get("https://127.0.0.1:1", { transport: transportOf({ ca: ["none"] }) }));
    expect(error).toMatchObject({ code: "config-invalid", message: expect.stringContaining("/etc/test/hosts.toml") });
  });
});

interface Peer extends AsyncDisposable {
  readonly url: string;
}

async function startDockerRegistry(pair: IssuedPair, clientCa: string): Promise<Peer> {
  const registry = await startRegistry({ tls: { certificate: pair.certFile, key: pair.keyFile, clientCa } });
  return { url: `${registry.url}/v2/`, [Symbol.asyncDispose]: () => registry[Symbol.asyncDispose]() };
}

async function startOpensslServer(pair: IssuedPair, clientCa: string): Promise<Peer> {
  const own = ["-cert", pair.certFile, "-key", pair.keyFile, "-accept", "127.0.0.1:0", "-tls1_2", "-www"];
  const verify = ["-Verify", "1", "-verify_return_error", "-CAfile", clientCa];
  const child = spawn("openssl", ["s_server", ...own, ...verify], { stdio: ["ignore", "pipe", "ignore"] });
  for await (const line of createInterface(child.stdout)) {
    const [, address] = /^ACCEPT (\S+)$/.exec(line) ?? [];
    if (address === undefined) continue;
    child.stdout.resume();
    return { url: `https://${address}/`, [Symbol.asyncDispose]: () => stopChild(child) };
  }
  throw new Error("openssl s_server ended before it listened");
}
