/** Redirects, step by step, without a network: what is followed, and what is carried along. */
import { describe, expect, test } from "vitest";
import { type RootwrightEvent, silent } from "../../../../src/events.ts";
import type { HostTransport } from "../../../../src/sources/http/host-transport.ts";
import type { HttpRequest, HttpResponse } from "../../../../src/sources/http/http-client.ts";
import { followRedirects } from "../../../../src/sources/http/redirects.ts";
import { createTransportSecurity } from "../../../../src/sources/http/transport-security.ts";
import { transportOf } from "./requesting.ts";

interface Scene {
  readonly insecure?: readonly string[];
  readonly request?: Partial<HttpRequest>;
  /** By host; hosts that are not named are unknown to the configuration. */
  readonly transports?: Readonly<Record<string, HostTransport>>;
}

/** Follows from address to address as `steps` say, and returns what was sent. */
async function send(start: string, steps: Readonly<Record<string, string>>, scene: Scene = {}): Promise<HttpRequest[]> {
  const sent: HttpRequest[] = [];
  const answer = async (request: HttpRequest): Promise<HttpResponse> => {
    sent.push(request);
    const location = steps[request.url.href];
    return {
      status: location === undefined ? 200 : 307,
      url: request.url,
      headers: (name) => (name === "location" && location !== undefined ? [location] : []),
      body: (async function* () {})(),
      discard: async () => {},
    };
  };
  const headers = { authorization: "Basic secret", cookie: "secret", range: "bytes=5-" };
  const transportFor = async (host: string): Promise<HostTransport> =>
    scene.transports?.[host] ?? transportOf({ key: `unknown ${host}`, configuredBy: [] });
  const followed = followRedirects(answer, createTransportSecurity(scene.insecure ?? []), transportFor);
  await followed({ method: "GET", url: new URL(start), headers, emit: silent, ...scene.request });
  return sent;
}

/** Addresses and names of headers. */
async function follow(start: string, steps: Readonly<Record<string, string>>, insecure: readonly string[] = []) {
  const sent = await send(start, steps, { insecure });
  return sent.map(({ url, headers: names }) => [url.href, Object.keys(names ?? {})]);
}

const ALL = ["authorization", "cookie", "range"];

