/** Mirrors that are down, refuse, hang and lie: the next is asked, and what is told is the origin's word. */
import { describe, expect, test } from "vitest";
import type { ResolvedLayer } from "../../../../src/sources/source.ts";
import {
  challenge,
  drop,
  type Fault,
  type FaultServer,
  fail,
  fault,
  lie,
  stall,
  startFaultServer,
  truncate,
} from "../../../support/fault-server.ts";
import { buildImage, sha256 } from "../../../support/tar-builder.ts";
import { errorOf, openResolving, printed, type Resolving, readLayer } from "../resolve-with.ts";
import { stopAt, tableOf } from "./routes.ts";

const image = buildImage([[{ name: "a", content: "first" }], [{ name: "b", content: "second" }]], {
  architecture: "amd64",
});
const [FIRST = Buffer.alloc(0), SECOND = Buffer.alloc(0)] = image.layers.map(({ digest }) => image.blobs.get(digest));
const flip = (bytes: Buffer): Buffer => Buffer.from(bytes.map((byte, at) => (at === 20 ? byte ^ 1 : byte)));

interface Pair extends AsyncDisposable {
  readonly mirror: FaultServer;
  readonly origin: FaultServer;
  readonly resolving: Resolving;
}

/** A mirror that misbehaves before an origin, which does too if the test asks for it. */
async function open(mirrorFaults: readonly Fault[], originFaults: readonly Fault[] = []): Promise<Pair> {
  const stack = new AsyncDisposableStack();
  const mirror = stack.use(await startFaultServer(image, { faults: mirrorFaults }));
  const origin = stack.use(await startFaultServer(image, { faults: originFaults }));
  const hosts = tableOf(stopAt(mirror.host, "mirror"), stopAt(origin.host, "origin"));
  const resolving = stack.use(openResolving({ hosts, timeouts: { stallMs: 200, headersMs: 500 } }));
  return { mirror, origin, resolving, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

const decisions = (resolving: Resolving): string =>
  resolving.events.flatMap((event) => (event.type === "decision" ? [event.message] : [])).join("\n");

async function broken(layer: ResolvedLayer | undefined): Promise<string> {
  return (await errorOf(readLayer(layer))).code;
}

describe("a mirror", () => {
  test("that answers is the only one that is asked", async () => {
    await using pair = await open([]);
    const resolved = await pair.resolving.resolve("example.com/app:1");
    expect(resolved.source).toBe(pair.mirror.host);
    expect((await readLayer(resolved.layers[0])).bytes).toEqual(FIRST);
    expect(pair.origin.requests).toHaveLength(0);
    const order = `asking ${pair.mirror.host} (mirror, from the test), then ${pair.origin.host} (origin, from the test)`;
    expect(decisions(pair.resolving)).toContain(order);
    expect(decisions(pair.resolving)).toContain("/etc/test/hosts.toml");
  });

  test.each<readonly [string, Fault, string]>([
    ["answers 401", challenge('Basic realm="x"'), "registry-denied"],
    ["answers 403", fail("any", 403), "registry-denied"],
    ["answers 404", fail("any", 404), "image-unknown"],
    ["answers 429", fail("any", 429, { headers: { "retry-after": "1" } }), "registry-error"],
    ["answers 500", fail("any", 500), "registry-error"],
    ["answers 400", fail("any", 400), "registry-error"],
    ["breaks the connection", drop("any"), "registry-unreachable"],
    ["breaks off in the middle", truncate("manifest", 20), "registry-unreachable"],
    ["stalls", stall("manifest", 20), "registry-unreachable"],
    ["never answers", fault("any", () => {}), "registry-unreachable"],
    ["has a page under the tag", lie("manifest", () => Buffer.from("<html>")), "manifest-invalid"],
    [
      "contradicts itself",
      lie("manifest", flip, { headers: { "docker-content-digest": image.manifest.digest } }),
      "blob-corrupt",
    ],
  ])("that %s is passed over at once, and it is said why", async (_, wrong) => {
    await using pair = await open([wrong]);
    const resolved = await pair.resolving.resolve("example.com/app:1");
    expect(resolved.source).toBe(pair.origin.host);
    expect(resolved.manifest.descriptor.digest).toBe(image.manifest.digest);
    expect(pair.resolving.delays).toEqual([]);
    expect(decisions(pair.resolving)).toMatch(new RegExp(`asking ${pair.origin.host} .* because ${pair.mirror.host}`));
    expect(pair.resolving.events.find(({ type }) => type === "retry")).toBeUndefined();
  });

  test("that is not there is passed over", async () => {
    await using pair = await open([]);
    await pair.mirror[Symbol.asyncDispose]();
    expect((await pair.resolving.resolve("example.com/app:1")).source).toBe(pair.origin.host);
  });

  test("that lies about a digest is passed over", async () => {
    await using pair = await open([lie("manifest", flip)]);
    const resolved = await pair.resolving.resolve(`example.com/app@${image.manifest.digest}`);
    expect(resolved).toMatchObject({ source: pair.origin.host, manifest: { descriptor: image.manifest } });
  });

  test("that has the manifest but not the configuration is passed over for that alone", async () => {
    await using pair = await open([fail("config", 404)]);
    const resolved = await pair.resolving.resolve("example.com/app:1");
    expect(resolved.source).toBe(pair.mirror.host);
    expect(pair.origin.requests.map(({ target }) => target)).toEqual(["config"]);
    // who answered last is asked first
    await readLayer(resolved.layers[0]);
    expect(pair.origin.requests.map(({ target }) => target)).toEqual(["config", "layer"]);
  });

  test("that may not resolve tags is asked for content only", async () => {
    await using mirror = await startFaultServer(image);
    await using origin = await startFaultServer(image);
    const hosts = tableOf(stopAt(mirror.host, "mirror", { resolvesTags: false }), stopAt(origin.host, "origin"));
    await using resolving = openResolving({ hosts });
    await resolving.resolve("example.com/app:1");
    expect(mirror.requests).toHaveLength(0);
    await resolving.resolve(`example.com/app@${image.manifest.digest}`);
    expect(mirror.requests.map(({ target }) => target)).toEqual(["manifest", "config"]);
  });

  test("that may only resolve tags is not asked for content", async () => {
    await using mirror = await startFaultServer(image);
    await using origin = await startFaultServer(image);
    const hosts = tableOf(stopAt(mirror.host, "mirror", { resolvesDigests: false }), stopAt(origin.host, "origin"));
    await using resolving = openResolving({ hosts });
    const { layers } = await resolving.resolve("example.com/app:1");
    await readLayer(layers[0]);
    expect(mirror.requests.map(({ target }) => target)).toEqual(["manifest"]);
    expect(origin.requests.map(({ target }) => target)).toEqual(["config", "layer"]);
  });

  test("is told for whom it stands, and gets its own headers, which nobody else gets", async () => {
    await using mirror = await startFaultServer(image, { faults: [fail("config", 404)] });
    await using origin = await startFaultServer(image);
    const stop = stopAt(mirror.host, "mirror", { namespace: "example.com", headers: { "x-mirror": "swordfish" } });
    await using resolving = openResolving({ hosts: tableOf(stop, stopAt(origin.host, "origin")) });
    await resolving.resolve("example.com/app:1");
    expect(mirror.requests[0]).toMatchObject({ path: "/v2/app/manifests/1?ns=example.com" });
    expect(mirror.requests.every(({ headers }) => headers["x-mirror"] === "swordfish")).toBe(true);
    expect(origin.requests[0]?.path).not.toContain("?");
    expect(origin.requests[0]?.headers).not.toHaveProperty("x-mirror");
    expect(JSON.stringify(resolving.events)).not.toContain("swordfish");
  });

  test("is not sent the origin's credentials, but its own", async () => {
    const auths = (...entries: readonly (readonly [string, string])[]): string =>
      JSON.stringify({
        auths: Object.fromEntries(entries.map(([host, password]) => [host, { username: "u", password }])),
      });
    await using mirror = await startFaultServer(image, { faults: [challenge('Basic realm="m"')] });
    await using origin = await startFaultServer(image, { faults: [challenge('Basic realm="o"', () => true)] });
    const hosts = tableOf(stopAt(mirror.host, "mirror"), stopAt(origin.host, "origin"));
    {
      await using resolving = openResolving({ hosts, dockerConfig: auths([origin.host, "o"]) });
      await resolving.resolve("example.com/app:1");
      expect(mirror.requests.every(({ headers }) => headers.authorization === undefined)).toBe(true);
    }
    await using resolving = openResolving({ hosts, dockerConfig: auths([origin.host, "o"], [mirror.host, "m"]) });
    await resolving.resolve("example.com/app:1");
    expect(mirror.requests.at(-1)?.headers.authorization).toBe(`Basic ${btoa("u:m")}`);
  });

  test("of an image for another platform is not passed over", async () => {
    await using pair = await open([]);
    const error = await errorOf(pair.resolving.resolve("example.com/app:1", "linux/s390x"));
    expect(error.code).toBe("platform-unknown");
    expect(pair.origin.requests).toHaveLength(0);
  });
});

describe("when all fail", () => {
  test("the origin's error is told, and who failed before", async () => {
    await using pair = await open([fail("any", 503)], [fail("any", 404, { code: "MANIFEST_UNKNOWN" })]);
    const error = await errorOf(pair.resolving.resolve("example.com/app:1"));
    expect(error).toMatchObject({
      code: "image-unknown",
      message: expect.stringMatching(
        new RegExp(`${pair.origin.host} has no tag 1 in app; failed too: ${pair.mirror.host} \\(registry-error\\)`),
      ),
      hint: "check the spelling of repository and tag",
    });
    expect(error.details["tried"]).toEqual([
      { host: pair.mirror.host, code: "registry-error", message: expect.stringContaining("503") },
    ]);
  });

  test("the origin, and only the origin, is tried again", async () => {
    await using pair = await open([fail("any", 503)], [fail("any", 503)]);
    expect((await errorOf(pair.resolving.resolve("example.com/app:1"))).code).toBe("registry-error");
    expect(pair.mirror.requests).toHaveLength(1);
    expect(pair.origin.requests).toHaveLength(4);
  });

  test("at mirrors without an origin, the last one's error is told", async () => {
    await using one = await startFaultServer(image, { faults: [fail("any", 403)] });
    await using two = await startFaultServer(image, { faults: [fail("any", 404)] });
    const hosts = tableOf(stopAt(one.host, "mirror"), stopAt(two.host, "mirror"));
    await using resolving = openResolving({ hosts });
    const error = await errorOf(resolving.resolve("example.com/app:1"));
    expect(error).toMatchObject({ code: "image-unknown", message: expect.stringContaining(one.host) });
  });

  test("of https and http at one insecure registry, the one that answered is told", async () => {
    await using server = await startFaultServer(image, { faults: [fail("any", 404)] });
    const secure = {
      endpoint: { host: server.host, api: new URL(`https://${server.host}/v2/`), repositoryPrefix: "" },
    };
    const hosts = tableOf(stopAt(server.host, "origin", secure), stopAt(server.host, "origin"));
    await using resolving = openResolving({ hosts });
    expect((await errorOf(resolving.resolve("example.com/app:1"))).code).toBe("image-unknown");
    // that https did not work was no reason to wait
    expect(resolving.delays).toEqual([]);
  });

  test("and none may be asked, that is said", async () => {
    await using server = await startFaultServer(image);
    await using resolving = openResolving({ hosts: tableOf(stopAt(server.host, "mirror", { resolvesTags: false })) });
    const error = await errorOf(resolving.resolve("example.com/app:1"));
    expect(error).toMatchObject({ code: "registry-error", message: expect.stringContaining("may be asked for tag 1") });
    expect(server.requests).toHaveLength(0);
  });

  test("a caller that gives up is not an error of anybody's", async () => {
    await using pair = await open([fault("any", () => controller.abort(new Error("enough")))]);
    const controller = new AbortController();
    const context = { ...pair.resolving.contextFor(), signal: controller.signal };
    const reference = { kind: "docker", host: "example.com", repository: "app", tag: "1", asTyped: "" } as const;
    await expect(pair.resolving.docker.resolve(reference, context)).rejects.toThrow("enough");
    expect(pair.origin.requests).toHaveLength(0);
  });
});

describe("an operator's own registry for docker.io", () => {
  const library =
    (status: number): Fault =>
    (request, response) => {
      if (!request.path.includes("/library/")) return false;
      response.writeHead(status).end();
      return true;
    };

  test.each([404, 401, 403])("that answers %i to library/own is asked for own", async (status) => {
    await using server = await startFaultServer(image, { faults: [library(status)] });
    await using resolving = openResolving({ dockerRegistry: server.url });
    const { layers, name } = await resolving.resolve("own:1");
    expect(name).toBe("docker.io/library/own:1");
    await readLayer(layers[0]);
    // the name is settled once
    expect(server.requests.filter(({ path }) => path.includes("/library/"))).toHaveLength(1);
  });

  test("that fails is not asked under another name", async () => {
    await using server = await startFaultServer(image, { faults: [library(500)] });
    await using resolving = openResolving({ dockerRegistry: server.url });
    expect((await errorOf(resolving.resolve("own:1"))).code).toBe("registry-error");
    expect(server.requests.every(({ path }) => path.includes("/library/"))).toBe(true);
  });

  test("that has neither is told by the name that Docker gives it", async () => {
    await using server = await startFaultServer(image, { faults: [fail("any", 404)] });
    await using resolving = openResolving({ dockerRegistry: server.url });
    const error = await errorOf(resolving.resolve("own:1"));
    expect(error).toMatchObject({ code: "image-unknown", message: expect.stringContaining("library/own") });
    expect(error.details).not.toHaveProperty("tried");
  });
});

describe("a layer", () => {
  test.each<readonly [string, Fault]>([
    ["answers 404", fail("layer", 404)],
    ["answers 500", fail("layer", 500)],
    ["has another size", lie("layer", (good) => good.subarray(1))],
    ["drops the connection", drop("layer")],
  ])("is had from the origin when the mirror %s", async (_, wrong) => {
    await using pair = await open([wrong]);
    const { layers } = await pair.resolving.resolve("example.com/app:1");
    expect((await readLayer(layers[0])).bytes).toEqual(FIRST);
    expect((await readLayer(layers[1])).bytes).toEqual(SECOND);
    expect(pair.resolving.delays).toEqual([]);
  });

  test.each<readonly [string, Fault]>([
    ["breaks off", truncate("layer", 30)],
    ["stalls", stall("layer", 30)],
  ])("is gone on with at the origin, where the mirror %s", async (_, wrong) => {
    await using pair = await open([wrong]);
    const { layers } = await pair.resolving.resolve("example.com/app:1");
    expect(await broken(layers[0])).toBe("registry-unreachable");
    expect(await readLayer(layers[0], 30)).toEqual({ offset: 30, bytes: FIRST.subarray(30) });
    expect(pair.origin.requests.at(-1)?.headers.range).toBe("bytes=30-");
  });

  test("is asked of the mirror again when nobody else is better", async () => {
    await using pair = await open([truncate("layer", 30, { times: 1 })], [fail("layer", 404)]);
    const { layers } = await pair.resolving.resolve("example.com/app:1");
    expect(await broken(layers[0])).toBe("registry-unreachable");
    expect((await readLayer(layers[0], 30)).bytes).toEqual(FIRST.subarray(30));
  });

  test("whose bytes were wrong is not asked of that mirror again, nor is any other", async () => {
    await using pair = await open([lie("layer", flip)]);
    const { layers } = await pair.resolving.resolve("example.com/app:1");
    expect(sha256((await readLayer(layers[0])).bytes)).not.toBe(layers[0]?.blob.digest);
    const bytes = layers[0]?.bytes;
    if (bytes === undefined || !("open" in bytes)) throw new Error("no layer that is opened");
    expect(bytes.distrust?.()).toBe(true);
    expect((await readLayer(layers[0])).bytes).toEqual(FIRST);
    const before = pair.mirror.requests.length;
    expect((await readLayer(layers[1])).bytes).toEqual(SECOND);
    expect(pair.mirror.requests).toHaveLength(before);
    expect(decisions(pair.resolving)).toContain(`not asking ${pair.mirror.host} for this image any more`);
    expect(bytes.distrust?.()).toBe(false);
  });

  test("is told to be nobody's any more where all who had the image gave wrong bytes for another", async () => {
    await using pair = await open([lie("layer", flip)], [lie("layer", flip)]);
    const { layers } = await pair.resolving.resolve("example.com/app:1");
    const bytes = layers[0]?.bytes;
    if (bytes === undefined || !("open" in bytes)) throw new Error("no layer that is opened");
    for (const another of [true, false]) {
      await readLayer(layers[0]);
      expect(bytes.distrust?.()).toBe(another);
    }
    const error = await errorOf(readLayer(layers[1]));
    expect(error).toMatchObject({
      code: "blob-corrupt",
      message: expect.stringContaining("nobody is left who gave good bytes"),
      hint: expect.stringContaining(`what ${pair.mirror.host}, ${pair.origin.host} sent`),
    });
  });

  test("says of itself what it is, of which image and from where", async () => {
    await using pair = await open([]);
    const { layers } = await pair.resolving.resolve("example.com/app:1");
    const what = `layer ${layers[0]?.blob.digest} of example.com/app:1 from ${pair.mirror.host}`;
    expect(layers[0]?.what).toBe(what);
  });

  test("that a mirror and the origin gave together is blamed on the mirror", async () => {
    await using pair = await open([truncate("layer", 30)]);
    const { layers } = await pair.resolving.resolve("example.com/app:1");
    expect(await broken(layers[0])).toBe("registry-unreachable");
    await readLayer(layers[0], 30);
    const bytes = layers[0]?.bytes;
    if (bytes === undefined || !("open" in bytes)) throw new Error("no layer that is opened");
    expect(bytes.distrust?.()).toBe(true);
    expect((await readLayer(layers[0])).bytes).toEqual(FIRST);
  });

  test("that nobody has says who was asked, and that the registry has lost it", async () => {
    await using pair = await open([fail("layer", 404)], [fail("layer", 404, { code: "BLOB_UNKNOWN" })]);
    const { layers } = await pair.resolving.resolve("example.com/app:1");
    const error = await errorOf(readLayer(layers[0]));
    expect(error).toMatchObject({ code: "image-unknown", hint: expect.stringContaining("lost it") });
    expect(printed(error)).toContain(pair.mirror.host);
  });
});
