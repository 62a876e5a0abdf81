/** Tokens: whom they are for, how long they last, and what is done when a registry or a token server refuses. */
import { describe, expect, test } from "vitest";
import type { AppError } from "../../../../src/errors.ts";
import { PLAIN_TRANSPORT } from "../../../../src/sources/http/host-transport.ts";
import type { HttpRequest } from "../../../../src/sources/http/http-client.ts";
import { openHttpClient } from "../../../../src/sources/http/http-client.ts";
import { createRequestCredentials } from "../../../../src/sources/registry/credentials.ts";
import { tokenLifetimeMs } from "../../../../src/sources/registry/token-lifetime.ts";
import { openAuthorizing } from "./authorizing.ts";
import { answers, openHelperDirectory } from "./helper-program.ts";
import { basicUser, json, type Reply, type Seen, type StandIn, startStandIn, unauthorized } from "./stand-in.ts";

const SECRET = "hush-hush";
const TOKEN = "t0ken";

/** Takes every token that was issued and is in `accepted`; `issue` answers requests to `/token`. */
async function startTokenRegistry(
  issue: (seen: Seen, count: number) => Reply,
  accepts: (token: string) => boolean = () => true,
  challenge = (host: string): string => `Bearer realm="http://${host}/token",service="the, service"`,
): Promise<StandIn> {
  let count = 0;
  return startStandIn((seen, host) => {
    if (seen.url.pathname === "/token") {
      count += 1;
      return issue(seen, count);
    }
    const token = /^Bearer (.+)$/.exec(seen.authorization ?? "")?.[1];
    return token !== undefined && accepts(token) ? { status: 200, body: token } : unauthorized(challenge(host));
  });
}

const issueFor = ({ authorization }: Seen, count: number): Reply =>
  json({ token: `${basicUser(authorization) ?? "nobody"}/${count}`.replace(/:[^/]*/, ""), expires_in: 300 });
const config = (host: string, user: string): string => JSON.stringify({ auths: { [host]: { auth: btoa(user) } } });
const identity = (host: string): string => JSON.stringify({ auths: { [host]: { identitytoken: SECRET } } });

async function errorOf(promise: Promise<unknown>): Promise<AppError> {
  return (await promise.then(
    () => new Error("nothing was thrown"),
    (thrown: unknown) => thrown,
  )) as AppError;
}

