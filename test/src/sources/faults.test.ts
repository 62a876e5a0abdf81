/** Registries that lie, break off, hang, refuse and lead astray: the right error each time, and no secret let out. */
import { describe, expect, test } from "vitest";
import type { SourceOptions } from "../../../src/sources/index.ts";
import {
  challenge,
  drop,
  type Fault,
  fail,
  fault,
  lie,
  redirect,
  stall,
  startFaultServer,
  truncate,
} from "../../support/fault-server.ts";
import { type BuiltImage, buildImage, MEDIA_TYPES, sha256 } from "../../support/tar-builder.ts";
import { errorOf, openResolving, printed, readLayer } from "./resolve-with.ts";

const image = buildImage([[{ name: "a", content: "first" }]], { architecture: "amd64" });
const LAYER = image.blobs.get(image.layers[0]?.digest ?? "") ?? Buffer.alloc(0);
const SECRET = "swordfish";
const flip = (bytes: Buffer): Buffer =>
  Buffer.from(bytes.map((byte, at) => (at === bytes.length - 2 ? byte ^ 1 : byte)));
const longer = (bytes: Buffer): Buffer => Buffer.concat([bytes, Buffer.from(" ")]);

/** Credentials for every server of a test, so that whatever leaks is seen. */
function credentials(...hosts: readonly string[]): Partial<SourceOptions> {
  const entry = { username: "tester", password: SECRET };
  return { dockerConfig: JSON.stringify({ auths: Object.fromEntries(hosts.map((host) => [host, entry])) }) };
}

async function resolveAgainst(
  faults: readonly Fault[],
  name = "app:1",
  options: Partial<SourceOptions> = {},
  of: BuiltImage = image,
) {
  await using server = await startFaultServer(of, { faults });
  await using resolving = openResolving({ ...credentials(server.host), ...options });
  const error = await errorOf(resolving.resolve(`${server.host}/${name}`));
  expect(printed(error)).not.toContain(SECRET);
  return { error, requests: server.requests, delays: resolving.delays };
}

describe("a manifest", () => {
  const pinned = `app@${image.manifest.digest}`;

  test.each<readonly [string, Fault, string, string]>([
    ["with another digest than was asked for", lie("manifest", flip), pinned, "blob-corrupt"],
    ["that is longer than was asked for", lie("manifest", longer), pinned, "blob-corrupt"],
    [
      "that contradicts the digest beside it",
      lie("manifest", longer, { headers: { "docker-content-digest": image.manifest.digest } }),
      "app:1",
      "blob-corrupt",
    ],
    ["that is no JSON", lie("manifest", () => Buffer.from("<html>")), "app:1", "manifest-invalid"],
    ["that is far too large", lie("manifest", () => Buffer.alloc(17 * 1024 * 1024, " ")), "app:1", "manifest-invalid"],
    [
      "served as another type",
      lie("manifest", (good) => good, { headers: { "content-type": MEDIA_TYPES.docker.manifest } }),
      "app:1",
      "manifest-invalid",
    ],
    [
      "of schema 1, but of nothing else",
      lie("manifest", () => Buffer.from('{"schemaVersion":1}')),
      "app:1",
      "manifest-invalid",
    ],
    [
      "of schema 2, called schema 1 by its header",
      lie("manifest", (good) => good, {
        headers: { "content-type": "application/vnd.docker.distribution.manifest.v1+prettyjws" },
      }),
      pinned,
      "manifest-invalid",
    ],
  ])("%s is refused", async (_, wrong, name, code) => {
    const { error, requests } = await resolveAgainst([wrong], name);
    expect(error.code).toBe(code);
    expect(requests).toHaveLength(1);
  });

  test("is believed when Docker-Content-Digest is missing", async () => {
    await using server = await startFaultServer(image);
    await using resolving = openResolving();
    expect((await resolving.resolve(`${server.host}/app`)).manifest.descriptor.digest).toBe(image.manifest.digest);
  });

  test.each([
    ["larger", 1],
    ["smaller", -1],
  ])("of an index that says it is %s is refused", async (_, difference) => {
    const entry = {
      ...image.manifest,
      size: image.manifest.size + difference,
      platform: { os: "linux", architecture: "amd64" },
    };
    const index = Buffer.from(
      JSON.stringify({ schemaVersion: 2, mediaType: MEDIA_TYPES.oci.index, manifests: [entry] }),
    );
    const served = lie("manifest", () => index, { times: 1, headers: { "content-type": MEDIA_TYPES.oci.index } });
    expect((await resolveAgainst([served])).error.code).toBe("blob-corrupt");
  });

  test("behind indexes that go round and round is refused", async () => {
    const nested = (depth: number, blobs: Map<string, Buffer>): { mediaType: string; digest: string; size: number } => {
      if (depth === 0) return image.manifest;
      const manifests = [nested(depth - 1, blobs)];
      const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: MEDIA_TYPES.oci.index, manifests }));
      blobs.set(sha256(bytes), bytes);
      return { mediaType: MEDIA_TYPES.oci.index, digest: sha256(bytes), size: bytes.length };
    };
    for (const [depth, code] of [
      [2, undefined],
      [5, "manifest-invalid"],
    ] as const) {
      const blobs = new Map(image.blobs);
      const top = nested(depth, blobs);
      const typed = fault("manifest", ({ path }, response) => {
        const body = blobs.get(path.slice(path.lastIndexOf("/") + 1)) ?? blobs.get(top.digest) ?? Buffer.alloc(0);
        response.writeHead(200, { "content-length": body.length }).end(body);
      });
      await using server = await startFaultServer({ ...image, manifest: top, blobs }, { faults: [typed] });
      await using resolving = openResolving();
      const result = resolving.resolve(`${server.host}/app`);
      if (code === undefined) expect((await result).manifest.descriptor.digest).toBe(image.manifest.digest);
      else expect(await errorOf(result)).toMatchObject({ code });
    }
  });
});

