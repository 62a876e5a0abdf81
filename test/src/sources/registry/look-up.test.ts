/** What a name stands for, and whether it may be read, without pulling it. */
import { describe, expect, test } from "vitest";
import {
  DOCKER_MANIFEST,
  DOCKER_MANIFEST_V1_SIGNED,
  OCI_ARTIFACT_MANIFEST,
  OCI_INDEX,
  OCI_MANIFEST,
} from "../../../../src/image/media-types.ts";
import { type DockerReference, parseReference } from "../../../../src/image/reference.ts";
import { type Digest, digestOf, parseDigest } from "../../../../store/index.ts";
import { challenge, type Fault, fail, fault, lie, startFaultServer } from "../../../support/fault-server.ts";
import { buildSchema1, signSchema1 } from "../../../support/schema1-builder.ts";
import { buildImage } from "../../../support/tar-builder.ts";
import { errorOf, openResolving, printed, type Resolving } from "../resolve-with.ts";
import { stopAt, tableOf } from "./routes.ts";

const image = buildImage([[{ name: "a", content: "first" }]], { architecture: "amd64" });
const { digest, size } = image.manifest;
const DIGEST = parseDigest(digest);
const methods = ({ requests }: { requests: readonly { method: string }[] }): string[] =>
  requests.map(({ method }) => method);

async function resolveName(resolving: Resolving, text: string) {
  return await resolving.docker.resolveName?.(parseReference(text) as DockerReference, resolving.contextFor());
}

async function checkAccess(resolving: Resolving, text: string, wanted: Digest = DIGEST) {
  const reference = parseReference(text) as DockerReference;
  return await resolving.docker.checkAccess?.(reference, wanted, resolving.contextFor());
}

interface Artifact {
  readonly config?: string;
  readonly layer?: string;
  readonly more?: object;
}

const withoutHead: Fault = (request, response) => {
  if (request.method !== "HEAD") return false;
  response.writeHead(405).end();
  return true;
};