describe("a token", () => {
  test("is got once for all who ask for the same at the same time, with service and scope as they were named", async () => {
    await using registry = await startTokenRegistry(issueFor);
    await using authorizing = openAuthorizing({ dockerConfig: config(registry.host, `u:${SECRET}`) });
    const answered = await Promise.all(["a", "b", "c", "d"].map((item) => authorizing.get(registry.host, item)));
    expect(answered.map(({ text }) => text)).toEqual(["u/1", "u/1", "u/1", "u/1"]);
    expect(registry.to("/token").map(({ url }) => Object.fromEntries(url.searchParams))).toEqual([
      { service: "the, service", scope: "repository:team/app:pull", account: "u", client_id: "rootwright" },
    ]);
  });

  test("is another for another repository, and another for another user", async () => {
    await using registry = await startTokenRegistry(issueFor);
    await using authorizing = openAuthorizing({});
    const ask = async (user: string | undefined, repository: string): Promise<string> => {
      const credentials =
        user === undefined ? {} : { credentials: createRequestCredentials(config(registry.host, user)) };
      return (await authorizing.get(registry.host, "a", { repository, ...credentials })).text;
    };
    expect(await ask("one:1", "x")).toBe("one/1");
    expect(await ask("two:2", "x")).toBe("two/2");
    expect(await ask(undefined, "x")).toBe("nobody/3");
    expect(await ask("one:1", "y")).toBe("one/4");
    expect(await ask("one:other password", "x")).toBe("one/5");
    expect(await ask("one:1", "x")).toBe("one/1");
    expect(await ask("two:2", "x")).toBe("two/2");
    expect(await ask(undefined, "x")).toBe("nobody/3");
  });

  test("that has run out in the middle of a pull is replaced, once for all who wait", async () => {
    let accepted = "u/1";
    await using registry = await startTokenRegistry(issueFor, (token) => token === accepted);
    await using authorizing = openAuthorizing({ dockerConfig: config(registry.host, "u:p") });
    await authorizing.get(registry.host, "manifest");
    accepted = "u/2";
    const layers = await Promise.all(["a", "b", "c"].map((item) => authorizing.get(registry.host, item)));
    expect(layers.map(({ status, text }) => [status, text])).toEqual([200, 200, 200].map((status) => [status, "u/2"]));
    expect(registry.to("/token")).toHaveLength(2);
  });

  test("of a short life is renewed before it is refused", async () => {
    await using registry = await startTokenRegistry(({ url }, count) =>
      json({ access_token: `${url.searchParams.get("account")}/${count}`, expires_in: 0.0001 }),
    );
    await using authorizing = openAuthorizing({ dockerConfig: config(registry.host, "u:p") });
    for (const expected of ["u/1", "u/2", "u/3"]) {
      expect(await authorizing.get(registry.host, "a")).toMatchObject({ status: 200, text: expected });
    }
    // the first request alone was refused
    expect(registry.to("/v2/").filter(({ authorization }) => authorization === undefined)).toHaveLength(1);
  });

  test("that is never good enough ends it", async () => {
    await using registry = await startTokenRegistry(issueFor, () => false);
    await using authorizing = openAuthorizing({ dockerConfig: config(registry.host, "u:p") });
    expect(await authorizing.get(registry.host, "a")).toMatchObject({ status: 401 });
    expect(registry.to("/v2/")).toHaveLength(2);
    expect(registry.to("/token")).toHaveLength(1);
  });

  test("is asked for by Bearer where Basic is offered as well", async () => {
    const both = (host: string): string => `Basic realm="a, Bearer realm=x", Bearer realm="http://${host}/token"`;
    await using registry = await startTokenRegistry(issueFor, undefined, both);
    await using authorizing = openAuthorizing({ dockerConfig: config(registry.host, "u:p") });
    expect(await authorizing.get(registry.host, "a")).toMatchObject({ status: 200, text: "u/1" });
  });

  test("tells its scope and life, and that it was got, but not itself", async () => {
    await using registry = await startTokenRegistry(issueFor);
    await using authorizing = openAuthorizing({ dockerConfig: config(registry.host, `u:${SECRET}`) });
    await authorizing.get(registry.host, "a");
    const whose = `who has the docker_config setting (${registry.host})`;
    const got = `token for repository:team/app:pull from http://${registry.host}/token, for ${whose}, good for 300 s`;
    expect(authorizing.decisions).toContain(got);
    expect(JSON.stringify(authorizing.events)).not.toMatch(/hush|u\/1/);
  });

  test("that is configured is sent as it is", async () => {
    await using registry = await startTokenRegistry(issueFor, (token) => token === SECRET);
    const dockerConfig = JSON.stringify({ auths: { [registry.host]: { registrytoken: SECRET } } });
    await using authorizing = openAuthorizing({ dockerConfig });
    expect(await authorizing.get(registry.host, "a")).toMatchObject({ status: 200 });
    expect(registry.to("/token")).toHaveLength(0);
  });
});