describe("a configuration", () => {
  test.each<readonly [string, Fault]>([
    ["with another digest", lie("config", flip)],
    ["that is longer", lie("config", longer)],
    ["that is shorter", lie("config", (good) => good.subarray(1))],
  ])("%s is blob-corrupt", async (_, wrong) => {
    expect((await resolveAgainst([wrong])).error.code).toBe("blob-corrupt");
  });

  test("that is missing is image-unknown, and it is said who has lost it", async () => {
    const { error } = await resolveAgainst([fail("config", 404, { code: "BLOB_UNKNOWN" })]);
    expect(error).toMatchObject({ code: "image-unknown", hint: expect.stringContaining("lost it") });
  });

  test("inlined in the manifest is not fetched, and not trusted either", async () => {
    const config = image.blobs.get(image.config.digest) ?? Buffer.alloc(0);
    const inline = (data: Buffer): BuiltImage =>
      buildImage(
        [[{ name: "a", content: "first" }]],
        { architecture: "amd64" },
        { manifest: { config: { ...image.config, data: data.toString("base64") } } },
      );
    await using server = await startFaultServer(inline(config));
    await using resolving = openResolving();
    await resolving.resolve(`${server.host}/app`);
    expect(server.requests.map(({ target }) => target)).toEqual(["manifest"]);
    const { error } = await resolveAgainst([], "app:1", {}, inline(flip(config)));
    expect(error.code).toBe("blob-corrupt");
  });
});

