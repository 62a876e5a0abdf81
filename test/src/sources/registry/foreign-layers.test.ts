/** Layers that registries need not have: from the registry all the same, or from the addresses in the manifest. */
import { describe, expect, test } from "vitest";
import { OCI_FOREIGN_GZIP } from "../../../../src/image/media-types.ts";
import { challenge, type Fault, fail, fault, header, startFaultServer } from "../../../support/fault-server.ts";
import { type BuiltImage, buildImage } from "../../../support/tar-builder.ts";
import { errorOf, openResolving, readLayer } from "../resolve-with.ts";

const LAYERS = [[{ name: "a", content: "from elsewhere" }]];
const plain = buildImage(LAYERS, { architecture: "amd64" });
const LAYER = plain.blobs.get(plain.layers[0]?.digest ?? "") ?? Buffer.alloc(0);
const SECRET = "swordfish";

function foreign(...urls: readonly string[]): BuiltImage {
  const layers = plain.layers.map((layer) => ({ ...layer, mediaType: OCI_FOREIGN_GZIP, urls }));
  return buildImage(LAYERS, { architecture: "amd64" }, { manifest: { layers } });
}

/** Answers everything with the layer, like a server of files. */
const files = (body = LAYER): Fault => fault("any", (_, response) => void response.end(body));

describe("a foreign layer", () => {
  test("is had from the registry where the registry has it", async () => {
    await using elsewhere = await startFaultServer(undefined, { faults: [files()] });
    await using server = await startFaultServer(foreign(`${elsewhere.url}/layer`));
    await using resolving = openResolving();
    const { layers } = await resolving.resolve(`${server.host}/app:1`);
    expect(layers[0]?.blob.mediaType).toBe(OCI_FOREIGN_GZIP);
    expect((await readLayer(layers[0])).bytes).toEqual(LAYER);
    expect(elsewhere.requests).toHaveLength(0);
  });

  test("is had from the addresses in the manifest otherwise, in order and without credentials", async () => {
    await using gone = await startFaultServer(undefined);
    await using elsewhere = await startFaultServer(undefined, { faults: [files()] });
    const urls = ["ftp://example.com/layer", `${gone.url}/layer`, `${elsewhere.url}/layer?signature=${SECRET}`];
    const basic = challenge('Basic realm="x"', () => true);
    await using server = await startFaultServer(foreign(...urls), { faults: [basic, fail("layer", 404)] });
    const auths = Object.fromEntries([server, gone, elsewhere].map(({ host }) => [host, { auth: btoa("u:p") }]));
    const insecureRegistries = [gone.host, elsewhere.host];
    await using resolving = openResolving({ dockerConfig: JSON.stringify({ auths }), insecureRegistries });
    const { layers } = await resolving.resolve(`${server.host}/app:1`);
    expect((await readLayer(layers[0])).bytes).toEqual(LAYER);
    for (const { requests } of [gone, elsewhere]) {
      expect(requests).toHaveLength(1);
      expect(requests[0]?.headers).not.toHaveProperty("authorization");
    }
    expect(JSON.stringify(resolving.events)).not.toContain(SECRET);
    expect(JSON.stringify(resolving.events)).toContain(`an address that the manifest from ${server.host} gives`);
  });

  test("goes on in the middle, or from its start where the address knows no ranges", async () => {
    const ranged = fault("any", ({ headers }, response) => {
      const start = Number(/[0-9]+/.exec(headers.range ?? "")?.[0]);
      const range = `bytes ${start}-${LAYER.length - 1}/${LAYER.length}`;
      response.writeHead(206, { "content-range": range }).end(LAYER.subarray(start));
    });
    for (const [answer, offset] of [
      [ranged, 7],
      [files(), 0],
    ] as const) {
      await using elsewhere = await startFaultServer(undefined, { faults: [answer] });
      await using server = await startFaultServer(foreign(`${elsewhere.url}/layer`), { faults: [fail("layer", 404)] });
      await using resolving = openResolving({ insecureRegistries: [elsewhere.host] });
      const { layers } = await resolving.resolve(`${server.host}/app:1`);
      expect(await readLayer(layers[0], 7)).toEqual({ offset, bytes: LAYER.subarray(offset) });
    }
  });

  test("is not fetched from elsewhere where that is not wanted", async () => {
    await using elsewhere = await startFaultServer(undefined, { faults: [files()] });
    await using server = await startFaultServer(foreign(`${elsewhere.url}/layer`), { faults: [fail("layer", 404)] });
    await using resolving = openResolving({ foreignLayers: false });
    const { layers } = await resolving.resolve(`${server.host}/app:1`);
    const error = await errorOf(readLayer(layers[0]));
    expect(error).toMatchObject({ code: "image-unknown", hint: expect.stringContaining("foreign_layers") });
    expect(elsewhere.requests).toHaveLength(0);
  });

  test("is not fetched in plain http from elsewhere", async () => {
    await using server = await startFaultServer(foreign("http://files.example.com/layer"), {
      faults: [fail("layer", 404)],
    });
    await using resolving = openResolving();
    const { layers } = await resolving.resolve(`${server.host}/app:1`);
    const error = await errorOf(readLayer(layers[0]));
    // the registry's word is what is told, the address beside it
    expect(error).toMatchObject({ code: "image-unknown", message: expect.stringContaining("registry-insecure") });
    expect(resolving.events.some((event) => event.type === "request" && event.url.includes("files."))).toBe(false);
  });

  test.each(["http", "https"])(
    "is not fetched from this machine over %s, wherever the manifest came from",
    async (scheme) => {
      await using elsewhere = await startFaultServer(undefined, { faults: [files()] });
      const faults = [fail("layer", 404)];
      await using server = await startFaultServer(foreign(`${scheme}://${elsewhere.host}/layer`), { faults });
      await using resolving = openResolving();
      const { layers } = await resolving.resolve(`${server.host}/app:1`);
      const error = await errorOf(readLayer(layers[0]));
      expect(error).toMatchObject({ code: "image-unknown", message: expect.stringContaining("registry-insecure") });
      expect(elsewhere.requests).toHaveLength(0);
    },
  );

  test("of another size at its address is refused, and one with other bytes not asked for again", async () => {
    const flipped = Buffer.from(LAYER.map((byte, at) => (at === 20 ? byte ^ 1 : byte)));
    await using longer = await startFaultServer(undefined, { faults: [files(Buffer.concat([LAYER, LAYER]))] });
    await using liar = await startFaultServer(undefined, { faults: [files(flipped)] });
    await using good = await startFaultServer(undefined, { faults: [files()] });
    const urls = [longer, liar, good].map(({ url }) => `${url}/layer`);
    await using server = await startFaultServer(foreign(...urls), { faults: [fail("layer", 404)] });
    await using resolving = openResolving({ insecureRegistries: [longer, liar, good].map(({ host }) => host) });
    const { layers } = await resolving.resolve(`${server.host}/app:1`);
    expect((await readLayer(layers[0])).bytes).toEqual(flipped);
    const bytes = layers[0]?.bytes;
    if (bytes === undefined || !("open" in bytes)) throw new Error("no layer that is opened");
    expect(bytes.distrust?.()).toBe(true);
    expect((await readLayer(layers[0])).bytes).toEqual(LAYER);
  });
});

