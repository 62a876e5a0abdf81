/** The real docker-registry as a pull-through mirror, and behind TLS that needs a client's certificate. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { HostPaths } from "../../../../src/sources/index.ts";
import { type Authority, type IssuedPair, openAuthority } from "../../../support/certificates.ts";
import { startFaultServer, truncate } from "../../../support/fault-server.ts";
import { missingPrograms } from "../../../support/peers.ts";
import { pushImage, registryObstacle, startRegistry, type TestRegistry } from "../../../support/registry.ts";
import { buildImage } from "../../../support/tar-builder.ts";
import { openTempDir, type TempDir } from "../../../support/temp-dir.ts";
import { errorOf, openResolving, readLayer } from "../resolve-with.ts";

const image = buildImage([[{ name: "a", content: "first" }], [{ name: "b", content: "second" }]], {
  architecture: "amd64",
});
const title = (obstacle: string | undefined): string => (obstacle === undefined ? "" : ` (${obstacle})`);

/** hosts.toml directories as an operator writes them. */
async function hostPaths(temp: TempDir, files: Readonly<Record<string, string>>): Promise<HostPaths> {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(join(temp.path, path, ".."), { recursive: true });
    await writeFile(join(temp.path, path), text);
  }
  return { hostsDirs: [temp.path], certsDirs: [temp.path], registriesConf: [], registriesConfDirs: [] };
}

const mirrorObstacle = registryObstacle();
describe.skipIf(mirrorObstacle !== undefined)(`a pull-through mirror${title(mirrorObstacle)}`, () => {
  let origin: TestRegistry;
  let mirror: TestRegistry;
  beforeAll(async () => {
    origin = await startRegistry();
    await pushImage(origin, "team/app", image, "1");
    mirror = await startRegistry({ proxyOf: origin.url });
  });
  afterAll(async () => {
    await mirror[Symbol.asyncDispose]();
    await origin[Symbol.asyncDispose]();
  });

  test("gives an image that it did not have, and everything in it", async () => {
    await using temp = await openTempDir("hosts");
    const toml = `[host."${mirror.url}"]\ncapabilities = ["pull", "resolve"]\n`;
    const paths = await hostPaths(temp, { "example.com/hosts.toml": toml });
    await using resolving = openResolving({ hostPaths: paths });
    const resolved = await resolving.resolve("example.com/team/app:1");
    expect(resolved).toMatchObject({
      source: mirror.host,
      manifest: { descriptor: { digest: image.manifest.digest } },
    });
    for (const [at, layer] of resolved.layers.entries()) {
      expect((await readLayer(layer)).bytes).toEqual(image.blobs.get(image.layers[at]?.digest ?? ""));
    }
    const asked = resolving.events.flatMap((event) => (event.type === "request" ? [new URL(event.url).host] : []));
    expect(new Set(asked)).toEqual(new Set([mirror.host]));
  });

  test("takes over from a mirror that breaks off in a layer", async () => {
    await using breaking = await startFaultServer(image, { faults: [truncate("layer", 30)] });
    await using temp = await openTempDir("hosts");
    const toml = `server = "${origin.url}"\n[host."${breaking.url}"]\n[host."${mirror.url}"]\n`;
    const paths = await hostPaths(temp, { "example.com/hosts.toml": toml });
    await using resolving = openResolving({ hostPaths: paths });
    const { layers, source } = await resolving.resolve("example.com/team/app:1");
    expect(source).toBe(breaking.host);
    expect((await errorOf(readLayer(layers[0]))).code).toBe("registry-unreachable");
    const rest = image.blobs.get(image.layers[0]?.digest ?? "")?.subarray(30);
    expect(await readLayer(layers[0], 30)).toEqual({ offset: 30, bytes: rest });
  });

  test("whose origin is gone says so, and the next is asked", async () => {
    const gone = await startRegistry();
    await using orphan = await startRegistry({ proxyOf: gone.url });
    await gone[Symbol.asyncDispose]();
    await using temp = await openTempDir("hosts");
    const toml = `server = "${origin.url}"\n[host."${orphan.url}"]\n`;
    const paths = await hostPaths(temp, { "example.com/hosts.toml": toml });
    await using resolving = openResolving({ hostPaths: paths });
    expect((await resolving.resolve("example.com/team/app:1")).source).toBe(origin.host);
  });
});

const tlsObstacle = registryObstacle() ?? missingPrograms("openssl")[0];
describe.skipIf(tlsObstacle !== undefined)(`a registry that wants to know its clients${title(tlsObstacle)}`, () => {
  let authority: Authority;
  let client: IssuedPair;
  let registry: TestRegistry;
  beforeAll(async () => {
    authority = await openAuthority("rootwright tests");
    client = await authority.issue("a client");
    const server = await authority.issue("a registry");
    const tls = { certificate: server.certFile, key: server.keyFile, clientCa: authority.caFile };
    registry = await startRegistry({ tls });
  });
  afterAll(async () => {
    await registry[Symbol.asyncDispose]();
    await authority[Symbol.asyncDispose]();
  });

  const asUrl = (): { readonly dockerRegistry: string } => ({ dockerRegistry: registry.url });

  test("lets in who has a certificate, from the usual directory", async () => {
    await using temp = await openTempDir("certs");
    const directory = registry.host;
    const paths = await hostPaths(temp, {
      [`${directory}/ca.crt`]: authority.ca,
      [`${directory}/client.cert`]: client.cert,
      [`${directory}/client.key`]: client.key,
    });
    await using resolving = openResolving({ hostPaths: paths, ...asUrl() });
    // nothing was pushed, which it says only to who was let in
    expect((await errorOf(resolving.resolve("app:1"))).code).toBe("image-unknown");
  });

  test.each([
    ["no certificate", true],
    ["no authority to trust", false],
  ])("cannot be reached with %s", async (_, trusting) => {
    await using temp = await openTempDir("certs");
    const paths = await hostPaths(temp, trusting ? { [`${registry.host}/ca.crt`]: authority.ca } : {});
    await using resolving = openResolving({ hostPaths: paths, ...asUrl() });
    const error = await errorOf(resolving.resolve("app:1"));
    expect(error.code).toBe("registry-unreachable");
    expect(error.hint).toContain("certs.d");
  });
});