describe("a passing failure", () => {
  test.each<readonly [string, (times: number) => Fault]>([
    ["503", (times) => fail("manifest", 503, { times })],
    ["500", (times) => fail("config", 500, { times })],
    ["429", (times) => fail("any", 429, { times, headers: { "retry-after": "2" } })],
    ["a dropped connection", (times) => drop("manifest", { times })],
    ["a truncated manifest", (times) => truncate("manifest", 20, { times })],
    ["a truncated configuration", (times) => truncate("config", 20, { times })],
  ])("(%s) is tried again, and said so", async (_, make) => {
    await using server = await startFaultServer(image, { faults: [make(2)] });
    await using resolving = openResolving();
    expect((await resolving.resolve(`${server.host}/app`)).manifest.descriptor.digest).toBe(image.manifest.digest);
    expect(resolving.delays).toHaveLength(2);
    expect(resolving.events.filter(({ type }) => type === "retry")).toHaveLength(2);
  });

  test.each<readonly [string, Fault, string]>([
    ["503", fail("manifest", 503), "registry-error"],
    ["a dropped connection", drop("manifest"), "registry-unreachable"],
    ["a truncated manifest", truncate("manifest", 20), "registry-unreachable"],
  ])("(%s) that does not pass is an error after four attempts", async (_, wrong, code) => {
    const { error, requests } = await resolveAgainst([wrong]);
    expect(error).toMatchObject({ code, kind: "unavailable" });
    expect(requests).toHaveLength(4);
  });

  test("of 429 waits as long as is asked, but not for ever", async () => {
    expect((await resolveAgainst([fail("any", 429, { headers: { "retry-after": "7" } })])).delays).toEqual([
      7000, 7000, 7000,
    ]);
    const { error, delays } = await resolveAgainst([fail("any", 429, { headers: { "retry-after": "86400" } })]);
    expect(delays).toEqual([]);
    expect(error).toMatchObject({
      code: "registry-error",
      message: expect.stringContaining("429"),
      hint: expect.stringContaining("86400 s"),
    });
  });

  test("of 429 waits as long as is asked in words", async () => {
    const said = fault("any", (_, response) => {
      const errors = [{ code: "TOOMANYREQUESTS", message: "retry-after: 1.5s, allowed: 44000/minute" }];
      response.writeHead(429).end(JSON.stringify({ errors }));
    });
    const { error, delays } = await resolveAgainst([said]);
    expect(delays.every((ms) => ms >= 1500 && ms < 2500)).toBe(true);
    expect(error.hint).toContain("in 2 s");
  });

  test("with an endless explanation is an error all the same", async () => {
    const endless = fault("any", (_, response) => {
      response.writeHead(500);
      const more = (): void => void response.write(Buffer.alloc(64 * 1024, "x"), () => setImmediate(more));
      more();
    });
    expect((await resolveAgainst([endless])).error.code).toBe("registry-error");
  });

  test("that is none is not tried again", async () => {
    expect((await resolveAgainst([fail("any", 400)])).requests).toHaveLength(1);
    expect((await resolveAgainst([fail("any", 404)])).requests).toHaveLength(1);
  });

  test("of a server that is not there is registry-unreachable", async () => {
    const server = await startFaultServer(image);
    await server[Symbol.asyncDispose]();
    await using resolving = openResolving();
    const error = await errorOf(resolving.resolve(`${server.host}/app`));
    expect(error).toMatchObject({ code: "registry-unreachable", message: expect.stringContaining("refused") });
  });

  test("of a server that never answers is registry-unreachable", async () => {
    const silence = fault("any", () => {});
    const { error } = await resolveAgainst([silence], "app:1", { timeouts: { headersMs: 100 } });
    expect(error).toMatchObject({ code: "registry-unreachable", message: expect.stringContaining("did not answer") });
  });
});