describe("followRedirects", () => {
  test("carries everything within one origin", async () => {
    expect(await follow("https://a.io/1", { "https://a.io/1": "/2" })).toEqual([
      ["https://a.io/1", ALL],
      ["https://a.io/2", ALL],
    ]);
  });

  test.each(["https://b.io/2", "https://a.io:444/2", "https://sub.a.io/2", "//b.io/2"])(
    "carries no secrets to %s",
    async (to) => {
      const sent = await follow("https://a.io/1", { "https://a.io/1": to });
      expect(sent[1]).toEqual([new URL(to, "https://a.io").href, ["range"]]);
    },
  );

  test("does not take secrets up again on the way back", async () => {
    const sent = await follow("https://a.io/1", {
      "https://a.io/1": "https://b.io/2",
      "https://b.io/2": "https://a.io/3",
    });
    expect(sent[2]).toEqual(["https://a.io/3", ["range"]]);
  });

  test("refuses to go from https to plain http", async () => {
    const steps = { "https://a.io/1": "http://a.io/2" };
    await expect(follow("https://a.io/1", steps)).rejects.toMatchObject({ code: "registry-insecure" });
  });

  test("goes from https to plain http where the operator allows it, without secrets", async () => {
    const sent = await follow("https://a.io/1", { "https://a.io/1": "http://a.io/2" }, ["a.io"]);
    expect(sent[1]).toEqual(["http://a.io/2", ["range"]]);
  });

  test("does not begin in plain http where that is not allowed", async () => {
    await expect(follow("http://a.io/1", {})).rejects.toMatchObject({ code: "registry-insecure" });
  });

  test("tells who hands over to whom, and no address", async () => {
    const events: RootwrightEvent[] = [];
    const emit = (event: RootwrightEvent): void => void events.push(event);
    const steps = { "https://a.io/1": "/2", "https://a.io/2": "https://user:pass@b.io/3?signature=secret" };
    await send("https://a.io/1", steps, { request: { emit } });
    expect(events).toEqual([{ type: "decision", topic: "redirect", message: "a.io hands over to https://b.io" }]);
  });

  test("gives up after eight", async () => {
    const steps = { "https://a.io/1": "https://b.io/2", "https://b.io/2": "https://a.io/1" };
    await expect(follow("https://a.io/1", steps)).rejects.toMatchObject({
      message: expect.stringMatching(/more than 8 times/),
      hint: expect.stringContaining("ask who runs a.io"),
    });
  });

  test.each(["https://localhost:2376/", "http://127.0.0.1:2375/"])(
    "does not follow from elsewhere to %s",
    async (to) => {
      for (const from of ["https://a.io/1", "http://plain.io/1"]) {
        const refused = follow(from, { [from]: to }, ["plain.io"]);
        await expect(refused).rejects.toMatchObject({ code: "registry-insecure" });
      }
    },
  );

  test("follows on this machine from https to https", async () => {
    const sent = await follow("https://localhost:1/1", { "https://localhost:1/1": "https://127.0.0.1:2/2" });
    expect(sent).toHaveLength(2);
  });

  test("tells with a hint that a step has no address", async () => {
    await expect(follow("https://a.io/1", { "https://a.io/1": "http://" })).rejects.toMatchObject({
      code: "registry-error",
      message: expect.stringContaining("redirected to nowhere"),
      hint: expect.stringContaining("ask who runs a.io"),
    });
  });

  test.each(["file:///etc/passwd", "ftp://a.io/", "data:,x", "javascript:alert(1)"])(
    "does not follow to %s",
    async (to) => {
      await expect(follow("https://a.io/1", { "https://a.io/1": to })).rejects.toMatchObject({
        code: "registry-error",
      });
    },
  );
});

describe("what is configured for a host", () => {
  const hostHeaders = { "x-key": "secret of a" };
  const own = transportOf({ key: "a", ca: ["a"] });

  test("stays with it within its origin", async () => {
    const sent = await send("https://a.io/1", { "https://a.io/1": "/2" }, { request: { hostHeaders, transport: own } });
    expect(sent.map((step) => [step.hostHeaders, step.transport])).toEqual([
      [hostHeaders, own],
      [hostHeaders, own],
    ]);
  });

  test("is not taken to another origin, nor taken up again on the way back", async () => {
    const b = transportOf({ key: "b", skipVerify: true });
    const steps = { "https://a.io/1": "https://b.io/2", "https://b.io/2": "https://a.io/3" };
    const sent = await send("https://a.io/1", steps, {
      request: { hostHeaders, transport: own },
      transports: { "b.io": b, "a.io": own },
    });
    expect(sent.map(({ hostHeaders: kept }) => kept)).toEqual([hostHeaders, undefined, undefined]);
    expect(sent.map(({ transport }) => transport)).toEqual([own, b, own]);
    expect(JSON.stringify(sent.slice(1))).not.toContain("secret of a");
  });

  test("is looked up for requests that come without", async () => {
    const [request] = await send("https://token.io/", {}, { transports: { "token.io": own } });
    expect(request?.transport).toBe(own);
  });

  test("may allow plain http to it, and to nobody else", async () => {
    const plain = transportOf({ key: "plain", plainHttp: true });
    const transports = { "cache.io:8080": plain };
    const to = (address: string) => send("https://a.io/1", { "https://a.io/1": address }, { transports });
    expect((await to("http://cache.io:8080/2")).at(-1)?.transport).toBe(plain);
    await expect(to("http://cache.io/2")).rejects.toMatchObject({ code: "registry-insecure" });
    await expect(to("http://other.io:8080/2")).rejects.toMatchObject({ code: "registry-insecure" });
  });
});