describe("a layer", () => {
  test("that is inlined is not fetched, and not trusted either", async () => {
    const inline = (data: Buffer): BuiltImage => {
      const layers = plain.layers.map((layer) => ({ ...layer, data: data.toString("base64") }));
      return buildImage(LAYERS, { architecture: "amd64" }, { manifest: { layers } });
    };
    await using server = await startFaultServer(inline(LAYER));
    await using resolving = openResolving();
    const { layers } = await resolving.resolve(`${server.host}/app:1`);
    expect((await readLayer(layers[0], 3)).bytes).toEqual(LAYER.subarray(3));
    expect(server.requests.some(({ target }) => target === "layer")).toBe(false);
    await using liar = await startFaultServer(inline(LAYER.subarray(1)));
    const wrong = await resolving.resolve(`${liar.host}/app:1`);
    expect((await errorOf(readLayer(wrong.layers[0]))).code).toBe("blob-corrupt");
  });

  test("may be empty, occur twice, or not be there at all", async () => {
    await using resolving = openResolving();
    for (const layers of [[], [[]], [LAYERS[0] ?? [], LAYERS[0] ?? []]]) {
      const image = buildImage(layers, { architecture: "amd64" });
      await using server = await startFaultServer(image);
      const resolved = await resolving.resolve(`${server.host}/app:1`);
      expect(resolved.layers.map(({ diffId }) => diffId)).toEqual(image.diffIds);
    }
  });

  test("whose registry says something beside it is had, and what it says is told once", async () => {
    const warning = header("any", "warning", '299 - "moving away soon"');
    await using server = await startFaultServer(plain, { faults: [warning] });
    await using resolving = openResolving();
    const { layers } = await resolving.resolve(`${server.host}/app:1`);
    await readLayer(layers[0]);
    expect(resolving.events.filter(({ type }) => type === "warning")).toEqual([
      { type: "warning", message: `${server.host} says: moving away soon` },
    ]);
  });
});
