/** Which credentials a registry gets, from every place that they can be in. */
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { AppError } from "../../../src/errors.ts";
import { createCredentials } from "../../../src/sources/registry/credentials.ts";
import { openTempDir, type TempDir } from "../../support/temp-dir.ts";

const HUB = "https://index.docker.io/v1/";
/** As Mesos tests its parser with them: the new format, and the old, flat one. */
const CONFIG = {
  auths: {
    [HUB]: { auth: "bWVzb3M6dGVzdA==", email: "user@example.com" },
    "localhost:5000": { auth: "dW5pZmllZDpjb250YWluZXJpemVy", email: "user@example.com" },
  },
  HttpHeaders: { "User-Agent": "x" },
};
const DOCKERCFG = {
  "quay.io": { auth: "cXVheTp0ZXN0", email: "user@example.com" },
  [HUB]: { auth: "cHJpdmF0ZTpyZWdpc3RyeQ==", email: "user@example.com" },
  "https://192.168.0.1:5050": { auth: "aXA6YWRkcmVzcw==", email: "user@example.com" },
};

let temp: TempDir;
beforeEach(async () => {
  temp = await openTempDir("credentials");
});
afterEach(() => temp[Symbol.asyncDispose]());

describe("config.json", () => {
  test.each([
    [CONFIG, "registry-1.docker.io", "mesos", "test"],
    [CONFIG, "docker.io", "mesos", "test"],
    [CONFIG, "localhost:5000", "unified", "containerizer"],
    [DOCKERCFG, "quay.io", "quay", "test"],
    [DOCKERCFG, "docker.io", "private", "registry"],
    [DOCKERCFG, "192.168.0.1:5050", "ip", "address"],
  ])("%# is asked for %s", async (config, host, username, password) => {
    expect(await find(config, host)).toMatchObject({ kind: "password", username, password });
  });

  test.each([
    ["localhost:5001", CONFIG],
    ["localhost", CONFIG],
    ["xquay.io", DOCKERCFG],
    ["quay.io.example.com", DOCKERCFG],
    ["192.168.0.1", DOCKERCFG],
    ["mirror.docker.io", CONFIG],
  ])("has nothing for %s", async (host, config) => {
    expect(await find(config, host)).toBeUndefined();
  });

  test.each(
    ["registry.example.com", "localhost:8000", "registry.com"].flatMap((host) =>
      ["https://", "http://", ""].flatMap((scheme) =>
        ["/v1/", "/v2", "/", ""].map((path) => [`${scheme}${host}${path}`, host]),
      ),
    ),
  )("finds the key %s for %s", async (key, host) => {
    expect(await find({ auths: { [key]: { username: "u", password: "p" } } }, host)).toMatchObject({ username: "u" });
  });

  test("does not take the credentials of one namespace for its whole host", async () => {
    expect(await find({ auths: { "quay.io/team": { auth: "cXVheTp0ZXN0" } } }, "quay.io")).toBeUndefined();
  });

  test("prefers the key that is spelled exactly so", async () => {
    const auths = { "https://quay.io": { username: "no", password: "" }, "quay.io": { username: "yes", password: "" } };
    expect(await find({ auths }, "quay.io")).toMatchObject({ username: "yes" });
  });

  test("splits user and password at the first colon, and drops NULs at the end", async () => {
    const auth = Buffer.from("user:pass:word\0\0").toString("base64");
    expect(await find({ auths: { "a.io": { auth } } }, "a.io")).toMatchObject({
      username: "user",
      password: "pass:word",
    });
  });

  test("knows identity tokens and registry tokens", async () => {
    expect(await find({ auths: { "a.io": { identitytoken: "i" } } }, "a.io")).toMatchObject({
      kind: "identity-token",
      token: "i",
    });
    expect(await find({ auths: { "a.io": { registrytoken: "r" } } }, "a.io")).toMatchObject({
      kind: "registry-token",
      token: "r",
    });
  });

  test("takes an empty entry, as Docker leaves it beside a helper, for none", async () => {
    expect(await find({ auths: { "a.io": {} } }, "a.io")).toBeUndefined();
  });

  test.each([
    ["no JSON", "{ secret-in-here"],
    ["auth that is no base64", JSON.stringify({ auths: { "a.io": { auth: "secret-in-here!" } } })],
    ["auth without a colon", JSON.stringify({ auths: { "a.io": { auth: btoa("secret-in-here") } } })],
    ["auths that are no object", JSON.stringify({ auths: "secret-in-here" })],
  ])("with %s is an error that quotes nothing of it", async (_, text) => {
    const error = await createCredentials({ dockerConfig: text })
      .find({ host: "a.io" })
      .catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "credentials-invalid" });
    expect(JSON.stringify([String(error), (error as AppError).hint, String((error as AppError).cause)])).not.toContain(
      "secret",
    );
  });

  test("does not let a damaged entry stand in the way of another", async () => {
    const auths = { "a.io": { auth: "!" }, "b.io": { username: "u", password: "p" } };
    expect(await find({ auths }, "b.io")).toMatchObject({ username: "u" });
  });
});