describe("a token server", () => {
  test("that refuses a password is an error that names its source, and no secret", async () => {
    await using registry = await startTokenRegistry(() => ({ status: 401, body: SECRET }));
    await using authorizing = openAuthorizing({ dockerConfig: config(registry.host, `u:${SECRET}`) });
    const error = await errorOf(authorizing.get(registry.host, "a"));
    expect(error).toMatchObject({ code: "registry-denied", message: expect.stringContaining("docker_config setting") });
    expect(JSON.stringify([error.message, error.hint, error.details, authorizing.events])).not.toContain(SECRET);
    expect(registry.to("/token")).toHaveLength(1);
  });

  test("that refuses a helper's old password gets its new one", async () => {
    await using helpers = await openHelperDirectory();
    const fresh = `test -e "$0.asked" && { ${answers("AWS", "fresh")}; exit; }; touch "$0.asked"; ${answers("AWS", "stale")}`;
    await helpers.install("cloud", fresh);
    await using registry = await startTokenRegistry((seen, count) =>
      basicUser(seen.authorization) === "AWS:fresh" ? issueFor(seen, count) : { status: 401 },
    );
    await using authorizing = openAuthorizing({ dockerConfig: JSON.stringify({ credsStore: "cloud" }) });
    expect(await authorizing.get(registry.host, "a")).toMatchObject({ status: 200, text: "AWS/2" });
    expect(await helpers.runs("cloud")).toBe(2);
  });

  test("makes a helper be asked at every exchange, and at no other time", async () => {
    await using helpers = await openHelperDirectory();
    await helpers.install("cloud", answers("AWS", "p"));
    let accepted = "AWS/1";
    await using registry = await startTokenRegistry(issueFor, (token) => token === accepted);
    await using authorizing = openAuthorizing({ dockerConfig: JSON.stringify({ credsStore: "cloud" }) });
    for (const item of ["a", "b", "c"]) await authorizing.get(registry.host, item);
    expect(await helpers.runs("cloud")).toBe(1);
    accepted = "AWS/2";
    expect(await authorizing.get(registry.host, "d")).toMatchObject({ status: 200 });
    expect(await helpers.runs("cloud")).toBe(2);
  });

  test("is reached by the transport of its own host", async () => {
    await using http = openHttpClient({});
    const transport = { ...PLAIN_TRANSPORT, key: "for the realm" };
    const requests: HttpRequest[] = [];
    const asked: string[] = [];
    await using registry = await startTokenRegistry(issueFor);
    await using authorizing = openAuthorizing(
      { dockerConfig: config(registry.host, "u:p") },
      {
        send: (request) => {
          requests.push(request);
          return http.send(request);
        },
        transportForRealm: async (realm, request) => {
          asked.push(`${realm.pathname} for ${request.url.pathname}`);
          return transport;
        },
      },
    );
    expect(await authorizing.get(registry.host, "a")).toMatchObject({ status: 200 });
    expect(asked).toEqual(["/token for /v2/team/app/a"]);
    const used = requests.map(({ url, transport: own }) => [url.pathname, own?.key]);
    expect(used.filter(([path]) => path === "/token")).toEqual([["/token", "for the realm"]]);
    expect(used.filter(([, key]) => key !== undefined)).toHaveLength(1);
  });

  test.each([
    ["is in plain http elsewhere", "http://tokens.example.com/token", "registry-insecure"],
    ["has no address", "", "registry-error"],
    ["has one that cannot be", "http://", "registry-error"],
    ["is a file", "file:///etc/passwd", "registry-error"],
    ["speaks something else", "ftp://tokens.example.com/", "registry-error"],
  ])("is not asked when it %s", async (_, realm, code) => {
    await using registry = await startTokenRegistry(issueFor, undefined, () => `Bearer realm="${realm}"`);
    await using authorizing = openAuthorizing({ dockerConfig: config(registry.host, `u:${SECRET}`) });
    expect(await errorOf(authorizing.get(registry.host, "a"))).toMatchObject({ code, hint: expect.anything() });
    expect(registry.seen).toHaveLength(1);
  });

  test("without an address costs no connection, however often it is met", { timeout: 10_000 }, async () => {
    const bad = 'Bearer realm="http://"';
    // longer than what is read along with the headers, so that it is not simply there
    const body = "x".repeat(1_000_000);
    await using registry = await startStandIn(() => ({ ...unauthorized(bad), body }));
    await using authorizing = openAuthorizing({});
    for (let count = 0; count < 10; count += 1) {
      const error = await errorOf(authorizing.get(registry.host, "a"));
      expect(error.message).toContain("its token server is no ");
    }
  });

  test("may be one of the registry's own addresses", async () => {
    await using registry = await startTokenRegistry(issueFor, undefined, () => 'Bearer realm="/token"');
    await using authorizing = openAuthorizing({ dockerConfig: config(registry.host, `u:${SECRET}`) });
    expect(await authorizing.get(registry.host, "a")).toMatchObject({ status: 200 });
    expect(registry.to("/token")).toHaveLength(1);
  });

  test.each<readonly [string, Reply, RegExp]>([
    ["a failure", { status: 503 }, /try again later/],
    ["a redirect without an aim", { status: 404 }, /ask who runs the registry/],
    ["no token", json({}), /ask who runs the registry/],
    ["a page", { status: 200, body: "x".repeat(300_000) }, /ask who runs the registry/],
  ])("that answers with %s is told with a hint", async (_, reply, hint) => {
    await using registry = await startTokenRegistry(() => reply);
    await using authorizing = openAuthorizing({ dockerConfig: config(registry.host, `u:${SECRET}`) });
    const error = await errorOf(authorizing.get(registry.host, "a"));
    expect(error).toMatchObject({ code: "registry-error", hint: expect.stringMatching(hint) });
  });

  test("is asked in a queue that bodies do not fill", async () => {
    await using registry = await startTokenRegistry(issueFor);
    const queues: (string | undefined)[] = [];
    await using http = openHttpClient({});
    const send = (request: HttpRequest) => {
      if (request.url.pathname === "/token") queues.push(request.queue);
      return http.send(request);
    };
    await using authorizing = openAuthorizing({ dockerConfig: config(registry.host, `u:${SECRET}`) }, { send });
    await authorizing.get(registry.host, "a");
    expect(queues).toEqual(["token"]);
  });
});