describe("resolving a name", () => {
  test("asks for no more than its digest, whatever the platform", async () => {
    const docker = buildImage([[{ name: "a", content: "first" }]], {}, { mediaTypes: "docker" });
    await using server = await startFaultServer(docker, { digests: true });
    await using resolving = openResolving();
    const { digest: pinned, size: sizeBytes } = docker.manifest;
    const named = { digest: pinned, mediaType: DOCKER_MANIFEST, size: sizeBytes, source: server.host };
    expect(await resolveName(resolving, `${server.host}/app:1`)).toEqual(named);
    expect(await resolveName(resolving, `${server.host}/app@${pinned}`)).toEqual(named);
    expect(methods(server)).toEqual(["HEAD", "HEAD"]);
  });

  test("looks into an OCI manifest, which may be that of anything", async () => {
    await using server = await startFaultServer(image, { digests: true });
    await using resolving = openResolving();
    const named = { digest, mediaType: OCI_MANIFEST, size, source: server.host };
    expect(await resolveName(resolving, `${server.host}/app:1`)).toEqual(named);
    expect(await resolveName(resolving, `${server.host}/app@${digest}`)).toEqual(named);
    expect(methods(server)).toEqual(["HEAD", "GET", "HEAD", "GET"]);
  });

  test("does not look into it where the digest is all that is wanted", async () => {
    await using server = await startFaultServer(image, { digests: true });
    await using resolving = openResolving();
    const reference = parseReference(`${server.host}/app:1`) as DockerReference;
    const named = await resolving.docker.resolveName?.(reference, resolving.contextFor(), { anyKind: true });
    expect(named).toEqual({ digest, mediaType: OCI_MANIFEST, size, source: server.host });
    expect(methods(server)).toEqual(["HEAD"]);
  });

  test.each([
    ["a Helm chart", { config: "application/vnd.cncf.helm.config.v1+json" }],
    ["a cosign signature", { layer: "application/vnd.dev.cosign.simplesigning.v1+json" }],
    ["an artifact", { more: { artifactType: "application/vnd.example.thing" } }],
    ["an OCI artifact", { more: { mediaType: OCI_ARTIFACT_MANIFEST } }],
  ])("refuses %s, as pulling it would", async (kind, { config, layer, more = {} }: Artifact) => {
    const { config: own, layers, ...rest } = JSON.parse(String(image.blobs.get(digest)));
    const document = {
      ...rest,
      config: { ...own, ...(config !== undefined && { mediaType: config }) },
      layers: layers.map((each: object) => ({ ...each, ...(layer !== undefined && { mediaType: layer }) })),
      ...more,
    };
    const bytes = Buffer.from(JSON.stringify(document));
    const headers = { "content-type": document.mediaType, "docker-content-digest": digestOf(bytes) };
    const served = lie("manifest", () => bytes, { headers });
    await using server = await startFaultServer(image, { faults: [served] });
    await using resolving = openResolving();
    const error = await errorOf(resolveName(resolving, `${server.host}/app:1`));
    expect(error).toMatchObject({ code: "media-type-unsupported", message: expect.stringContaining(kind) });
    const pulled = await errorOf(resolving.resolve(`${server.host}/app:1`));
    expect(pulled.message).toBe(error.message);
  });

  test("gives the index that a tag names, not what is in it", async () => {
    const index = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [image.manifest] }));
    const served = lie("manifest", () => index, { headers: { "content-type": OCI_INDEX } });
    await using server = await startFaultServer(image, { faults: [withoutHead, served] });
    await using resolving = openResolving();
    expect(await resolveName(resolving, `${server.host}/app:1`)).toEqual({
      digest: digestOf(index),
      mediaType: OCI_INDEX,
      size: index.length,
      source: server.host,
    });
  });

  test.each<readonly [string, readonly Fault[]]>([
    ["does not know HEAD", [withoutHead]],
    ["says no digest", []],
    ["has a proxy's empty cache", [fault("any", (_, response) => void response.writeHead(404).end(), 1)]],
    [
      "does not say what it is",
      [
        fault(
          "manifest",
          (_, response) =>
            void response.writeHead(200, { "docker-content-digest": digest, "content-length": size }).end(),
          1,
        ),
      ],
    ],
  ])("fetches and hashes it where the registry %s", async (_, faults) => {
    await using server = await startFaultServer(image, { faults });
    await using resolving = openResolving();
    expect(await resolveName(resolving, `${server.host}/app:1`)).toMatchObject({ digest, mediaType: OCI_MANIFEST });
    expect(methods(server)).toEqual(["HEAD", "GET"]);
  });

  test("gives the digest by which a signed manifest of schema 1 is pinned", async () => {
    const payload = buildSchema1(image);
    const headers = { "content-type": DOCKER_MANIFEST_V1_SIGNED };
    const served = lie("manifest", () => signSchema1(payload), { headers });
    await using server = await startFaultServer(image, { faults: [withoutHead, served] });
    await using resolving = openResolving();
    expect(await resolveName(resolving, `${server.host}/app:1`)).toMatchObject({ digest: digestOf(payload) });
  });

  test("asks mirrors first, as pulling does", async () => {
    await using mirror = await startFaultServer(image, { digests: true, faults: [fail("any", 500)] });
    await using origin = await startFaultServer(image, { digests: true });
    const hosts = tableOf(stopAt(mirror.host, "mirror"), stopAt(origin.host, "origin"));
    await using resolving = openResolving({ hosts });
    expect(await resolveName(resolving, "example.com/app:1")).toMatchObject({ digest, source: origin.host });
    expect(mirror.requests).toHaveLength(1);
  });

  test.each<readonly [string, Fault, string]>([
    ["is not there", fail("any", 404), "image-unknown"],
    ["is denied", challenge('Basic realm="x"'), "registry-denied"],
    ["is no image", lie("manifest", () => Buffer.from("<html>")), "manifest-invalid"],
  ])("that %s fails as pulling it would", async (_, wrong, code) => {
    await using server = await startFaultServer(image, { faults: [wrong] });
    await using resolving = openResolving();
    expect(await errorOf(resolveName(resolving, `${server.host}/app:1`))).toMatchObject({ code });
  });
});

