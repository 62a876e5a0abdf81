/** Passwords that are sent as they are: from files, from helpers that change their mind, and for several users at once. */
import { describe, expect, test } from "vitest";
import { createRequestCredentials } from "../../../../src/sources/registry/credentials.ts";
import { openAuthorizing } from "./authorizing.ts";
import { answers, openHelperDirectory } from "./helper-program.ts";
import { basicUser, type Reply, type StandIn, startStandIn, unauthorized } from "./stand-in.ts";

/** Accepts one `user:password`, which may change. */
async function startBasic(accepted: { user: string }, refusal?: Reply): Promise<StandIn> {
  return startStandIn(({ authorization }) => {
    if (basicUser(authorization) === accepted.user) return { status: 200, body: "content" };
    return authorization === undefined || refusal === undefined ? unauthorized('Basic realm="x"') : refusal;
  });
}

const config = (host: string, user: string): string => JSON.stringify({ auths: { [host]: { auth: btoa(user) } } });

describe("credentials from a file", () => {
  test("are asked for once, and then sent with every request", async () => {
    await using registry = await startBasic({ user: "u:p" });
    await using authorizing = openAuthorizing({ dockerConfig: config(registry.host, "u:p") });
    for (const item of ["a", "b", "c"]) {
      expect(await authorizing.get(registry.host, item)).toMatchObject({ status: 200, text: "content" });
    }
    expect(registry.seen.map(({ authorization }) => authorization !== undefined)).toEqual([false, true, true, true]);
  });

  test("that are refused are not sent a second time, and the registry's own words are left to read", async () => {
    await using registry = await startBasic({ user: "somebody:else" });
    await using authorizing = openAuthorizing({ dockerConfig: config(registry.host, "u:p") });
    const answer = await authorizing.get(registry.host, "a");
    expect(answer).toMatchObject({ status: 401, text: expect.stringContaining("UNAUTHORIZED") });
    expect(answer.credentialSource).toContain(registry.host);
    expect(registry.seen).toHaveLength(2);
  });

  test("that nobody has leave the refusal as it is", async () => {
    await using registry = await startBasic({ user: "u:p" });
    await using authorizing = openAuthorizing({});
    expect(await authorizing.get(registry.host, "a")).toMatchObject({
      status: 401,
      text: expect.stringContaining("UNAUTHORIZED"),
      credentialSource: undefined,
    });
    expect(registry.seen).toHaveLength(1);
  });

  test("that cannot be read are no matter where none are asked for", async () => {
    await using registry = await startStandIn(() => ({ status: 200 }));
    await using authorizing = openAuthorizing({ dockerConfig: "/nonexistent" });
    expect(await authorizing.get(registry.host, "a")).toMatchObject({ status: 200 });
    await using closed = await startBasic({ user: "u:p" });
    await expect(authorizing.get(closed.host, "a")).rejects.toMatchObject({ code: "credentials-invalid" });
  });
});

describe("credentials that came with a request", () => {
  test("are never sent with another's", async () => {
    const allowed = ["ours:1", "one:1", "two:2"];
    await using registry = await startStandIn(({ authorization }) => {
      const user = basicUser(authorization);
      return user !== undefined && allowed.includes(user)
        ? { status: 200, body: user }
        : unauthorized('Basic realm="x"');
    });
    await using authorizing = openAuthorizing({ dockerConfig: config(registry.host, "ours:1") });
    const ask = async (user?: string): Promise<string> => {
      const credentials =
        user === undefined ? {} : { credentials: createRequestCredentials(config(registry.host, user)) };
      return (await authorizing.get(registry.host, "a", credentials)).text;
    };
    const askAll = (): Promise<string[]> => Promise.all([ask(), ask("one:1"), ask("two:2"), ask("one:1")]);
    expect(await askAll()).toEqual(["ours:1", "one:1", "two:2", "one:1"]);
    // now that all of them are remembered
    expect(await askAll()).toEqual(["ours:1", "one:1", "two:2", "one:1"]);
  });

  test("are all that there is: without an entry for the registry, the request is anonymous", async () => {
    await using registry = await startBasic({ user: "ours:1" });
    await using authorizing = openAuthorizing({ dockerConfig: config(registry.host, "ours:1") });
    expect(await authorizing.get(registry.host, "a")).toMatchObject({ status: 200 });
    const before = registry.seen.length;
    const credentials = createRequestCredentials(config("other.example.com", "one:1"));
    expect(await authorizing.get(registry.host, "a", { credentials })).toMatchObject({ status: 401 });
    expect(registry.seen.slice(before).map(({ authorization }) => authorization)).toEqual([undefined]);
  });

  test("with a wrong password do not profit from the right one", async () => {
    await using registry = await startBasic({ user: "ours:right" });
    await using authorizing = openAuthorizing({ dockerConfig: config(registry.host, "ours:right") });
    await authorizing.get(registry.host, "a");
    const credentials = createRequestCredentials(config(registry.host, "ours:wrong"));
    expect(await authorizing.get(registry.host, "a", { credentials })).toMatchObject({ status: 401 });
  });
});