describe("an identity token", () => {
  test("is exchanged in the body of a POST", async () => {
    await using registry = await startTokenRegistry(() => json({ access_token: TOKEN }));
    await using authorizing = openAuthorizing({ dockerConfig: identity(registry.host) });
    expect(await authorizing.get(registry.host, "a")).toMatchObject({ status: 200, text: TOKEN });
    const [exchange] = registry.to("/token");
    expect(exchange).toMatchObject({ method: "POST", authorization: undefined });
    expect(Object.fromEntries(new URLSearchParams(exchange?.body))).toEqual({
      grant_type: "refresh_token",
      client_id: "rootwright",
      service: "the, service",
      scope: "repository:team/app:pull",
      refresh_token: SECRET,
    });
  });

  test.each([
    ["knows no such path", { status: 404 }],
    ["knows no POST", { status: 405 }],
    ["does not know the grant", { status: 400, body: JSON.stringify({ error: "unsupported_grant_type" }) }],
  ])("is presented by GET to a server that %s", async (_, refusal) => {
    await using registry = await startTokenRegistry(({ method }) =>
      method === "POST" ? refusal : json({ token: TOKEN }),
    );
    await using authorizing = openAuthorizing({ dockerConfig: identity(registry.host) });
    expect(await authorizing.get(registry.host, "a")).toMatchObject({ status: 200, text: TOKEN });
    const [, second] = registry.to("/token");
    expect(second).toMatchObject({ method: "GET" });
    expect(basicUser(second?.authorization)).toBe(`:${SECRET}`);
    expect(second?.url.searchParams.has("account")).toBe(false);
    expect(authorizing.decisions).toContainEqual(expect.stringContaining("by GET"));
  });

  test.each([
    [{ status: 401 }],
    [{ status: 403 }],
    [{ status: 400, body: JSON.stringify({ error: "invalid_grant" }) }],
    [{ status: 400, body: "no JSON" }],
  ])("that is refused with %j is presented in no other way", async (refusal) => {
    await using registry = await startTokenRegistry(() => refusal);
    await using authorizing = openAuthorizing({ dockerConfig: identity(registry.host) });
    const error = await errorOf(authorizing.get(registry.host, "a"));
    expect(error).toMatchObject({ code: "registry-denied" });
    expect(JSON.stringify([error.message, error.hint, error.details, authorizing.events])).not.toContain(SECRET);
    expect(registry.to("/token")).toHaveLength(1);
  });

  test("is no password for a registry that wants one", async () => {
    await using registry = await startStandIn(() => unauthorized('Basic realm="x"'));
    await using authorizing = openAuthorizing({ dockerConfig: identity(registry.host) });
    expect(await authorizing.get(registry.host, "a")).toMatchObject({ status: 401, credentialSource: undefined });
    expect(registry.seen).toHaveLength(1);
  });
});

describe("tokenLifetimeMs", () => {
  const DATE = "Tue, 15 Nov 1994 08:12:31 GMT";

  test.each([
    ["a number of seconds", { expires_in: 300 }, undefined, 300_000],
    ["the same as text", { expires_in: "300" }, undefined, 300_000],
    ["nothing", {}, undefined, 60_000],
    ["zero", { expires_in: 0 }, undefined, 60_000],
    ["less than nothing", { expires_in: -5 }, undefined, 60_000],
    ["nonsense", { expires_in: "soon", issued_at: "yesterday" }, DATE, 60_000],
    ["a token of half a minute ago", { expires_in: 300, issued_at: "1994-11-15T08:12:01Z" }, DATE, 270_000],
    ["a token that has run out", { expires_in: 10, issued_at: "1994-11-15T08:00:00Z" }, DATE, 0],
    ["a token of the future", { expires_in: 300, issued_at: "1994-11-15T09:00:00Z" }, DATE, 300_000],
    ["a time, but no time of day", { expires_in: 300, issued_at: "1994-11-15T08:12:01Z" }, undefined, 300_000],
    ["a time of day that is none", { expires_in: 300, issued_at: "1994-11-15T08:12:01Z" }, "now", 300_000],
  ])("understands %s", (_, claims, date, expected) => {
    expect(tokenLifetimeMs(claims, date)).toBe(expected);
  });
});
