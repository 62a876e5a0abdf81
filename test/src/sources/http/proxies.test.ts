/** Which proxy is chosen, what is said to it and to those behind it, and what it is blamed for. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PLAIN_TRANSPORT } from "../../../../src/sources/http/host-transport.ts";
import { parseNoProxy } from "../../../../src/sources/http/no-proxy.ts";
import { createProxyChoice, type ProxySettings } from "../../../../src/sources/http/proxies.ts";
import { type Authority, type IssuedPair, openAuthority } from "../../../support/certificates.ts";
import { missingPrograms } from "../../../support/peers.ts";
import { startProxyServer } from "../../../support/proxy-server.ts";
import { startRegistry } from "../../../support/registry.ts";
import { startSocksServer } from "../../../support/socks-server.ts";
import { errorOf, printed } from "../resolve-with.ts";
import { getElsewhere, listen, openAsking, transportOf } from "./requesting.ts";

const hello = (_: unknown, response: { end(text: string): void }): void => response.end("hello");

describe("parseNoProxy", () => {
  test.each([
    ["*", "https://any.example.com", true],
    ["example.com", "https://example.com", true],
    ["example.com", "https://sub.example.com:8443", true],
    ["example.com", "https://notexample.com", false],
    [".example.com", "https://sub.example.com", true],
    [".example.com", "https://example.com", false],
    ["*.example.com", "https://a.b.example.com", true],
    ["*.example.com", "https://example.com", false],
    ["EXAMPLE.com", "https://Example.COM", true],
    ["example.com", "https://example.com.", true],
    ["example.com:443", "https://example.com", true],
    ["example.com:443", "https://example.com:8443", false],
    ["example.com:80", "http://example.com", true],
    ["10.1.2.3", "http://10.1.2.3:5000", true],
    ["10.1.2.3", "http://10.1.2.30", false],
    ["10.1.2.3:5000", "http://10.1.2.3:5000", true],
    ["10.1.2.3:5000", "http://10.1.2.3", false],
    ["10.0.0.0/8", "https://10.200.0.1", true],
    ["10.0.0.0/8", "https://11.0.0.1", false],
    ["10.0.0.0/8", "https://ten.example.com", false],
    ["fd00::/8", "https://[fd12::1]", true],
    ["::1", "https://[::1]:5000", true],
    ["[fd00::1]:443", "https://[fd00::1]", true],
    ["[fd00::1]:80", "https://[fd00::1]", false],
    ["bücher.example", "https://xn--bcher-kva.example", true],
    [" a.com , b.com ", "https://b.com", true],
    ["", "https://b.com", false],
    [",, ,10.0.0.0/99,10.0.0.0/8/8,/,:80,%", "https://b.com", false],
  ])("%j: %s is reached directly: %s", (list, url, direct) => {
    expect(parseNoProxy(list)(new URL(url))).toBe(direct);
  });
});

describe("createProxyChoice", () => {
  const environment: ProxySettings = {
    http: "http://plain.proxy:1",
    https: "http://secure.proxy:2",
    all: "socks5://all.proxy",
    no: "direct.test",
  };
  const choose = (url: string, settings: ProxySettings, proxy?: string): readonly [string | undefined, unknown] => {
    const transport = proxy === undefined ? PLAIN_TRANSPORT : transportOf({ proxy });
    const choice = createProxyChoice(settings)(new URL(url), transport);
    return [choice.proxy?.address, choice.decidedBy];
  };

  test.each([
    ["http://a.test", "http://plain.proxy:1", "HTTP_PROXY"],
    ["https://a.test", "http://secure.proxy:2", "HTTPS_PROXY"],
    ["https://direct.test", undefined, "NO_PROXY"],
    ["https://127.0.0.1:5000", undefined, "it is this machine"],
    ["http://localhost:5000", undefined, "it is this machine"],
    ["http://[::1]:5000", undefined, "it is this machine"],
  ])("%s goes through %s (%s)", (url, proxy, decidedBy) => {
    expect(choose(url, environment)).toEqual([proxy, decidedBy]);
  });

  test("ALL_PROXY is used where the scheme has none", () => {
    expect(choose("https://a.test", { all: "socks5h://all.proxy" })).toEqual(["socks5://all.proxy:1080", "ALL_PROXY"]);
    expect(choose("https://a.test", { https: "", all: "http://all.proxy" })).toEqual(["http://all.proxy", "ALL_PROXY"]);
    expect(choose("https://a.test", {})).toEqual([undefined, undefined]);
  });

  test("what is configured for the host comes before the environment", () => {
    expect(choose("https://direct.test", environment, "https://own.proxy")).toEqual([
      "https://own.proxy",
      "/etc/test/hosts.toml",
    ]);
  });

  test("a proxy without a scheme is spoken to in http", () => {
    expect(choose("https://a.test", { https: "proxy.test:3128" })[0]).toBe("http://proxy.test:3128");
  });

  test.each([
    ["http://user:swordfish@:80", "no URL"],
    ["http://user:sword%zzfish@proxy.test", "percent-encoded"],
    ["ftp://user:swordfish@proxy.test", "not supported (ftp)"],
  ])("a malformed one is config-invalid, and its value is not shown", (https, why) => {
    const invalid = expect.objectContaining({ code: "config-invalid", message: expect.stringContaining(why) });
    expect(() => choose("https://a.test", { https })).toThrow(invalid);
    expect(() => choose("https://a.test", { https })).toThrow(/HTTPS_PROXY/);
    expect(() => choose("https://a.test", { https })).not.toThrow(/swordfish|zzfish/);
    // what does not need it is not held up by it
    expect(choose("https://127.0.0.1", { https })[0]).toBeUndefined();
    expect(choose("http://a.test", { https })[0]).toBeUndefined();
  });
});

describe("plain http through a proxy", () => {
  test("is forwarded, with the proxy's credentials for the proxy only", async () => {
    const seen: unknown[] = [];
    await using target = await listen((request, response) => {
      seen.push([request.url, request.headers.host, Object.keys(request.headers).includes("proxy-authorization")]);
      response.end("hello");
    });
    await using proxy = await startProxyServer({
      hosts: { "a.test:80": target.port },
      credentials: "tester:sword fish",
    });
    await using asking = openAsking({ proxies: { http: `http://tester:sword%20fish@${proxy.host}` } });
    expect(await asking.get("http://a.test/v2/?ns=x")).toEqual({ status: 200, text: "hello" });
    expect(seen).toEqual([["/v2/?ns=x", "a.test", false]]);
    expect(proxy.requests).toMatchObject([{ target: "a.test:80", tunnel: false }]);
    expect(asking.decisions()).toEqual([`http://a.test is reached through the proxy ${proxy.url} (HTTP_PROXY)`]);
    expect(JSON.stringify(asking.events)).not.toContain("sword");
  });

  test("is refused with a hint when the proxy wants credentials", async () => {
    await using proxy = await startProxyServer({ credentials: "tester:swordfish" });
    await using asking = openAsking({ proxies: { http: `http://tester:wrong@${proxy.host}` } });
    const error = await errorOf(asking.get("http://a.test/"));
    expect(error).toMatchObject({ code: "registry-unreachable", details: { temporary: false, proxy: proxy.url } });
    expect(error.message).toContain("407");
    expect(error.hint).toContain("USER:PASSWORD");
    expect(printed(error)).not.toContain("wrong");
  });
});

describe("a proxy that cannot be reached", () => {
  test.each(["http://a.test/", "https://a.test/"])("is told apart from %s", async (url) => {
    const gone = await listen(hello);
    await gone[Symbol.asyncDispose]();
    await using asking = openAsking({ proxies: { all: `http://tester:swordfish@127.0.0.1:${gone.port}` } });
    const error = await errorOf(asking.get(url));
    expect(error).toMatchObject({ code: "registry-unreachable", details: { reason: "ECONNREFUSED", temporary: true } });
    expect(error.message).toContain(`the proxy http://127.0.0.1:${gone.port} cannot be reached`);
    expect(printed(error)).not.toContain("swordfish");
  });
});

describe.skipIf(missingPrograms("openssl").length > 0)("https through a proxy (needs openssl)", () => {
  let authority: Authority;
  let server: IssuedPair;
  beforeAll(async () => {
    authority = await openAuthority("authority of the proxied");
    server = await authority.issue("a.test", { names: ["DNS:a.test", "IP:10.9.8.7"] });
  });
  afterAll(() => authority[Symbol.asyncDispose]());

  test.each(["a.test", "10.9.8.7"])("is tunnelled to %s, whose certificate is checked", async (host) => {
    await using target = await listen(hello, server);
    const hosts = { [`${host}:443`]: target.port, "b.test:443": target.port };
    await using proxy = await startProxyServer({ hosts });
    await using asking = openAsking({ proxies: { https: proxy.url } });
    const transport = transportOf({ ca: [authority.ca] });
    expect(await asking.get(`https://${host}/`, { transport })).toEqual({ status: 200, text: "hello" });
    expect(proxy.requests).toMatchObject([{ target: `${host}:443`, tunnel: true }]);
    expect((await errorOf(asking.get(`https://${host}/`))).message).toContain("unknown authority");
    expect((await errorOf(asking.get("https://b.test/", { transport }))).message).toContain("for another host");
  });

  test("shows the client certificate to the target", async () => {
    await using target = await listen(hello, { ...server, ca: authority.ca, requestCert: true });
    await using proxy = await startProxyServer({ hosts: { "a.test:443": target.port } });
    await using asking = openAsking({ proxies: { https: proxy.url } });
    const client = await authority.issue("client");
    const transport = transportOf({ ca: [authority.ca], clientCertificates: [client] });
    expect(await asking.get("https://a.test/", { transport })).toEqual({ status: 200, text: "hello" });
  });

  test("checks an https proxy's own certificate against the system's authorities alone", async () => {
    await using proxy = await startProxyServer({ tls: await authority.issue("proxy") });
    await using asking = openAsking({ proxies: { https: proxy.url } });
    const error = await errorOf(asking.get("https://a.test/", { transport: transportOf({ ca: [authority.ca] }) }));
    expect(error.message).toContain(
      `the proxy ${proxy.url} cannot be reached: its certificate is signed by an unknown`,
    );
    expect(proxy.requests).toEqual([]);
  });

  test.each(["http", "https"])("reaches %s behind an https proxy that the system trusts", async (scheme) => {
    await using target = await listen(hello, scheme === "https" ? server : undefined);
    const hosts = { "a.test:443": target.port, "a.test:80": target.port };
    await using proxy = await startProxyServer({
      hosts,
      tls: await authority.issue("proxy"),
      credentials: "me:secret",
    });
    const options = { proxies: { all: proxy.url.replace("//", "//me:secret@") } };
    const trusted = { SSL_CERT_FILE: authority.caFile };
    expect(await getElsewhere(`${scheme}://a.test/`, { options }, trusted)).toBe("hello\n");
    expect(proxy.requests).toMatchObject([{ tunnel: scheme === "https" }]);
  });

  test.skipIf(missingPrograms("docker-registry").length > 0)(
    "shows several client certificates in turn through a tunnel too (needs docker-registry)",
    async () => {
      await using other = await openAuthority("another authority");
      const tls = { certificate: server.certFile, key: server.keyFile, clientCa: authority.caFile };
      await using registry = await startRegistry({ tls });
      await using proxy = await startProxyServer({ hosts: { "a.test:443": Number(new URL(registry.url).port) } });
      await using asking = openAsking({ proxies: { https: proxy.url } });
      const clientCertificates = [await other.issue("stranger"), await authority.issue("client")];
      const transport = transportOf({ ca: [authority.ca], clientCertificates });
      expect(await asking.get("https://a.test/v2/", { transport })).toMatchObject({ status: 200 });
      expect(asking.decisions()[1]).toContain("refuses client certificate 1 of 2");
    },
  );

  test.each([
    [407, false, "asks for a user name and password"],
    [403, false, "refuses to connect to it (403)"],
    [502, true, "could not connect to it (502)"],
  ])("an answer of %s by the proxy is the proxy's", async (status, temporary, why) => {
    await using proxy = await startProxyServer({ status });
    await using asking = openAsking({ proxies: { https: `http://tester:swordfish@${proxy.host}` } });
    const error = await errorOf(asking.get("https://a.test/"));
    expect(error).toMatchObject({ code: "registry-unreachable", details: { temporary } });
    expect(error.message).toContain(`the proxy ${proxy.url} ${why}`);
    expect(printed(error)).not.toContain("swordfish");
  });

  test.each(["http", "https"])("%s goes through SOCKS 5 too, with credentials", async (scheme) => {
    await using target = await listen(hello, scheme === "https" ? server : undefined);
    const port = scheme === "https" ? 443 : 80;
    await using proxy = await startSocksServer({
      hosts: { [`a.test:${port}`]: target.port },
      credentials: "tester:sword fish",
    });
    await using asking = openAsking({ proxies: { all: `socks5h://tester:sword%20fish@${proxy.host}` } });
    const transport = transportOf({ ca: [authority.ca] });
    expect(await asking.get(`${scheme}://a.test/`, { transport })).toEqual({ status: 200, text: "hello" });
    expect(proxy.requests).toEqual([`a.test:${port}`]);
    await using wrong = openAsking({ proxies: { all: `socks5://tester:wrong@${proxy.host}` } });
    const error = await errorOf(wrong.get(`${scheme}://a.test/`, { transport }));
    expect(error.message).toContain("refuses the user name and password");
    expect(printed(error)).not.toContain("wrong");
  });
});