describe("a helper", () => {
  test("is not run for every request, and is asked again when its password is refused", async () => {
    await using helpers = await openHelperDirectory();
    await helpers.install("cloud", answers("AWS", "monday"));
    const accepted = { user: "AWS:monday" };
    await using registry = await startBasic(accepted);
    await using authorizing = openAuthorizing({ dockerConfig: JSON.stringify({ credsStore: "cloud" }) });
    for (const item of ["a", "b", "c"]) await authorizing.get(registry.host, item);
    expect(await helpers.runs("cloud")).toBe(1);
    await helpers.install("cloud", answers("AWS", "tuesday"));
    accepted.user = "AWS:tuesday";
    expect(await authorizing.get(registry.host, "d")).toMatchObject({
      status: 200,
      credentialSource: "docker-credential-cloud",
    });
    expect(await helpers.runs("cloud")).toBe(2);
  });

  test("is asked again when its password has run out and the registry says 403 without a challenge", async () => {
    await using helpers = await openHelperDirectory();
    await helpers.install("cloud", answers("AWS", "monday"));
    const accepted = { user: "AWS:monday" };
    await using registry = await startBasic(accepted, { status: 403, body: "Your authorization token has expired" });
    await using authorizing = openAuthorizing({ dockerConfig: JSON.stringify({ credsStore: "cloud" }) });
    await authorizing.get(registry.host, "a");
    await helpers.install("cloud", answers("AWS", "tuesday"));
    accepted.user = "AWS:tuesday";
    expect(await authorizing.get(registry.host, "b")).toMatchObject({ status: 200 });
  });

  test("that gives a fresh one only when asked twice is asked twice", async () => {
    await using helpers = await openHelperDirectory();
    const fresh = `test -e "$0.asked" && { ${answers("AWS", "fresh")}; exit; }; touch "$0.asked"; ${answers("AWS", "stale")}`;
    await helpers.install("cloud", fresh);
    await using registry = await startBasic({ user: "AWS:fresh" });
    await using authorizing = openAuthorizing({ dockerConfig: JSON.stringify({ credsStore: "cloud" }) });
    expect(await authorizing.get(registry.host, "a")).toMatchObject({ status: 200 });
    expect(await helpers.runs("cloud")).toBe(2);
  });

  test("is asked once more and no more, however often it changes its mind", async () => {
    await using helpers = await openHelperDirectory();
    const counting = `echo run >> "$0.log"; echo '{"Username":"AWS","Secret":"'$(wc -l < "$0.log")'"}'`;
    await helpers.install("cloud", counting);
    await using registry = await startBasic({ user: "none:at all" });
    await using authorizing = openAuthorizing({ dockerConfig: JSON.stringify({ credsStore: "cloud" }) });
    expect(await authorizing.get(registry.host, "a")).toMatchObject({ status: 401 });
    expect(await helpers.runs("cloud")).toBe(2);
    expect(registry.seen).toHaveLength(3);
  });

  test("that says the same again ends it", async () => {
    await using helpers = await openHelperDirectory();
    await helpers.install("cloud", answers("AWS", "wrong"));
    await using registry = await startBasic({ user: "AWS:right" }, { status: 403, body: "no" });
    await using authorizing = openAuthorizing({ dockerConfig: JSON.stringify({ credsStore: "cloud" }) });
    expect(await authorizing.get(registry.host, "a")).toMatchObject({ status: 403, text: "no" });
    expect(registry.seen).toHaveLength(2);
    expect(await helpers.runs("cloud")).toBe(2);
  });

  test("that is missing says so", async () => {
    await using registry = await startBasic({ user: "u:p" });
    await using authorizing = openAuthorizing({ dockerConfig: JSON.stringify({ credsStore: "absent" }) });
    await expect(authorizing.get(registry.host, "a")).rejects.toMatchObject({
      code: "credentials-invalid",
      message: expect.stringContaining("docker-credential-absent for credentials: it is not installed"),
    });
    expect(authorizing.decisions).toEqual([expect.stringContaining("docker-credential-absent failed")]);
  });

  test("is left when the request is given up", async () => {
    await using helpers = await openHelperDirectory();
    await helpers.install("slow", `echo run >> "$0.log"; exec sleep 600`);
    await using registry = await startBasic({ user: "u:p" });
    await using authorizing = openAuthorizing({ dockerConfig: JSON.stringify({ credsStore: "slow" }) });
    const controller = new AbortController();
    const asking = authorizing.get(registry.host, "a", { signal: controller.signal });
    await expect.poll(() => helpers.runs("slow")).toBe(1);
    controller.abort(new Error("given up"));
    await expect(asking).rejects.toThrow("given up");
  });
});
