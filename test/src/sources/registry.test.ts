/** Pulling from the real docker-registry: open, behind a password, and behind a token server. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { DOCKER_MANIFEST, DOCKER_MANIFEST_LIST, OCI_MANIFEST } from "../../../src/image/media-types.ts";
import { pushImage, pushIndex, registryObstacle, startRegistry, type TestRegistry } from "../../support/registry.ts";
import { buildImage } from "../../support/tar-builder.ts";
import { errorOf, openResolving, printed, readLayer } from "./resolve-with.ts";

const LAYERS = [[{ name: "a", content: "first" }], [{ name: "b", content: "second".repeat(1000) }]];
const oci = buildImage(LAYERS, { architecture: "amd64", config: { Cmd: ["/a"] } });
const docker = buildImage(LAYERS, { architecture: "amd64" }, { mediaTypes: "docker" });
const arm = buildImage([LAYERS[0] ?? []], { architecture: "arm64" });

const title = (obstacle: string | undefined): string => (obstacle === undefined ? "" : ` (${obstacle})`);

const openObstacle = registryObstacle();
describe.skipIf(openObstacle !== undefined)(`an open registry${title(openObstacle)}`, () => {
  let registry: TestRegistry;
  beforeAll(async () => {
    registry = await startRegistry();
    await pushImage(registry, "team/app", oci, "1");
    await pushImage(registry, "team/app", docker, "docker");
    await pushImage(registry, "team/app", arm, "arm");
    await pushImage(registry, "library/busybox", oci, "latest");
    await pushImage(registry, "own", docker, "latest");
    const platforms = [
      { ...oci.manifest, platform: { os: "linux", architecture: "amd64" } },
      { ...arm.manifest, platform: { os: "linux", architecture: "arm64", variant: "v8" } },
    ];
    await pushIndex(registry, "team/app", "multi", platforms);
    // as cross-built images often are: the configuration tells the build machine's platform
    await pushIndex(registry, "team/app", "cross", [
      { ...oci.manifest, platform: { os: "linux", architecture: "arm", variant: "v7" } },
    ]);
    await pushIndex(
      registry,
      "team/app",
      "list",
      [{ ...docker.manifest, platform: { os: "linux", architecture: "amd64" } }],
      DOCKER_MANIFEST_LIST,
    );
  });
  afterAll(() => registry[Symbol.asyncDispose]());

  test.each([
    ["1", oci, OCI_MANIFEST],
    ["docker", docker, DOCKER_MANIFEST],
  ])("gives the image with tag %s, everything verified", async (tag, image, mediaType) => {
    await using resolving = openResolving();
    const resolved = await resolving.resolve(`${registry.host}/team/app:${tag}`);
    expect(resolved).toMatchObject({
      name: `${registry.host}/team/app:${tag}`,
      source: registry.host,
      platform: { os: "linux", architecture: "amd64" },
      manifest: { descriptor: { mediaType, digest: image.manifest.digest, size: image.manifest.size } },
      config: { descriptor: { digest: image.config.digest } },
    });
    expect(resolved.index).toBeUndefined();
    expect(resolved.layers.map(({ diffId }) => diffId)).toEqual(image.diffIds);
    expect(resolved.layers.every(({ keepBlob }) => keepBlob)).toBe(true);
    for (const [at, layer] of resolved.layers.entries()) {
      expect((await readLayer(layer)).bytes).toEqual(image.blobs.get(image.layers[at]?.digest ?? ""));
    }
  });

  test("believes an index about a manifest's platform", async () => {
    await using resolving = openResolving();
    const resolved = await resolving.resolve(`${registry.host}/team/app:cross`, "linux/arm/v7");
    expect(resolved.platform).toEqual({ os: "linux", architecture: "arm", variant: "v7" });
  });

  test("gives an image by digest", async () => {
    await using resolving = openResolving();
    const resolved = await resolving.resolve(`${registry.host}/team/app:ignored@${oci.manifest.digest}`);
    expect(resolved.manifest.descriptor.digest).toBe(oci.manifest.digest);
    expect(resolved.name).toBe(`${registry.host}/team/app@${oci.manifest.digest}`);
  });

  test.each([
    ["multi", "linux/amd64", oci],
    ["multi", "linux/arm64/v8", arm],
    ["list", "linux/amd64", docker],
  ])("chooses from the index %s for %s", async (tag, platform, image) => {
    await using resolving = openResolving();
    const resolved = await resolving.resolve(`${registry.host}/team/app:${tag}`, platform);
    expect(resolved.manifest.descriptor.digest).toBe(image.manifest.digest);
    expect(resolved.index?.descriptor.size).toBe(resolved.index?.bytes.byteLength);
  });

  test("starts a layer in the middle", async () => {
    await using resolving = openResolving();
    const { layers } = await resolving.resolve(`${registry.host}/team/app:1`);
    const whole = oci.blobs.get(oci.layers[1]?.digest ?? "") ?? Buffer.alloc(0);
    expect(await readLayer(layers[1], 10)).toEqual({ offset: 10, bytes: whole.subarray(10) });
    expect(await readLayer(layers[1], whole.length)).toEqual({ offset: whole.length, bytes: Buffer.alloc(0) });
  });

  test.each([
    ["team/app:2", "image-unknown", /no tag 2 in team\/app/],
    ["team/none:1", "image-unknown", /team\/none/],
    [`team/app@sha256:${"0".repeat(64)}`, "image-unknown", /no manifest sha256:000/],
    ["team/app:arm", "platform-unknown", /linux\/arm64/],
  ])("answers %s with %s", async (name, code, message) => {
    await using resolving = openResolving();
    expect(await errorOf(resolving.resolve(`${registry.host}/${name}`))).toMatchObject({
      code,
      message: expect.stringMatching(message),
    });
  });

  test("says which platforms an index has", async () => {
    await using resolving = openResolving();
    const error = await errorOf(resolving.resolve(`${registry.host}/team/app:multi`, "linux/s390x"));
    expect(error).toMatchObject({
      code: "platform-unknown",
      message: expect.stringContaining("linux/amd64, linux/arm64"),
    });
  });

  test.each([
    ["busybox", oci],
    ["docker.io/library/busybox:latest", oci],
    ["docker:///busybox", oci],
    ["own", docker],
  ])("serves %s when it is configured for docker.io", async (text, image) => {
    await using resolving = openResolving({ dockerRegistry: registry.url });
    const resolved = await resolving.resolve(text);
    expect(resolved.manifest.descriptor.digest).toBe(image.manifest.digest);
    expect(resolved.name).toMatch(/^docker\.io\/library\//);
  });

  test("serves names below a prefix that is configured with it", async () => {
    await using resolving = openResolving({ dockerRegistry: `${registry.url}/v2/team` });
    expect((await resolving.resolve("app:1")).manifest.descriptor.digest).toBe(oci.manifest.digest);
  });

  test("tells what it is asked", async () => {
    await using resolving = openResolving();
    await resolving.resolve(`${registry.host}/team/app:1`);
    expect(resolving.events[0]).toMatchObject({ type: "resolve", source: registry.host });
    const url = `${registry.url}/v2/team/app/manifests/1`;
    expect(resolving.events).toContainEqual(
      expect.objectContaining({ type: "request", method: "GET", url, status: 200 }),
    );
  });
});

const passwordObstacle = registryObstacle("htpasswd");
describe.skipIf(passwordObstacle !== undefined)(`a registry behind a password${title(passwordObstacle)}`, () => {
  let registry: TestRegistry;
  beforeAll(async () => {
    registry = await startRegistry({ auth: "htpasswd" });
    await pushImage(registry, "team/app", oci, "1");
  });
  afterAll(() => registry[Symbol.asyncDispose]());

  test("gives an image to who knows it, asking once for the whole image", async () => {
    await using resolving = openResolving({ dockerConfig: registry.dockerConfig });
    const { layers } = await resolving.resolve(`${registry.host}/team/app:1`);
    for (const layer of layers) await readLayer(layer);
    expect(resolving.events.filter((event) => event.type === "request" && event.status === 401)).toHaveLength(1);
    const source = expect.stringContaining(registry.host);
    expect(resolving.events).toContainEqual({ type: "credentials", host: registry.host, source });
  });

  test("denies anonymous users, and says that they were anonymous", async () => {
    await using resolving = openResolving();
    const error = await errorOf(resolving.resolve(`${registry.host}/team/app:1`));
    expect(error).toMatchObject({ code: "registry-denied", message: expect.stringMatching(/401.*anonymous request/) });
    expect(error.hint).toContain("log in");
  });

  test("denies a wrong password, and says where it came from, but not what it is", async () => {
    const auths = { [registry.host]: { username: registry.username, password: "swordfish" } };
    await using resolving = openResolving({ dockerConfig: JSON.stringify({ auths }) });
    const error = await errorOf(resolving.resolve(`${registry.host}/team/app:1`));
    expect(error).toMatchObject({ code: "registry-denied", message: expect.stringContaining("docker_config setting") });
    expect(printed(error)).not.toContain("swordfish");
    expect(printed(error)).not.toContain(btoa(`${registry.username}:swordfish`));
  });
});

const tokenObstacle = registryObstacle("token");
describe.skipIf(tokenObstacle !== undefined)(`a registry behind a token server${title(tokenObstacle)}`, () => {
  let registry: TestRegistry;
  beforeAll(async () => {
    registry = await startRegistry({ auth: "token" });
    await pushImage(registry, "public/app", oci, "1");
    await pushImage(registry, "team/app", oci, "1");
  });
  afterAll(() => registry[Symbol.asyncDispose]());

  test("gives a public image to anonymous users, with one token for all of it", async () => {
    await using resolving = openResolving();
    const before = registry.tokenServer?.requests.length ?? 0;
    const { layers } = await resolving.resolve(`${registry.host}/public/app:1`);
    await Promise.all(layers.map((layer) => readLayer(layer)));
    expect(registry.tokenServer?.requests.slice(before)).toEqual([
      { scope: "repository:public/app:pull", anonymous: true },
    ]);
  });

  test("gives a private image to its user", async () => {
    await using resolving = openResolving({ dockerConfig: registry.dockerConfig });
    const { layers } = await resolving.resolve(`${registry.host}/team/app:1`);
    expect((await readLayer(layers[0])).bytes).toEqual(oci.blobs.get(oci.layers[0]?.digest ?? ""));
  });

  test("gets a token for each repository, and a new one when it has run out", async () => {
    const { tokenServer } = registry;
    if (tokenServer === undefined) throw new Error("no token server");
    await using resolving = openResolving({ dockerConfig: registry.dockerConfig });
    const before = tokenServer.requests.length;
    // kept for three quarters of its life: as good as not at all
    tokenServer.lifetimeS = 0.0001;
    await resolving.resolve(`${registry.host}/team/app:1`);
    tokenServer.lifetimeS = 300;
    await resolving.resolve(`${registry.host}/public/app:1`);
    const scopes = tokenServer.requests.slice(before).map(({ scope }) => scope);
    expect(new Set(scopes)).toEqual(new Set(["repository:team/app:pull", "repository:public/app:pull"]));
    expect(scopes.filter((scope) => scope?.includes("team"))).toHaveLength(2);
  });

  test("denies a private image to anonymous users", async () => {
    await using resolving = openResolving();
    const error = await errorOf(resolving.resolve(`${registry.host}/team/app:1`));
    expect(error).toMatchObject({ code: "registry-denied", message: expect.stringContaining("anonymous request") });
  });

  test("denies a wrong password at the token server", async () => {
    const auths = { [registry.host]: { username: registry.username, password: "swordfish" } };
    await using resolving = openResolving({ dockerConfig: JSON.stringify({ auths }) });
    const error = await errorOf(resolving.resolve(`${registry.host}/team/app:1`));
    expect(error).toMatchObject({ code: "registry-denied", message: expect.stringContaining("Cannot get a token") });
    expect(printed(error)).not.toContain("swordfish");
  });
});