test("a login page where a manifest should be is told as such", async () => {
  const page = lie("manifest", () => Buffer.from("<html>"), { headers: { "content-type": "text/html" } });
  await using server = await startFaultServer(image, { faults: [page] });
  await using resolving = openResolving();
  expect(await errorOf(resolveName(resolving, `${server.host}/app:1`))).toMatchObject({
    code: "manifest-invalid",
    message: expect.stringContaining('it is not JSON, and was served as "text/html"'),
    hint: expect.stringContaining("login page or a proxy"),
  });
});

test("a manifest that is too large to be one says what to look at", async () => {
  await using server = await startFaultServer(image, {
    faults: [lie("manifest", () => Buffer.alloc(17 * 1024 * 1024))],
  });
  await using resolving = openResolving();
  const error = await errorOf(resolving.resolve(`${server.host}/app:1`));
  expect(error).toMatchObject({ code: "manifest-invalid", hint: expect.stringContaining("a few kilobytes") });
});

test("what a registry refuses is told by what is true of every command", async () => {
  await using server = await startFaultServer(image, { faults: [fail("any", 500)] });
  await using resolving = openResolving();
  const { message } = await errorOf(resolveName(resolving, `${server.host}/app:1`));
  expect(message).toMatch(/^Cannot get \S+\/app:1: registry \S+ answered 500/);
});

describe("checking access", () => {
  test("asks the origin, and no mirror, without fetching anything", async () => {
    await using mirror = await startFaultServer(image, { digests: true });
    await using origin = await startFaultServer(image, { digests: true });
    const hosts = tableOf(stopAt(mirror.host, "mirror"), stopAt(origin.host, "origin"));
    await using resolving = openResolving({ hosts });
    await checkAccess(resolving, "example.com/app:1");
    expect(mirror.requests).toHaveLength(0);
    expect(origin.requests.map(({ method, path }) => `${method} ${path}`)).toEqual([
      `HEAD /v2/app/manifests/${digest}`,
    ]);
  });

  test("asks with the credentials of the request alone", async () => {
    const basic = challenge('Basic realm="x"', (sent) => sent === `Basic ${btoa("own:swordfish")}`);
    await using server = await startFaultServer(image, { digests: true, faults: [basic] });
    const config = (user: string): string =>
      JSON.stringify({ auths: { [server.host]: { auth: btoa(`${user}:swordfish`) } } });
    await using machine = openResolving({ dockerConfig: config("own") }, { dockerConfig: config("other") });
    const error = await errorOf(checkAccess(machine, `${server.host}/app:1`));
    expect(error).toMatchObject({ code: "registry-denied", message: expect.stringContaining("the request's") });
    expect(printed(error)).not.toContain("swordfish");
    await using request = openResolving({ dockerConfig: config("other") }, { dockerConfig: config("own") });
    await checkAccess(request, `${server.host}/app:1`);
  });

  test("falls back to GET where HEAD is not known, and takes nothing for the manifest that is not", async () => {
    await using server = await startFaultServer(image, { faults: [withoutHead] });
    await using resolving = openResolving();
    await checkAccess(resolving, `${server.host}/app:1`);
    expect(methods(server)).toEqual(["HEAD", "GET"]);
    const gone = parseDigest(`sha256:${"0".repeat(64)}`);
    const error = await errorOf(checkAccess(resolving, `${server.host}/app:1`, gone));
    expect(error).toMatchObject({ code: "image-unknown", hint: expect.stringContaining("check the digest") });
  });

  test("is denied by 403, with nothing but the status to go by", async () => {
    await using server = await startFaultServer(image, { faults: [fail("any", 403)] });
    await using resolving = openResolving();
    expect((await errorOf(checkAccess(resolving, `${server.host}/app:1`))).code).toBe("registry-denied");
    expect(methods(server)).toEqual(["HEAD"]);
  });
});
