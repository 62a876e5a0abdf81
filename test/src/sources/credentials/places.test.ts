/** The places that credentials come from, and which of them comes first. */
import { chmod, mkdir, rename, utimes, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { RootwrightEvent } from "../../../../src/events.ts";
import { placesIn } from "../../../../src/sources/registry/credentials/places.ts";
import { type CredentialOptions, createCredentials } from "../../../../src/sources/registry/credentials.ts";
import { credentialHelpersIn } from "../../../../src/sources/registry/hosts/short-names.ts";
import { openTempDir, type TempDir } from "../../../support/temp-dir.ts";
import { answers, type HelperDirectory, openHelperDirectory } from "./helper-program.ts";

let temp: TempDir;
beforeEach(async () => {
  temp = await openTempDir("places");
});
afterEach(() => temp[Symbol.asyncDispose]());

const at = (path: string): string => join(temp.path, path);
const auths = (username: string, ...hosts: readonly string[]): Record<string, unknown> =>
  Object.fromEntries((hosts.length === 0 ? ["a.io"] : hosts).map((host) => [host, { auth: btoa(`${username}:p`) }]));

async function write(path: string, content: unknown): Promise<void> {
  await mkdir(dirname(at(path)), { recursive: true });
  await writeFile(at(path), typeof content === "string" ? content : JSON.stringify(content));
}

async function userFor(host: string, options: CredentialOptions): Promise<string | undefined> {
  const credential = await createCredentials(options).find({ host });
  return credential?.kind === "password" ? credential.username : undefined;
}

describe("of several places the first that knows the registry decides", () => {
  /** Everything that can be configured, in the order in which it should be asked. */
  async function everything(): Promise<[string, CredentialOptions][]> {
    await write("docker/config.json", { auths: auths("DOCKER_CONFIG") });
    await write("named.json", { auths: auths("REGISTRY_AUTH_FILE") });
    await write("run/containers/auth.json", { auths: auths("runtime") });
    await write("config/containers/auth.json", { auths: auths("config") });
    await write("home/.docker/config.json", { auths: auths("home") });
    await write("home/.dockercfg", auths("dockercfg"));
    return [
      ["DOCKER_AUTH_CONFIG", { dockerAuthConfig: JSON.stringify({ auths: auths("DOCKER_AUTH_CONFIG") }) }],
      ["DOCKER_CONFIG", { dockerConfigDir: at("docker") }],
      ["REGISTRY_AUTH_FILE", { registryAuthFile: at("named.json") }],
      ["runtime", { xdgRuntimeDir: at("run") }],
      ["config", { xdgConfigHome: at("config") }],
      ["home", { home: at("home") }],
    ];
  }

  test("from DOCKER_AUTH_CONFIG down to the home directory", async () => {
    const places = await everything();
    for (const [position, [expected]] of places.entries()) {
      const options = Object.assign({}, ...places.slice(position).map(([, option]) => option)) as CredentialOptions;
      expect(await userFor("a.io", options)).toBe(expected);
    }
  });

  test("and docker_config is the only one when it is set", async () => {
    const others = Object.assign({}, ...(await everything()).map(([, option]) => option)) as CredentialOptions;
    const dockerConfig = JSON.stringify({ auths: auths("given", "b.io") });
    expect(await userFor("b.io", { ...others, dockerConfig })).toBe("given");
    expect(await userFor("a.io", { ...others, dockerConfig })).toBeUndefined();
  });

  test("the next one is asked about what one does not know", async () => {
    await write("run/containers/auth.json", { auths: auths("podman") });
    await write("home/.docker/config.json", { auths: auths("docker", "a.io", "b.io") });
    const options = { xdgRuntimeDir: at("run"), home: at("home") };
    expect(await userFor("a.io", options)).toBe("podman");
    expect(await userFor("b.io", options)).toBe("docker");
    expect(await userFor("c.io", options)).toBeUndefined();
  });
});

describe("a place", () => {
  test("that DOCKER_CONFIG names stands for ~/.docker", async () => {
    await write("home/.docker/config.json", { auths: auths("home") });
    expect(await userFor("a.io", { home: at("home"), dockerConfigDir: at("elsewhere") })).toBeUndefined();
  });

  test("that REGISTRY_AUTH_FILE names stands for both auth.json files, not for Docker's", async () => {
    await write("run/containers/auth.json", { auths: auths("runtime", "b.io") });
    await write("home/.config/containers/auth.json", { auths: auths("config", "b.io") });
    await write("home/.docker/config.json", { auths: auths("home", "c.io") });
    await write("named.json", { auths: auths("named") });
    const options = { registryAuthFile: at("named.json"), xdgRuntimeDir: at("run"), home: at("home") };
    expect(await userFor("b.io", options)).toBeUndefined();
    expect(await userFor("c.io", options)).toBe("home");
  });

  test("that REGISTRY_AUTH_FILE names must be there", async () => {
    const options = { registryAuthFile: at("none.json") };
    const problem = { code: "credentials-invalid", message: expect.stringMatching(/none\.json: it does not exist/) };
    await expect(userFor("a.io", options)).rejects.toMatchObject(problem);
  });

  test("of auth.json is below ~/.config without XDG_CONFIG_HOME", async () => {
    await write("home/.config/containers/auth.json", { auths: auths("config") });
    expect(await userFor("a.io", { home: at("home") })).toBe("config");
    expect(await userFor("a.io", { home: at("home"), xdgConfigHome: at("other") })).toBeUndefined();
  });

  test("of auth.json is below /run without XDG_RUNTIME_DIR", async () => {
    const names = async (options: CredentialOptions): Promise<unknown[]> =>
      (await placesIn(options)()).map((place) => place.kind === "config" && place.name);
    expect(await names({ uid: 1234 })).toEqual(["/run/containers/1234/auth.json"]);
    expect(await names({ uid: 1234, xdgRuntimeDir: "/run/u" })).toEqual(["/run/u/containers/auth.json"]);
    expect(await names({})).toEqual([]);
  });

  test("of .dockercfg has the old format", async () => {
    await write("home/.dockercfg", {
      "https://index.docker.io/v1/": { auth: btoa("hub:p"), email: "x@example.com" },
      "a.io": { username: "plain", password: "p" },
    });
    expect(await userFor("registry-1.docker.io", { home: at("home") })).toBe("hub");
    expect(await userFor("a.io", { home: at("home") })).toBe("plain");
  });

  test("that is empty, as touch leaves it, has nothing", async () => {
    await write("home/.docker/config.json", "");
    expect(await userFor("a.io", { home: at("home") })).toBeUndefined();
  });

  test("that is no file is an error, and is not waited for", async () => {
    await mkdir(at("home/.docker/config.json"), { recursive: true });
    const problem = { code: "credentials-invalid", message: expect.stringContaining("no regular file") };
    await expect(userFor("a.io", { home: at("home") })).rejects.toMatchObject(problem);
  });

  test("with more than any such file has is an error", async () => {
    await write("home/.docker/config.json", `{"auths":{}}${" ".repeat(4 * 1024 * 1024)}`);
    const problem = { code: "credentials-invalid", message: expect.stringContaining("limit") };
    await expect(userFor("a.io", { home: at("home") })).rejects.toMatchObject(problem);
  });

  test.skipIf(process.getuid?.() === 0)("that may not be read counts as missing (needs an ordinary user)", async () => {
    await write("home/.docker/config.json", { auths: auths("home") });
    await chmod(at("home/.docker/config.json"), 0);
    expect(await userFor("a.io", { home: at("home") })).toBeUndefined();
  });
});

describe("a file that changes", () => {
  test("is read again: written anew, replaced, removed and back", async () => {
    const credentials = createCredentials({ home: at("home") });
    const user = async (): Promise<unknown> => (await credentials.find({ host: "a.io" })) ?? "nobody";
    expect(await user()).toBe("nobody");
    await write("home/.docker/config.json", { auths: auths("one") });
    expect(await user()).toMatchObject({ username: "one" });
    await write("home/.docker/config.json", { auths: auths("longer") });
    expect(await user()).toMatchObject({ username: "longer" });
    await write("home/new", { auths: auths("lamger") });
    // same size, and an older time: only the inode tells
    await utimes(at("home/new"), 1000, 1000);
    await rename(at("home/new"), at("home/.docker/config.json"));
    expect(await user()).toMatchObject({ username: "lamger" });
    await rename(at("home/.docker/config.json"), at("home/away"));
    expect(await user()).toBe("nobody");
  });

  test("is another identity from then on, and the same again when it is as it was", async () => {
    const credentials = createCredentials({ home: at("home") });
    const identities: string[] = [];
    for (const user of ["one", "two", "one"]) {
      await write("home/.docker/config.json", {
        auths: auths(user),
        HttpHeaders: { length: "x".repeat(identities.length) },
      });
      identities.push(await credentials.identify({ host: "a.io" }));
    }
    expect(identities[0]).not.toBe(identities[1]);
    expect(identities[2]).toBe(identities[0]);
    expect(identities.join()).not.toContain("one");
  });
});

describe("credential-helpers of registries.conf", () => {
  let helpers: HelperDirectory;
  beforeEach(async () => {
    helpers = await openHelperDirectory();
    await write("home/.docker/config.json", { auths: auths("file", "a.io", "b.io") });
  });
  afterEach(() => helpers[Symbol.asyncDispose]());

  test("are asked in their order, with the files where they stand in it", async () => {
    const nothing = `echo "credentials not found in native keychain"; exit 1`;
    await helpers.install("first", `read host; test "$host" = a.io || { ${nothing}; }; ${answers("first", "s")}`);
    const asked = (credentialHelpers: readonly string[]): CredentialOptions => ({
      home: at("home"),
      credentialHelpers,
    });
    expect(await userFor("a.io", asked(["first", "containers-auth.json"]))).toBe("first");
    expect(await userFor("b.io", asked(["first", "containers-auth.json"]))).toBe("file");
    expect(await userFor("a.io", asked(["containers-auth.json", "first"]))).toBe("file");
    expect(await userFor("b.io", asked(["first"]))).toBeUndefined();
    expect(await userFor("b.io", asked([]))).toBe("file");
  });

  test("are those that the files name now, and what is in them is not read anew for that", async () => {
    await helpers.install("later", answers("later", "s"));
    await write("registries.conf", "");
    const paths = { registriesConf: [at("registries.conf")], registriesConfDirs: [] };
    const credentials = createCredentials({ home: at("home"), credentialHelpers: credentialHelpersIn(paths) });
    const user = async (): Promise<unknown> => await credentials.find({ host: "a.io" });
    expect(await user()).toMatchObject({ username: "file" });
    const before = await credentials.identify({ host: "a.io" });
    await write("registries.conf", 'credential-helpers = ["later"]');
    expect(await user()).toMatchObject({ username: "later" });
    expect(await credentials.identify({ host: "a.io" })).not.toBe(before);
    await write("registries.conf", "credential-helpers = 1");
    await expect(user()).rejects.toMatchObject({ code: "config-invalid" });
  });

  test("that are no program names say what is one", async () => {
    const credentialHelpers = ["../evil"];
    const problem = { code: "credentials-invalid", hint: expect.stringContaining("docker-credential-") };
    await expect(userFor("a.io", { credentialHelpers })).rejects.toMatchObject(problem);
  });

  test("that print something else say what they should print", async () => {
    await helpers.install("babble", "echo hush-hush");
    const problem = { code: "credentials-invalid", hint: expect.stringContaining('"Username"') };
    await expect(userFor("a.io", { credentialHelpers: ["babble"] })).rejects.toMatchObject(problem);
  });

  test("may fail where another place has the answer", async () => {
    await helpers.install("broken", "exit 5");
    const credentialHelpers = ["broken", "missing", "containers-auth.json"];
    expect(await userFor("a.io", { home: at("home"), credentialHelpers })).toBe("file");
    const problem = { code: "credentials-invalid", message: expect.stringContaining("docker-credential-broken") };
    await expect(userFor("c.io", { home: at("home"), credentialHelpers })).rejects.toMatchObject(problem);
  });
});

describe("of the search", () => {
  async function told(host: string, options: CredentialOptions): Promise<readonly RootwrightEvent[]> {
    const events: RootwrightEvent[] = [];
    const emit = (event: RootwrightEvent): void => void events.push(event);
    await createCredentials(options).find({ host, repository: "x/y", emit });
    return events;
  }
  const decision = (message: string): RootwrightEvent => ({ type: "decision", topic: "credentials", message });

  test("is told where it was in vain; where it was not is who uses it to tell", async () => {
    await write("run/containers/auth.json", { auths: auths("podman", "b.io") });
    await write("home/.docker/config.json", { auths: auths("tester", "https://a.io/v1/") });
    const options = { xdgRuntimeDir: at("run"), home: at("home") };
    const none = `${at("run/containers/auth.json")} has none; ${at("home/.config/containers/auth.json")} does not exist`;
    expect(await told("a.io", options)).toEqual([decision(`looked in vain for a.io/x/y: ${none}`)]);
    expect(await told("b.io", options)).toEqual([]);
  });

  test("is told where it was in vain everywhere, or nowhere", async () => {
    const missing = `looked in vain for a.io/x/y: ${at("no/config.json")} does not exist`;
    expect(await told("a.io", { dockerConfigDir: at("no") })).toEqual([decision(missing)]);
    expect(await told("a.io", {})).toEqual([decision("looked in vain for a.io/x/y: there is no place to look in")]);
  });
});

test.each([
  ["docker_config", { dockerConfig: "{auths" }],
  ["DOCKER_AUTH_CONFIG", { dockerAuthConfig: "auths" }],
  ["DOCKER_AUTH_CONFIG with more than auths", { dockerAuthConfig: '{"auths":{},"credsStore":"x"}' }],
])("%s that is not as it should be says what it should be", async (_, options) => {
  const problem = { code: "credentials-invalid", hint: expect.stringContaining('{"auths":{') };
  await expect(userFor("a.io", options)).rejects.toMatchObject(problem);
});
