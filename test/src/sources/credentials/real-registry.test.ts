/**
 * Credentials from every place, against the real docker-registry behind a password and behind a token server; and that
 * nothing which is told on the way has a secret in it.
 */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createRequestCredentials } from "../../../../src/sources/registry/credentials.ts";
import { missingPrograms, run } from "../../../support/peers.ts";
import { pushImage, registryObstacle, startRegistry, type TestRegistry } from "../../../support/registry.ts";
import { buildImage } from "../../../support/tar-builder.ts";
import { openTempDir } from "../../../support/temp-dir.ts";
import { type Authorizing, openAuthorizing } from "./authorizing.ts";
import { answers, openHelperDirectory } from "./helper-program.ts";

const image = buildImage([[{ name: "a", content: "first" }], [{ name: "b", content: "second" }]], {
  architecture: "amd64",
});
const MANIFEST = "manifests/1";
const BLOBS = [image.config, ...image.layers].map(({ digest }) => `blobs/${digest}`);

describe.each(["htpasswd", "token"] as const)("a registry with %s", (auth) => {
  const missing = [registryObstacle(auth), ...missingPrograms("skopeo")].filter((obstacle) => obstacle !== undefined);
  describe.skipIf(missing.length > 0)(`and an image${missing.length > 0 ? ` (${missing.join(", ")})` : ""}`, () => {
    let registry: TestRegistry;
    beforeAll(async () => {
      registry = await startRegistry({ auth });
      await pushImage(registry, "team/app", image, "1");
    });
    afterAll(() => registry[Symbol.asyncDispose]());

    /** Gives the image, and has told no secret, in whatever form. */
    async function expectImage(authorizing: Authorizing, source: string): Promise<void> {
      for (const item of [MANIFEST, ...BLOBS]) {
        const answer = await authorizing.get(registry.host, item);
        expect(answer).toMatchObject({ status: 200, credentialSource: expect.stringContaining(source) });
      }
      expectNoSecret(authorizing.events);
      const credentials = authorizing.events.filter((event) => event.type === "credentials");
      expect(credentials).toContainEqual({
        type: "credentials",
        host: registry.host,
        source: expect.stringContaining(source),
      });
    }

    function expectNoSecret(told: unknown): void {
      const text = JSON.stringify(told);
      const secrets = [registry.password, btoa(`${registry.username}:${registry.password}`), "Bearer", "eyJ", "Basic "];
      for (const secret of secrets) expect(text).not.toContain(secret);
    }

    const entry = (): Record<string, unknown> => ({ auth: btoa(`${registry.username}:${registry.password}`) });

    test("gives it to who is named in DOCKER_AUTH_CONFIG", async () => {
      const dockerAuthConfig = JSON.stringify({ auths: { [registry.host]: entry() } });
      await using authorizing = openAuthorizing({ dockerAuthConfig });
      await expectImage(authorizing, "DOCKER_AUTH_CONFIG");
    });

    test("gives it to who is named in .dockercfg", async () => {
      await using home = await openTempDir("home");
      await writeFile(join(home.path, ".dockercfg"), JSON.stringify({ [`http://${registry.host}/v1/`]: entry() }));
      await using authorizing = openAuthorizing({ home: home.path });
      await expectImage(authorizing, ".dockercfg");
    });

    test("gives it to who has logged in with skopeo, in XDG_RUNTIME_DIR and with REGISTRY_AUTH_FILE", async () => {
      await using temp = await openTempDir("skopeo");
      await mkdir(join(temp.path, "run/containers"), { recursive: true });
      const authFile = join(temp.path, "run/containers/auth.json");
      const { username, password, host } = registry;
      const args = ["login", "--tls-verify=false", "--authfile", authFile, "-u", username, "--password-stdin", host];
      await run("skopeo", args, { input: password });
      expect(await readFile(authFile, "utf8")).toContain(host);
      await using found = openAuthorizing({ xdgRuntimeDir: join(temp.path, "run") });
      await expectImage(found, authFile);
      await using named = openAuthorizing({ registryAuthFile: authFile });
      await expectImage(named, authFile);
    });

    test("gives it by the key of its namespace, not by another's", async () => {
      const dockerConfig = JSON.stringify({
        auths: { [`${registry.host}/team`]: entry(), [registry.host]: { auth: btoa("nobody:wrong") } },
      });
      await using authorizing = openAuthorizing({ dockerConfig });
      await expectImage(authorizing, `${registry.host}/team`);
    });

    test("gives it to a helper's user", async () => {
      await using helpers = await openHelperDirectory();
      await helpers.install("real", answers(registry.username, registry.password));
      await using authorizing = openAuthorizing({
        dockerConfig: JSON.stringify({ credHelpers: { [registry.host]: "real" } }),
      });
      await expectImage(authorizing, "docker-credential-real");
      expect(await helpers.runs("real")).toBe(1);
    });

    test("gives it to the request's user, and to nobody else", async () => {
      await using authorizing = openAuthorizing({});
      const credentials = createRequestCredentials(JSON.stringify({ auths: { [registry.host]: entry() } }));
      expect(await authorizing.get(registry.host, MANIFEST, { credentials })).toMatchObject({ status: 200 });
      expect(await authorizing.get(registry.host, MANIFEST)).toMatchObject({ status: 401 });
      expect(await authorizing.get(registry.host, MANIFEST, { credentials })).toMatchObject({ status: 200 });
      expectNoSecret(authorizing.events);
    });

    if (auth === "token") {
      test("gives it although every token runs out at once", async () => {
        const { tokenServer } = registry;
        if (tokenServer === undefined) throw new Error("no token server");
        const before = tokenServer.requests.length;
        tokenServer.lifetimeS = 0.0001;
        await using authorizing = openAuthorizing({ dockerConfig: registry.dockerConfig });
        await expectImage(authorizing, "docker_config setting");
        tokenServer.lifetimeS = 300;
        // one for each of manifest, configuration and layers
        expect(tokenServer.requests.length - before).toBe(1 + BLOBS.length);
        expect(authorizing.events.filter((event) => event.type === "request" && event.status === 401)).toHaveLength(1);
      });
    }

    test("denies it to a wrong password, which is told nowhere", async () => {
      const dockerConfig = JSON.stringify({
        auths: { [registry.host]: { username: "tester", password: "hush-hush" } },
      });
      await using authorizing = openAuthorizing({ dockerConfig });
      const outcome = await authorizing.get(registry.host, MANIFEST).catch((error: unknown) => error);
      expect(outcome).toMatchObject(auth === "token" ? { code: "registry-denied" } : { status: 401 });
      const told = JSON.stringify([authorizing.events, outcome, String(outcome)]);
      for (const secret of ["hush-hush", btoa("tester:hush-hush")]) expect(told).not.toContain(secret);
    });
  });
});
