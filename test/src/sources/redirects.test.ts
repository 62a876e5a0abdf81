/** Redirects, step by step, without a network: what is followed, and what is carried along. */
import { describe, expect, test } from "vitest";
import { silent } from "../../../src/events.ts";
import type { HttpRequest, HttpResponse } from "../../../src/sources/registry/http-client.ts";
import { followRedirects } from "../../../src/sources/registry/redirects.ts";
import { createTransportSecurity } from "../../../src/sources/registry/transport-security.ts";

/** Follows from address to address as `steps` say, and returns what was sent. */
async function follow(start: string, steps: Readonly<Record<string, string>>, insecure: readonly string[] = []) {
  const sent: HttpRequest[] = [];
  const send = async (request: HttpRequest): Promise<HttpResponse> => {
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
  const followed = followRedirects(send, createTransportSecurity(insecure));
  await followed({ method: "GET", url: new URL(start), headers, emit: silent });
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
});
