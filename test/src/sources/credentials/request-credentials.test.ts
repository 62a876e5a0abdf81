/** Credentials that come with a request, and the check of those that an operator configured. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, test } from "vitest";
import type { AppError } from "../../../../src/errors.ts";
import {
  checkDockerConfig,
  createCredentials,
  createRequestCredentials,
} from "../../../../src/sources/registry/credentials.ts";
import { openTempDir } from "../../../support/temp-dir.ts";
import { answers, openHelperDirectory } from "./helper-program.ts";

const SECRET = "hush-hush";

describe("createRequestCredentials", () => {
  test.each([
    ["config.json", { auths: { "a.io": { auth: btoa(`user:${SECRET}`) } } }],
    [".dockercfg", { "https://a.io/v1/": { auth: btoa(`user:${SECRET}`), email: "x@example.com" } }],
  ])("takes the content of a %s", async (_, config) => {
    const credentials = createRequestCredentials(JSON.stringify(config));
    expect(await credentials.find({ host: "a.io" })).toMatchObject({
      kind: "password",
      username: "user",
      password: SECRET,
      source: expect.stringContaining("the request's docker config"),
    });
    expect(await credentials.find({ host: "b.io" })).toBeUndefined();
  });

  test.each([{ credsStore: "ours" }, { credHelpers: { "a.io": "ours" } }])(
    "refuses %j, and runs nothing",
    async (extra) => {
      await using helpers = await openHelperDirectory();
      await helpers.install("ours", answers("user", SECRET));
      const text = JSON.stringify({ auths: { "a.io": { auth: btoa("u:p") } }, ...extra });
      expect(() => createRequestCredentials(text)).toThrow(/credential helpers/);
      expect(await helpers.runs("ours")).toBe(0);
    },
  );

  test.each([
    ["no JSON", `{"auths": ${SECRET}`],
    ["no object", `"${SECRET}"`],
    ["auths that are none", JSON.stringify({ auths: [SECRET] })],
    ["a password that is no text", JSON.stringify({ auths: { "a.io": { password: [SECRET] } } })],
  ])("refuses %s, and quotes nothing of it", (_, text) => {
    let error: AppError | undefined;
    try {
      createRequestCredentials(text);
    } catch (thrown) {
      error = thrown as AppError;
    }
    expect(error).toMatchObject({ code: "credentials-invalid", hint: expect.stringContaining('{"auths":{') });
    expect(JSON.stringify([error?.message, error?.hint, error?.details, String(error?.cause)])).not.toContain(SECRET);
  });
});

describe("an identity", () => {
  const entry = (username: string, password: string): string =>
    JSON.stringify({ auths: { "a.io": { auth: btoa(`${username}:${password}`) } } });
  const identify = (config: string): Promise<string> => createRequestCredentials(config).identify({ host: "a.io" });

  test("is equal for equal users with equal secrets, wherever they are configured", async () => {
    const ours = createCredentials({ dockerConfig: entry("u", "p") });
    expect(await identify(entry("u", "p"))).toBe(await ours.identify({ host: "a.io" }));
  });

  test("differs by user, by secret, by kind, and from nobody's", async () => {
    const token = (kind: string): string => JSON.stringify({ auths: { "a.io": { [kind]: "p" } } });
    const configs = [
      entry("u", "p"),
      entry("u", "q"),
      entry("v", "p"),
      token("identitytoken"),
      token("registrytoken"),
      "{}",
    ];
    expect(new Set(await Promise.all(configs.map(identify))).size).toBe(configs.length);
  });

  test("cannot be told from its secret's text", async () => {
    expect(await identify(entry("u", SECRET))).toMatch(/^[0-9a-f]{64}$/);
  });

  test("of a helper's credentials is the helper's, which is not asked", async () => {
    await using helpers = await openHelperDirectory();
    await helpers.install("ours", answers("user", SECRET));
    const credentials = createCredentials({ dockerConfig: JSON.stringify({ credsStore: "ours" }) });
    expect(await credentials.identify({ host: "a.io" })).not.toBe(await credentials.identify({ host: "b.io" }));
    expect(await helpers.runs("ours")).toBe(0);
  });
});

describe("checkDockerConfig", () => {
  const good = JSON.stringify({ auths: { "a.io": { auth: btoa("u:p") } }, credsStore: "not-installed-here" });

  test("accepts JSON, a path and a URL, and that there is none", async () => {
    await using temp = await openTempDir("check");
    const path = join(temp.path, "config.json");
    await writeFile(path, good);
    for (const dockerConfig of [good, path, pathToFileURL(path).href]) await checkDockerConfig({ dockerConfig });
    await checkDockerConfig({ home: temp.path });
  });

  test.each([
    ["no JSON", `{${SECRET}`],
    ["an entry that cannot be decoded", JSON.stringify({ auths: { "a.io": { auth: SECRET } } })],
    ["a helper that is a path", JSON.stringify({ credsStore: "../../bin/sh" })],
    ["a missing file", "/nonexistent/config.json"],
    ["a URL with a host", "file://example.com/config.json"],
  ])("refuses %s", async (_, dockerConfig) => {
    const error = (await checkDockerConfig({ dockerConfig }).catch((thrown: unknown) => thrown)) as AppError;
    expect(error).toMatchObject({ code: "credentials-invalid" });
    expect(error.message).not.toContain(SECRET);
  });
});