describe("a layer", () => {
  async function openLayer(faults: readonly Fault[], offset = 0, ranges = true) {
    await using server = await startFaultServer(image, { faults, ranges });
    await using resolving = openResolving({ timeouts: { stallMs: 200 } });
    const { layers } = await resolving.resolve(`${server.host}/app`);
    return await readLayer(layers[0], offset);
  }

  test("starts where it is asked to", async () => {
    expect(await openLayer([], 5)).toEqual({ offset: 5, bytes: LAYER.subarray(5) });
  });

  test("starts at its beginning, and says so, where ranges are ignored or refused", async () => {
    expect(await openLayer([], 5, false)).toEqual({ offset: 0, bytes: LAYER });
    expect(await openLayer([fail("layer", 416, { times: 1 })], 5)).toEqual({ offset: 0, bytes: LAYER });
  });

  test.each<readonly [string, Fault, number]>([
    ["has another size", lie("layer", longer), 0],
    ["is shorter", lie("layer", (good) => good.subarray(1)), 0],
    ["starts elsewhere", partial("bytes 3-9/10", LAYER.subarray(5)), 5],
    ["has another total size", partial(`bytes 5-${LAYER.length - 1}/${LAYER.length + 1}`, LAYER.subarray(5)), 5],
    ["cannot even be had from its start", fail("layer", 416), 0],
  ])("that %s is blob-corrupt before it is read", async (_, wrong, offset) => {
    expect(await errorOf(openLayer([wrong], offset))).toMatchObject({ code: "blob-corrupt" });
  });

  test("that breaks off in the middle is registry-unreachable", async () => {
    expect(await errorOf(openLayer([truncate("layer", 20)]))).toMatchObject({ code: "registry-unreachable" });
  });

  test("that stalls is registry-unreachable", async () => {
    const error = await errorOf(openLayer([stall("layer", 20)]));
    expect(error).toMatchObject({ code: "registry-unreachable", message: expect.stringContaining("stalled") });
  });

  test("ends with the caller's signal", async () => {
    await using server = await startFaultServer(image, { faults: [stall("layer", 20)] });
    await using resolving = openResolving();
    const bytes = (await resolving.resolve(`${server.host}/app`)).layers[0]?.bytes;
    if (bytes === undefined || !("open" in bytes)) throw new Error("no layer that is opened");
    const controller = new AbortController();
    const { body } = await bytes.open(0, controller.signal);
    const read = async (): Promise<void> => {
      for await (const _ of body) controller.abort(new Error("enough"));
    };
    await expect(read()).rejects.toThrow("enough");
  });
});