describe("places", () => {
  const entry = (username: string): string => JSON.stringify({ auths: { "a.io": { username, password: "p" } } });

  test("the configured file comes alone, as a path, a file:// URL or JSON", async () => {
    const path = join(temp.path, "my.json");
    await writeFile(path, entry("file"));
    const others = { dockerAuthConfig: JSON.stringify({ auths: { "b.io": { username: "x", password: "p" } } }) };
    for (const dockerConfig of [path, pathToFileURL(path).href, entry("file")]) {
      const credentials = createCredentials({ dockerConfig, ...others });
      expect(await credentials.find({ host: "a.io" })).toMatchObject({ username: "file" });
      expect(await credentials.find({ host: "b.io" })).toBeUndefined();
    }
  });

  test("a configured file that is missing is an error", async () => {
    const credentials = createCredentials({ dockerConfig: join(temp.path, "none.json") });
    await expect(credentials.find({ host: "a.io" })).rejects.toMatchObject({ code: "credentials-invalid" });
  });

  test("DOCKER_AUTH_CONFIG comes before config.json, which serves what it does not know", async () => {
    await writeFile(
      join(temp.path, "config.json"),
      JSON.stringify({ auths: { "a.io": { username: "file" }, "b.io": { username: "file" } } }),
    );
    const credentials = createCredentials({ dockerAuthConfig: entry("variable"), dockerConfigDir: temp.path });
    expect(await credentials.find({ host: "a.io" })).toMatchObject({ username: "variable" });
    expect(await credentials.find({ host: "b.io" })).toMatchObject({ username: "file" });
  });

  test("DOCKER_AUTH_CONFIG has auths and nothing else", async () => {
    const credentials = createCredentials({ dockerAuthConfig: JSON.stringify({ auths: {}, credsStore: "x" }) });
    await expect(credentials.find({ host: "a.io" })).rejects.toMatchObject({ code: "credentials-invalid" });
  });

  test("the user's own config.json is in .docker, and may be missing", async () => {
    const credentials = (): ReturnType<typeof createCredentials> => createCredentials({ home: temp.path });
    expect(await credentials().find({ host: "a.io" })).toBeUndefined();
    await mkdir(join(temp.path, ".docker"));
    await writeFile(join(temp.path, ".docker/config.json"), entry("home"));
    expect(await credentials().find({ host: "a.io" })).toMatchObject({ username: "home" });
  });
});

describe("credential helpers", () => {
  const path = process.env["PATH"];
  beforeEach(() => {
    process.env["PATH"] = `${temp.path}:${path}`;
  });
  afterEach(() => {
    process.env["PATH"] = path;
  });

  async function install(suffix: string, script: string): Promise<void> {
    const program = join(temp.path, `docker-credential-${suffix}`);
    await writeFile(program, `#!/bin/sh\n${script}\n`);
    await chmod(program, 0o755);
  }

  test("are asked with the host on stdin; the one for the host before the store, the store before auths", async () => {
    await install("one", `read host; echo "{\\"Username\\":\\"one\\",\\"Secret\\":\\"$1 $host\\"}"`);
    await install("all", `read host; echo "{\\"Username\\":\\"all\\",\\"Secret\\":\\"$1 $host\\"}"`);
    const config = {
      credHelpers: { "a.io": "one" },
      credsStore: "all",
      auths: { "b.io": { username: "file", password: "" } },
    };
    expect(await find(config, "a.io")).toMatchObject({ username: "one", password: "get a.io" });
    expect(await find(config, "b.io")).toMatchObject({ username: "all", password: "get b.io" });
    expect(await find(config, "registry-1.docker.io")).toMatchObject({ password: `get ${HUB}` });
  });

  test("that have nothing leave the question to auths", async () => {
    await install("none", `echo "credentials not found in native keychain"; exit 1`);
    expect(await find({ credsStore: "none" }, "a.io")).toBeUndefined();
    expect(await find({ credsStore: "none", auths: { "a.io": { username: "file" } } }, "a.io")).toMatchObject({
      username: "file",
    });
  });

  test("may hand out identity tokens", async () => {
    await install("token", `echo '{"Username":"<token>","Secret":"t"}'`);
    expect(await find({ credsStore: "token" }, "a.io")).toMatchObject({ kind: "identity-token", token: "t" });
  });

  test.each([
    ["fail", `echo "hush-hush"; exit 3`, "fails", /exit code 3/],
    ["babble", `echo "hush-hush"`, "prints no JSON", /not JSON/],
    ["flood", `cat /dev/zero`, "never stops printing", /too much/],
  ])("%s: an error that quotes nothing of it when one %s", async (suffix, script, _, message) => {
    await install(suffix, script);
    const error = await find({ credsStore: suffix }, "a.io").catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "credentials-invalid", message: expect.stringMatching(message) });
    expect(String(error)).not.toContain("hush-hush");
  });

  test("that are not installed, or are no program names, are an error", async () => {
    await expect(find({ credsStore: "absent" }, "a.io")).rejects.toThrow(/docker-credential-absent.*not installed/);
    await expect(find({ credsStore: "../evil" }, "a.io")).rejects.toBeInstanceOf(AppError);
  });
});

function find(config: unknown, host: string): ReturnType<ReturnType<typeof createCredentials>["find"]> {
  return createCredentials({ dockerConfig: JSON.stringify(config) }).find({ host });
}
