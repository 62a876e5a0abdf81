/** Manifests of schema 1: what is read out of them, what their digest is the digest of, and what is refused. */
import { describe, expect, test } from "vitest";
import { parseImageConfig } from "../../../src/image/image-config.ts";
import { parseAnyManifest } from "../../../src/image/manifest.ts";
import * as types from "../../../src/image/media-types.ts";
import { parseSchema1, schema1Config, signedPayload } from "../../../src/image/schema1.ts";
import { type Digest, parseDigest } from "../../../store/index.ts";
import { buildSchema1, signSchema1 } from "../../support/schema1-builder.ts";
import { buildImage } from "../../support/tar-builder.ts";

const image = buildImage([[{ name: "a", content: "1" }], [{ name: "b", content: "2" }]]);
const diffIds: readonly Digest[] = image.diffIds.map(parseDigest);
const plain = buildSchema1(image, { newest: { config: { Cmd: ["/b"], Env: null }, author: "somebody" } });

describe("a manifest of schema 1", () => {
  test("has its layers base first, each with its history", () => {
    const manifest = parseSchema1(plain, "x");
    expect(manifest.blobSums).toEqual(image.layers.map(({ digest }) => digest));
    expect(parseImageConfig(schema1Config(manifest, diffIds), "x").history).toEqual([
      { created: "2015-01-01T00:00:00Z", created_by: "/bin/sh -c step 0" },
      { created: "2015-01-02T00:00:00Z", created_by: "/bin/sh -c step 1", author: "somebody" },
    ]);
  });

  test("leaves out the layers of steps that made none", () => {
    const manifest = parseSchema1(buildSchema1(image, { throwaways: [1, 3] }), "x");
    expect(manifest.blobSums).toEqual(image.layers.map(({ digest }) => digest));
    const { history } = parseImageConfig(schema1Config(manifest, diffIds), "x");
    expect(history.map(({ empty_layer: empty }) => empty)).toEqual([undefined, true, undefined, true]);
  });

  test("has no more values in the histories of all its layers than one document may have", () => {
    const many = buildImage(Array.from({ length: 6 }, (_, at) => [{ name: String(at), content: "" }]));
    const document = JSON.parse(buildSchema1(many).toString());
    for (const step of document.history) step.v1Compatibility = `{"x":[${"0,".repeat(50_000)}0]}`;
    expect(() => parseSchema1(Buffer.from(JSON.stringify(document)), "x")).toThrow(/history has more than the limit/);
  });

  test("may have one layer several times", () => {
    const again = { ...image, layers: [...image.layers, ...image.layers] };
    expect(parseSchema1(buildSchema1(again), "x").blobSums).toHaveLength(4);
  });

  test("gives a configuration that says the same, in the same bytes each time", () => {
    const bytes = schema1Config(parseSchema1(plain, "x"), diffIds);
    expect(schema1Config(parseSchema1(plain, "x"), diffIds)).toEqual(bytes);
    expect(parseImageConfig(bytes, "x")).toMatchObject({
      architecture: "amd64",
      os: "linux",
      author: "somebody",
      created: "2015-01-02T00:00:00Z",
      config: { Cmd: ["/b"] },
      rootfs: { type: "layers", diff_ids: diffIds },
    });
    // what the build ran in is no part of the image
    expect(Buffer.from(bytes).toString()).not.toContain("container_config");
    expect(Buffer.from(bytes).toString()).not.toContain("../../");
  });

  test("that does not say its platform is for Linux on the manifest's architecture", () => {
    const silent = buildSchema1(image, { newest: { os: undefined, architecture: undefined } });
    expect(parseImageConfig(schema1Config(parseSchema1(silent, "x"), diffIds), "x")).toMatchObject({
      os: "linux",
      architecture: "amd64",
    });
  });

  test.each([
    ["no layers", { fsLayers: [], history: [] }, /fsLayers/],
    ["another number of layers than of steps", { fsLayers: [{ blobSum: image.layers[0]?.digest }] }, /1 layers.*of 2/],
    ["a digest that is a path", { fsLayers: [{ blobSum: "sha256:../../x" }, { blobSum: "x" }] }, /blobSum/],
    ["a step that is no JSON", { history: [{ v1Compatibility: "{" }, { v1Compatibility: "{}" }] }, /layer 2.*not JSON/],
    ["a step that is no object", { history: [{ v1Compatibility: "[]" }, { v1Compatibility: "{}" }] }, /layer 2/],
    ["a step that is no text", { history: [{ v1Compatibility: {} }, { v1Compatibility: "{}" }] }, /v1Compatibility/],
    ["layers of schema 2 as well", { layers: [] }, /at once/],
    ["the name of schema 2", { mediaType: types.DOCKER_MANIFEST }, /schema 1 in one place/],
  ])("is refused with %s", (_, manifest, message) => {
    expect(() => parseAnyManifest(buildSchema1(image, { manifest }), { what: "x" })).toThrow(
      expect.objectContaining({ code: "manifest-invalid", message: expect.stringMatching(message) }),
    );
  });

  test("is refused where the server calls it something else", () => {
    expect(() => parseAnyManifest(plain, { what: "x", contentType: types.OCI_MANIFEST })).toThrow(
      "schema 1 in one place",
    );
  });
});

describe("a signed manifest", () => {
  const signed = signSchema1(plain);

  test("is what it was before it was signed", () => {
    expect(signedPayload(signed, types.DOCKER_MANIFEST_V1_SIGNED, "x")).toEqual(plain);
    expect(signedPayload(signed, "application/json; charset=utf-8", "x")).toEqual(plain);
  });

  test.each([
    ["an unsigned one", plain, types.DOCKER_MANIFEST_V1],
    ["one that only its header calls signed", plain, types.DOCKER_MANIFEST_V1_SIGNED],
    ["one of schema 2", Buffer.from('{"schemaVersion":2,"signatures":[{"protected":""}]}'), undefined],
    ["one that is served as schema 2", signed, types.DOCKER_MANIFEST],
    ["no JSON", Buffer.from("{"), undefined],
  ])("is not %s", (_, bytes, contentType) => {
    expect(signedPayload(bytes, contentType, "x")).toBeUndefined();
  });

  test.each([
    ["longer than it is", { formatLength: 1_000_000 }, /longer document/],
    ["of no length", { formatLength: -1 }, /formatLength/],
    ["without an end", { formatTail: undefined }, /formatTail/],
  ])("whose signature is for a document %s is refused", (_, change, message) => {
    const bytes = signSchema1(plain, (header) => ({ ...header, ...change }));
    expect(() => signedPayload(bytes, undefined, "x")).toThrow(
      expect.objectContaining({ code: "manifest-invalid", message: expect.stringMatching(message) }),
    );
  });

  test("whose signatures are for different documents is refused", () => {
    const [one, two] = [signed, signSchema1(plain, (header) => ({ ...header, formatLength: 10 }))];
    const signatures = [one, two].flatMap((bytes) => JSON.parse(bytes.toString()).signatures);
    const both = Buffer.from(JSON.stringify({ ...JSON.parse(plain.toString()), signatures }));
    expect(() => signedPayload(both, undefined, "x")).toThrow("different documents");
  });
});
