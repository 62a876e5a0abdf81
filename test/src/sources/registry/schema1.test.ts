/** Images of schema 1: converted once their layers are here, from registries by hand and from the real one. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as types from "../../../../src/image/media-types.ts";
import { type DockerReference, parseReference } from "../../../../src/image/reference.ts";
import { digestOf } from "../../../../store/index.ts";
import { type Fault, type FaultServer, fault, lie, startFaultServer, truncate } from "../../../support/fault-server.ts";
import { missingPrograms, skopeoCopy } from "../../../support/peers.ts";
import { pushImage, registryObstacle, startRegistry, type TestRegistry } from "../../../support/registry.ts";
import { buildSchema1, signSchema1 } from "../../../support/schema1-builder.ts";
import { buildImage, compress } from "../../../support/tar-builder.ts";
import { errorOf, openResolving, type Resolving, readLayer } from "../resolve-with.ts";
import { type LayerWorkshop, openLayerWorkshop } from "./layer-workshop.ts";
import { stopAt, tableOf } from "./routes.ts";

const first = [{ name: "a", content: "first" }];
const image = buildImage([first, [{ name: "b", content: "second" }], first], { architecture: "amd64" });
const payload = buildSchema1(image, { newest: { config: { Cmd: ["/a"] } }, throwaways: [1] });
const PINNED = digestOf(payload);
const flip = (bytes: Buffer): Buffer => Buffer.from(bytes.map((byte, at) => (at === 20 ? byte ^ 1 : byte)));

function serves(manifest: Buffer, mediaType: string, headers: Readonly<Record<string, string>> = {}): Fault {
  return lie("manifest", () => manifest, { headers: { "content-type": mediaType, ...headers } });
}

interface Converting extends AsyncDisposable, Pick<LayerWorkshop, "kept"> {
  readonly server: FaultServer;
  readonly resolving: Resolving;
}

async function open(...faults: readonly Fault[]): Promise<Converting> {
  const stack = new AsyncDisposableStack();
  const server = stack.use(await startFaultServer(image, { faults }));
  const { workshop, kept } = stack.use(await openLayerWorkshop());
  const resolving = stack.use(openResolving({}, { workshop }));
  return { server, kept, resolving, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

describe("an image of schema 1", () => {
  test.each([
    ["signed", signSchema1(payload), types.DOCKER_MANIFEST_V1_SIGNED],
    ["signed, served as JSON", signSchema1(payload), "application/json"],
    ["unsigned", payload, types.DOCKER_MANIFEST_V1],
  ])("(%s) becomes one of today", async (_, manifest, mediaType) => {
    await using converting = await open(serves(manifest, mediaType, { "docker-content-digest": PINNED }));
    const { server, resolving, kept } = converting;
    const resolved = await resolving.resolve(`${server.host}/app:1`);
    expect(resolved).toMatchObject({
      imageId: PINNED,
      platform: { os: "linux", architecture: "amd64" },
      imageConfig: { config: { Cmd: ["/a"] }, rootfs: { diff_ids: image.diffIds } },
      attachments: [{ descriptor: { digest: PINNED, mediaType: types.DOCKER_MANIFEST_V1 }, bytes: payload }],
    });
    expect(resolved.layers.map(({ diffId }) => diffId)).toEqual(image.diffIds);
    expect(resolved.layers.map(({ blob }) => blob)).toEqual(image.layers);
    expect(resolved.manifest.descriptor.digest).toBe(digestOf(resolved.manifest.bytes));
    expect(JSON.parse(Buffer.from(resolved.manifest.bytes).toString())).toMatchObject({
      config: { digest: digestOf(resolved.config.bytes) },
      layers: image.layers,
    });
    // each layer once, and nothing for the step that made none
    expect(new Set(kept.map(({ key }) => key))).toEqual(new Set(image.layers.map(({ digest }) => digest)));
    expect(kept).toHaveLength(2);
    expect((await readLayer(resolved.layers[1])).bytes).toEqual(image.blobs.get(image.layers[1]?.digest ?? ""));
    const converted = resolving.events.filter((event) => event.type === "decision" && /schema 1/.test(event.message));
    expect(converted).toHaveLength(1);
  });

  test("gives the same manifest each time", async () => {
    const digests = [];
    for (const manifest of [signSchema1(payload), signSchema1(payload), payload]) {
      await using converting = await open(serves(manifest, "application/json"));
      const { server, resolving } = converting;
      digests.push((await resolving.resolve(`${server.host}/app:1`)).manifest.descriptor.digest);
    }
    expect(new Set(digests).size).toBe(1);
  });

  test("is pinned by the digest of what was signed", async () => {
    await using converting = await open(serves(signSchema1(payload), types.DOCKER_MANIFEST_V1_SIGNED));
    const { server, resolving } = converting;
    expect((await resolving.resolve(`${server.host}/app@${PINNED}`)).imageId).toBe(PINNED);
    const other = `sha256:${"0".repeat(64)}`;
    expect((await errorOf(resolving.resolve(`${server.host}/app@${other}`))).code).toBe("blob-corrupt");
  });

  test("with something else behind its signature is not what was pinned", async () => {
    const forged = signSchema1(buildSchema1(image, { newest: { config: { Cmd: ["/evil"] } } }));
    await using converting = await open(serves(forged, types.DOCKER_MANIFEST_V1_SIGNED));
    const { server, resolving, kept } = converting;
    expect((await errorOf(resolving.resolve(`${server.host}/app@${PINNED}`))).code).toBe("blob-corrupt");
    expect(kept).toHaveLength(0);
  });

  test("may have layers that are not compressed, and says so", async () => {
    const plain = buildImage([first], {}, { compression: "none" });
    await using server = await startFaultServer(plain, { faults: [serves(buildSchema1(plain), "application/json")] });
    await using keeping = await openLayerWorkshop();
    await using resolving = openResolving({}, { workshop: keeping.workshop });
    const { layers } = await resolving.resolve(`${server.host}/app:1`);
    expect(layers[0]?.blob).toEqual({ ...plain.layers[0], mediaType: types.OCI_LAYER_TAR });
  });

  test("for another platform is refused before a layer is fetched", async () => {
    await using converting = await open(serves(payload, types.DOCKER_MANIFEST_V1));
    const { server, resolving, kept } = converting;
    expect((await errorOf(resolving.resolve(`${server.host}/app:1`, "linux/s390x"))).code).toBe("platform-unknown");
    expect(kept).toHaveLength(0);
  });

  test("goes on with a layer that breaks off", async () => {
    const { size = 0 } = image.layers[0] ?? {};
    await using converting = await open(serves(payload, "application/json"), truncate("layer", size - 9, { times: 1 }));
    const { server, resolving } = converting;
    expect((await resolving.resolve(`${server.host}/app:1`)).layers).toHaveLength(3);
    expect(server.requests.map(({ headers }) => headers.range)).toContain(`bytes=${size - 9}-`);
  });

  test("with a wrong layer is refused, after all who have it were asked", async () => {
    const manifest = serves(payload, types.DOCKER_MANIFEST_V1);
    const other = fault("layer", (_, response) => void response.end(compress(Buffer.alloc(1024), "gzip")));
    await using mirror = await startFaultServer(image, { faults: [manifest, other] });
    await using origin = await startFaultServer(image, { faults: [manifest] });
    await using liar = await startFaultServer(image, { faults: [manifest, lie("layer", flip)] });
    await using keeping = await openLayerWorkshop();
    const resolveVia = async (last: FaultServer) => {
      const hosts = tableOf(stopAt(mirror.host, "mirror"), stopAt(last.host, "origin"));
      await using resolving = openResolving({ hosts }, { workshop: keeping.workshop });
      return await resolving.resolve("example.com/app:1");
    };
    expect((await resolveVia(origin)).layers).toHaveLength(3);
    expect((await errorOf(resolveVia(liar))).code).toBe("blob-corrupt");
  });
});

describe("an estimate of an image of schema 1", () => {
  const estimate = async ({ resolving, server }: Converting, platform?: string) => {
    const reference = parseReference(`${server.host}/team/app:1`) as DockerReference;
    return await resolving.docker.estimate?.(reference, resolving.contextFor(platform));
  };
  const sizes = new Map(image.layers.map((layer) => [layer.digest, layer.size]));

  test("asks how large each layer is, once, and fetches none", async () => {
    await using converting = await open(serves(signSchema1(payload), types.DOCKER_MANIFEST_V1_SIGNED));
    const { server, kept } = converting;
    expect(await estimate(converting)).toEqual(
      [...sizes].map(([digest, sizeBytes]) => ({
        location: `${server.host}/team/app@${digest}`,
        sizeBytes,
        local: false,
      })),
    );
    expect(kept).toHaveLength(0);
    expect(server.requests.map(({ method, target }) => `${method} ${target}`)).toEqual([
      "GET manifest",
      "HEAD layer",
      "HEAD layer",
    ]);
  });

  test.each([403, 404, 405])("leaves open what the registry answers with %i", async (status) => {
    const refuses = fault("layer", (_, response) => void response.writeHead(status).end());
    await using converting = await open(serves(payload, types.DOCKER_MANIFEST_V1), refuses);
    const estimates = await estimate(converting);
    expect(estimates?.map(({ sizeBytes }) => sizeBytes)).toEqual([undefined, undefined]);
    expect(estimates?.[0]?.location).toBe(`${converting.server.host}/team/app@${image.layers[0]?.digest}`);
  });

  test("fails where the registry cannot be reached any more", async () => {
    const gone = fault("layer", (_, response) => void response.destroy());
    await using converting = await open(serves(payload, types.DOCKER_MANIFEST_V1), gone);
    expect((await errorOf(estimate(converting))).code).toBe("registry-unreachable");
  });

  test("is refused for another platform, as pulling is", async () => {
    await using converting = await open(serves(payload, types.DOCKER_MANIFEST_V1));
    expect((await errorOf(estimate(converting, "linux/s390x"))).code).toBe("platform-unknown");
  });

  test("is none for an image of today, of which nothing is then fetched twice", async () => {
    await using converting = await open();
    const { resolving, server } = converting;
    const reference = parseReference(`${server.host}/app:1`) as DockerReference;
    const context = resolving.contextFor();
    expect(await resolving.docker.estimate?.(reference, context)).toBeUndefined();
    expect((await resolving.docker.resolve(reference, context)).layers).toHaveLength(3);
    expect(server.requests.map(({ method, target }) => `${method} ${target}`)).toEqual(["GET manifest", "GET config"]);
    // another call is another question
    await resolving.docker.resolve(reference, resolving.contextFor());
    expect(server.requests).toHaveLength(4);
  });
});

const missing = missingPrograms("skopeo");
const obstacle = registryObstacle() ?? (missing.length > 0 ? `not installed: ${missing.join(", ")}` : undefined);
describe.skipIf(obstacle !== undefined)(
  `an image that skopeo pushed as schema 1${obstacle ? ` (${obstacle})` : ""}`,
  () => {
    let registry: TestRegistry;
    const real = buildImage(
      [first, [{ name: "b", content: "second" }]],
      {
        architecture: "amd64",
        config: { Cmd: ["/a"] },
        history: [{ created_by: "one" }, { created_by: "ENV", empty_layer: true }, { created_by: "two" }],
      },
      { mediaTypes: "docker" },
    );
    beforeAll(async () => {
      registry = await startRegistry({ schema1: true });
      await pushImage(registry, "app", real, "2");
      await skopeoCopy(`docker://${registry.host}/app:2`, `docker://${registry.host}/app:1`, ["--format", "v2s1"]);
    });
    afterAll(() => registry[Symbol.asyncDispose]());

    test("has the layers that it was made from, by tag and by digest", async () => {
      await using keeping = await openLayerWorkshop();
      await using resolving = openResolving({}, { workshop: keeping.workshop });
      const byTag = await resolving.resolve(`${registry.host}/app:1`);
      expect(byTag.layers.map(({ diffId }) => diffId)).toEqual(real.diffIds);
      expect(byTag.imageConfig.config).toMatchObject({ Cmd: ["/a"] });
      const byDigest = await resolving.resolve(`${registry.host}/app@${byTag.imageId}`);
      expect(byDigest.manifest.descriptor).toEqual(byTag.manifest.descriptor);
    });
  },
);
