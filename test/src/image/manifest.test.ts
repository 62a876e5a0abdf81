/** Manifests and indexes: what is read out of them, and what is refused. */
import { describe, expect, test } from "vitest";
import { parseIndex, parseManifest, parseManifestOrIndex } from "../../../src/image/manifest.ts";
import * as types from "../../../src/image/media-types.ts";

const digest = (letter: string): string => `sha256:${letter.repeat(64)}`;
const CONFIG = { mediaType: types.DOCKER_CONFIG, digest: digest("b"), size: 7023 };
const LAYERS = [32654, 16724, 73109].map((size, at) => ({
  mediaType: types.DOCKER_LAYER_GZIP,
  digest: digest(String(at)),
  size,
}));
const DOCKER = { schemaVersion: 2, mediaType: types.DOCKER_MANIFEST, config: CONFIG, layers: LAYERS };
const INDEX = {
  schemaVersion: 2,
  mediaType: types.OCI_INDEX,
  manifests: [{ mediaType: types.OCI_MANIFEST, digest: digest("c"), size: 1 }],
};

describe("a manifest", () => {
  test("of Docker's schema 2 has OCI names inside, layers in order", () => {
    const manifest = parseManifest(bytes(DOCKER), { what: "x" });
    expect(manifest.mediaType).toBe(types.DOCKER_MANIFEST);
    expect(manifest.config).toMatchObject({ mediaType: types.OCI_CONFIG, digest: digest("b"), size: 7023 });
    expect(manifest.layers.map(({ size }) => size)).toEqual([32654, 16724, 73109]);
    expect(manifest.layers[0]?.mediaType).toBe(types.OCI_LAYER_GZIP);
  });

  test("without a mediaType is known by its body", () => {
    expect(parseManifestOrIndex(bytes({ ...DOCKER, mediaType: undefined }), { what: "x" }).kind).toBe("manifest");
    expect(parseManifestOrIndex(bytes({ ...INDEX, mediaType: undefined }), { what: "x" }).kind).toBe("index");
  });

  test("without a mediaType takes the one it was served with", () => {
    const context = { what: "x", contentType: `${types.OCI_MANIFEST}; charset=utf-8` };
    expect(parseManifest(bytes({ ...DOCKER, mediaType: undefined }), context).mediaType).toBe(types.OCI_MANIFEST);
  });

  test("may have no layers, and null where Go writes null", () => {
    const manifest = parseManifest(bytes({ ...DOCKER, layers: [], annotations: null }), { what: "x" });
    expect(manifest).toMatchObject({ layers: [], annotations: {} });
  });

  test.each([
    ["is not JSON", Buffer.from("{"), {}, /not JSON/],
    ["is not UTF-8", Buffer.from([0x22, 0xff, 0x22]), {}, /not UTF-8/],
    ["is too large", Buffer.alloc(16 * 1024 * 1024 + 1, " "), {}, /more than the limit/],
    ["is nested too deeply", Buffer.from("[".repeat(100_000) + "]".repeat(100_000)), {}, /deeply/],
    ["has more values than any", Buffer.alloc(16 * 1024 * 1024, "[],"), {}, /more than the limit of 250000 values/],
    ["has more layers than any", bytes({ ...DOCKER, layers: Array(10_001).fill({}) }), {}, /more than 10000 entries/],
    ["is an array", bytes([]), {}, /should be an object/],
    ["is a page", Buffer.from("<html>"), { contentType: "text/html; charset=utf-8" }, /not JSON.*"text\/html"/],
    ["has no schemaVersion", bytes({ config: CONFIG, layers: LAYERS }), {}, /schemaVersion is missing/],
    ["has no layers", bytes({ schemaVersion: 2, config: CONFIG }), {}, /layers/],
    ["has neither layers nor manifests", bytes({ schemaVersion: 2 }), {}, /config/],
    ["has both layers and manifests", bytes({ ...DOCKER, manifests: [] }), {}, /at once/],
    ["calls itself an index but is a manifest", bytes({ ...DOCKER, mediaType: types.OCI_INDEX }), {}, /no manifests/],
    ["calls itself a manifest but is an index", bytes({ ...INDEX, mediaType: types.OCI_MANIFEST }), {}, /no layers/],
    ["was served as something else", bytes(DOCKER), { contentType: types.OCI_MANIFEST }, /served as/],
    ["has a malformed digest", bytes({ ...DOCKER, config: { ...CONFIG, digest: "sha256:ab" } }), {}, /config\.digest/],
    [
      "has a digest that is a path",
      bytes({ ...DOCKER, config: { ...CONFIG, digest: "sha256:../../x" } }),
      {},
      /config\.digest/,
    ],
    ["has a negative size", bytes({ ...DOCKER, layers: [{ ...CONFIG, size: -1 }] }), {}, /layers\.0\.size/],
    ["has an unsafe size", bytes({ ...DOCKER, layers: [{ ...CONFIG, size: 2 ** 60 }] }), {}, /layers\.0\.size/],
  ])("is refused when it %s", (_, document, context, message) => {
    const parse = (): unknown => parseManifestOrIndex(document, { what: "x", ...context });
    expect(parse).toThrow(
      expect.objectContaining({ code: "manifest-invalid", message: expect.stringMatching(message) }),
    );
  });

  test.each([
    ["Docker schema 1", { schemaVersion: 1, name: "x", fsLayers: [] }, /schema 1/],
    [
      "a Helm chart",
      { ...DOCKER, config: { ...CONFIG, mediaType: "application/vnd.cncf.helm.config.v1+json" } },
      /a Helm chart/,
    ],
    [
      "a Docker plugin",
      { ...DOCKER, config: { ...CONFIG, mediaType: "application/vnd.docker.plugin.v1+json" } },
      /artifact/,
    ],
    [
      "a WebAssembly module",
      { ...DOCKER, config: { ...CONFIG, mediaType: "application/vnd.wasm.config.v0+json" } },
      /a WebAssembly module/,
    ],
    [
      "a cosign signature",
      { ...DOCKER, layers: [{ ...CONFIG, mediaType: "application/vnd.dev.cosign.simplesigning.v1+json" }] },
      /layer 1 is a cosign signature/,
    ],
    [
      "an artifact with an empty configuration",
      {
        ...DOCKER,
        config: { ...CONFIG, mediaType: "application/vnd.oci.empty.v1+json" },
        layers: [{ ...CONFIG, mediaType: "application/spdx+json" }],
      },
      /an artifact, a software bill of materials/,
    ],
    [
      "an artifact by its own word",
      { ...DOCKER, artifactType: "application/vnd.example.thing" },
      /vnd\.example\.thing/,
    ],
    ["an OCI artifact manifest", { schemaVersion: 2, mediaType: types.OCI_ARTIFACT_MANIFEST, blobs: [] }, /artifact/],
    ["an unknown layer", { ...DOCKER, layers: [{ ...CONFIG, mediaType: "application/x-other" }] }, /layer 1/],
    [
      "an encrypted layer",
      { ...DOCKER, layers: [{ ...CONFIG, mediaType: `${types.OCI_LAYER_GZIP}+encrypted` }] },
      /layer 1/,
    ],
  ])("is refused as unsupported when it is %s", (_, document, message) => {
    const parse = (): unknown => parseManifest(bytes(document), { what: "x" });
    expect(parse).toThrow(
      expect.objectContaining({ code: "media-type-unsupported", message: expect.stringMatching(message) }),
    );
  });

  test("may say that its artifact type is an image's, and have a subject", () => {
    const document = { ...DOCKER, artifactType: types.OCI_CONFIG, subject: CONFIG };
    expect(parseManifest(bytes(document), { what: "x" })).not.toHaveProperty("subject");
  });

  test("does not put what it calls itself on a terminal", () => {
    const document = { ...DOCKER, mediaType: `\u001b[31m\u202e${"x".repeat(500)}` };
    expect(() => parseManifest(bytes(document), { what: "x" })).toThrow(
      expect.objectContaining({ message: expect.stringMatching(/^[ -~…]{1,250}$/) }),
    );
  });

  test("is not taken for an index, nor an index for it", () => {
    expect(() => parseIndex(bytes(DOCKER), { what: "x" })).toThrow("manifest where an index was promised");
    expect(() => parseManifest(bytes(INDEX), { what: "x" })).toThrow("index where a manifest was promised");
  });
});

test("a page in the place of a manifest is told to be a login page's or a proxy's", () => {
  const parse = (contentType: string) => () => parseManifest(Buffer.from("<html>"), { what: "x", contentType });
  expect(parse("text/html")).toThrow(expect.objectContaining({ hint: expect.stringContaining("login page") }));
  expect(parse(types.OCI_MANIFEST)).toThrow(expect.objectContaining({ hint: undefined }));
});

describe("an index", () => {
  test("of Docker is a manifest list under OCI names, platforms normalised", () => {
    const entry = {
      mediaType: types.DOCKER_MANIFEST,
      digest: digest("c"),
      size: 1,
      platform: { os: "linux", architecture: "arm64", variant: "v8" },
    };
    const index = parseIndex(bytes({ ...INDEX, mediaType: types.DOCKER_MANIFEST_LIST, manifests: [entry] }), {
      what: "x",
    });
    expect(index.manifests[0]).toMatchObject({
      mediaType: types.OCI_MANIFEST,
      platform: { os: "linux", architecture: "arm64" },
    });
  });
});

function bytes(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}