describe("authorization", () => {
  const basic = challenge('Basic realm="x"', (sent) => sent === `Basic ${btoa(`tester:${SECRET}`)}`);

  test("is never sent to another origin, but the layer is had from there", async () => {
    await using network = await startFaultServer(image);
    await using server = await startFaultServer(image, {
      faults: [basic, redirect("layer", (path) => `${network.url}${path}?signature=${SECRET}`)],
    });
    await using resolving = openResolving(credentials(server.host, network.host));
    const { layers } = await resolving.resolve(`${server.host}/app`);
    expect((await readLayer(layers[0])).bytes).toEqual(LAYER);
    expect(server.requests.at(-1)?.headers.authorization).toBeDefined();
    expect(network.requests).toHaveLength(1);
    expect(network.requests[0]?.headers).not.toHaveProperty("authorization");
    expect(JSON.stringify(resolving.events)).not.toContain(SECRET);
  });

  test("keeps to its origin through several redirects", async () => {
    await using server = await startFaultServer(image, {
      faults: [
        basic,
        redirect("layer", () => "/elsewhere"),
        fault("any", ({ path }, response) => void response.writeHead(path === "/elsewhere" ? 200 : 404).end(LAYER), 0),
      ],
    });
    await using resolving = openResolving(credentials(server.host));
    const { layers } = await resolving.resolve(`${server.host}/app`);
    await readLayer(layers[0]).catch(() => {});
    expect(server.requests.at(-1)).toMatchObject({
      path: "/elsewhere",
      headers: { authorization: expect.stringContaining("Basic") },
    });
  });

  test("is not given to a challenge from another origin", async () => {
    await using network = await startFaultServer(undefined, { faults: [challenge('Basic realm="gimme"')] });
    await using server = await startFaultServer(image, {
      faults: [redirect("config", (path) => `${network.url}${path}`)],
    });
    await using resolving = openResolving(credentials(server.host, network.host));
    const error = await errorOf(resolving.resolve(`${server.host}/app`));
    expect(error).toMatchObject({ code: "registry-denied", message: expect.stringContaining(network.host) });
    expect(network.requests.every(({ headers }) => headers.authorization === undefined)).toBe(true);
  });

  test("that is refused again and again is an error after one renewal", async () => {
    const { error, requests } = await resolveAgainst([challenge('Basic realm="x"')]);
    expect(error).toMatchObject({ code: "registry-denied", message: expect.stringMatching(/401.*credentials from/) });
    expect(requests).toHaveLength(2);
  });

  test("with tokens that are never good enough is an error after one renewal", async () => {
    await using tokens = await startFaultServer(undefined, {
      faults: [fault("any", (_, response) => void response.end('{"token":"t0p-secret"}'))],
    });
    const { error, requests } = await resolveAgainst([challenge(`Bearer realm="${tokens.url}/token",service="x"`)]);
    expect(error).toMatchObject({ code: "registry-denied" });
    expect(printed(error)).not.toContain("t0p-secret");
    expect(requests).toHaveLength(2);
    expect(tokens.requests).toHaveLength(1);
    // where the challenge has no scope, it is the repository that is asked for
    expect(tokens.requests[0]?.path).toContain(`scope=${encodeURIComponent("repository:app:pull")}`);
  });

  test("renews a token that the registry has stopped to accept", async () => {
    let issued = 0;
    const issue = fault("any", (_, response) => {
      issued += 1;
      response.end(JSON.stringify({ access_token: `token${issued}`, expires_in: 3600 }));
    });
    await using tokens = await startFaultServer(undefined, { faults: [issue] });
    const accepts = challenge(
      [`Basic realm="x"`, `Bearer realm="${tokens.url}/token"`],
      (sent) => sent === `Bearer token${accepted}`,
    );
    let accepted = 1;
    await using server = await startFaultServer(image, { faults: [accepts] });
    await using resolving = openResolving();
    const { layers } = await resolving.resolve(`${server.host}/app`);
    accepted = 2;
    expect((await readLayer(layers[0])).bytes).toEqual(LAYER);
    expect(issued).toBe(2);
  });

  test("exchanges an identity token in the body of a POST, which no redirect carries away", async () => {
    await using elsewhere = await startFaultServer(undefined);
    const moved = redirect("any", (path) => `${elsewhere.url}${path}`);
    await using tokens = await startFaultServer(undefined, { faults: [moved] });
    await using server = await startFaultServer(image, { faults: [challenge(`Bearer realm="${tokens.url}/token"`)] });
    const dockerConfig = JSON.stringify({ auths: { [server.host]: { identitytoken: SECRET } } });
    await using resolving = openResolving({ dockerConfig });
    const error = await errorOf(resolving.resolve(`${server.host}/app`));
    expect(error).toMatchObject({ code: "registry-error", message: expect.stringContaining("307") });
    expect(tokens.requests[0]).toMatchObject({ method: "POST", path: "/token" });
    expect(elsewhere.requests).toHaveLength(0);
    expect(printed(error)).not.toContain(SECRET);
  });

  test("is not asked of a token server in plain http elsewhere", async () => {
    const { error } = await resolveAgainst([challenge('Bearer realm="http://tokens.example.com/token"')]);
    expect(error.code).toBe("registry-insecure");
  });
});

describe("a redirect", () => {
  test("to plain http elsewhere is refused", async () => {
    const { error } = await resolveAgainst([
      redirect("config", () => "http://cdn.example.com/blob?signature=swordfish"),
    ]);
    expect(error).toMatchObject({
      code: "registry-insecure",
      message: expect.stringContaining("http://cdn.example.com/blob?…"),
    });
  });

  test.each<readonly [string, Fault]>([
    ["to itself", redirect("config", (path) => path)],
    ["to nowhere", fault("config", (_, response) => void response.writeHead(307).end())],
    ["to another scheme", redirect("config", () => "file:///etc/passwd")],
  ])("%s is an error", async (_, wrong) => {
    expect((await resolveAgainst([wrong])).error.code).toBe("registry-error");
  });
});

function partial(range: string, body: Buffer): Fault {
  return fault(
    "layer",
    (_, response) => void response.writeHead(206, { "content-range": range, "content-length": body.length }).end(body),
  );
}
