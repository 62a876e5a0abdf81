/** Images that depend on others: what is fetched, what is refused, in which order it is laid down, and what whitelists leave. */
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parseImageId } from "../../../../src/image/appc-reference.ts";
import type { ResolvedImage } from "../../../../src/sources/source.ts";
import { type AciInput, type BuiltAci, buildAci, labelList, writeAci } from "../../../support/aci-builder.ts";
import { startFileServer } from "../../../support/file-server.ts";
import { openTempDir } from "../../../support/temp-dir.ts";
import { errorOf } from "../resolve-with.ts";
import { type OpenAppc, openAppc } from "./open-appc.ts";

interface Images extends AsyncDisposable {
  readonly appc: OpenAppc;
  /** Image IDs by name. */
  readonly ids: ReadonlyMap<string, string>;
  /** Names of the layers, base first. */
  names(resolved: ResolvedImage): string[];
}

type Dependency = string | Readonly<Record<string, unknown>>;

/** name → what it depends on. */
async function openImages(
  images: Readonly<Record<string, readonly Dependency[]>>,
  more: Readonly<Record<string, AciInput>> = {},
): Promise<Images> {
  await using stack = new AsyncDisposableStack();
  const { path } = stack.use(await openTempDir("appc"));
  const ids = new Map<string, string>();
  for (const [name, dependencies] of Object.entries(images)) {
    const list = dependencies.map((dependency) =>
      typeof dependency === "string" ? { imageName: dependency } : dependency,
    );
    const { manifest, ...rest } = more[name] ?? {};
    const aci = buildAci({ name, ...rest, manifest: { dependencies: list, ...manifest } });
    ids.set(name, aci.imageId);
    await writeAci(join(path, `${name}-latest-linux-amd64.aci`), aci);
  }
  const appc = stack.use(await openAppc({ prefix: path }));
  const opened = stack.move();
  const byId = new Map([...ids].map(([name, id]) => [parseImageId(id), name]));
  const names = ({ layers }: ResolvedImage): string[] => layers.map(({ diffId }) => byId.get(diffId) ?? "?");
  return { appc, ids, names, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}

describe("an image with dependencies", () => {
  test.each([
    ["alone is itself", { a: [] }, ["a"]],
    ["is laid down on them, depth first", { a: ["b", "c"], b: [], c: ["d"], d: [] }, ["b", "d", "c", "a"]],
    ["has one twice that is reached twice", { a: ["b", "c"], b: ["d"], c: ["d"], d: [] }, ["d", "b", "d", "c", "a"]],
  ])("%s", async (_, graph, order) => {
    await using images = await openImages(graph);
    expect(images.names(await images.appc.resolve("appc:a"))).toEqual(order);
  });

  test("fetches and reads each once", async () => {
    const d = buildAci({ name: "d" });
    const tree = (name: string, ...on: string[]): BuiltAci =>
      buildAci({ name, manifest: { dependencies: on.map((imageName) => ({ imageName })) } });
    const files = { a: tree("a", "b", "c"), b: tree("b", "d"), c: tree("c", "d"), d };
    const paths = Object.entries(files).map(([name, aci]) => [`/${name}-latest-linux-amd64.aci`, aci.bytes]);
    await using server = await startFileServer(Object.fromEntries(paths));
    await using appc = await openAppc({ prefix: server.url });
    expect((await appc.resolve("appc:a")).layers).toHaveLength(5);
    expect(
      server.requests
        .map(({ line }) => line)
        .filter((line) => line.startsWith("GET"))
        .sort(),
    ).toEqual(["a", "b", "c", "d"].map((name) => `GET /${name}-latest-linux-amd64.aci`));
    expect(appc.keeping.scanned).toHaveLength(4);
  });

  test("runs its own app, not that of a dependency", async () => {
    const running = (exec: string): AciInput => ({ manifest: { app: { exec: [exec], user: "0", group: "0" } } });
    await using images = await openImages({ a: ["b"], b: [] }, { a: running("/a"), b: running("/b") });
    const { imageConfig, name, attachments } = await images.appc.resolve("appc:a");
    expect(imageConfig.config.Entrypoint).toEqual(["/a"]);
    expect(name).toBe("appc:a");
    expect(JSON.parse(Buffer.from(attachments?.[0]?.bytes ?? []).toString())).toMatchObject({ name: "a" });
  });

  test("looks for dependencies on the platform that it is for", async () => {
    await using directory = await openTempDir("appc");
    const arm = { os: "linux", arch: "aarch64" };
    const a = buildAci({ name: "a", labels: arm, manifest: { dependencies: [{ imageName: "b" }] } });
    await writeAci(join(directory.path, "a-latest-linux-aarch64.aci"), a);
    await writeAci(join(directory.path, "b-latest-linux-aarch64.aci"), buildAci({ name: "b", labels: arm }));
    await using appc = await openAppc({ prefix: directory.path });
    expect((await appc.resolve("appc:a,arch=aarch64")).layers).toHaveLength(2);
  });

  test("names a dependency's labels where it wants another than the latest", async () => {
    await using directory = await openTempDir("appc");
    const dependencies = [{ imageName: "b", labels: labelList({ version: "2", env: "canary" }) }];
    await writeAci(
      join(directory.path, "a-latest-linux-amd64.aci"),
      buildAci({ name: "a", manifest: { dependencies } }),
    );
    const b = { name: "b", labels: { version: "2", env: "canary" } };
    await writeAci(join(directory.path, "b-2-linux-amd64.aci"), buildAci(b));
    await using appc = await openAppc({ prefix: directory.path });
    expect((await appc.resolve("appc:a")).layers).toHaveLength(2);
  });
});

describe("a dependency is what its dependent says, or refused:", () => {
  const base = buildAci({ name: "b" });
  const cases: [string, Record<string, unknown>, string | undefined][] = [
    ["the ID is its own", { imageID: base.imageId }, undefined],
    ["the ID is another's", { imageID: `sha512-${"0".repeat(128)}` }, "blob-corrupt"],
    ["a label that it has not", { labels: labelList({ env: "canary" }) }, "aci-invalid"],
    ["the size is that of the archive", { size: base.bytes.length }, undefined],
    ["the size is that of the tar", { size: base.tar.length }, undefined],
    ["the size is neither", { size: base.tar.length + 1 }, "aci-invalid"],
    ["there is none of the name", { imageName: "none" }, "image-unknown"],
    ["a version that no file name can have", { labels: labelList({ version: "../x" }) }, "aci-invalid"],
  ];
  test.each(cases)("%s", async (_, dependency, code) => {
    await using images = await openImages(
      { a: [{ imageName: "b", ...dependency }], b: [] },
      { b: { manifest: { dependencies: undefined } } },
    );
    const resolving = images.appc.resolve("appc:a");
    if (code === undefined) await resolving;
    else expect((await errorOf(resolving)).code).toBe(code);
  });

  test("one that is not there is told together with who wants it", async () => {
    await using images = await openImages({ a: ["none"] });
    expect((await errorOf(images.appc.resolve("appc:a"))).message).toContain("on which a depends");
  });

  test("more bytes than were promised are not fetched to their end", async () => {
    const large = buildAci({ name: "b", compression: "none", rootfs: [{ name: "x", content: Buffer.alloc(400_000) }] });
    const a = buildAci({ name: "a", manifest: { dependencies: [{ imageName: "b", size: 1000 }] } });
    const files = { "/a-latest-linux-amd64.aci": a.bytes, "/b-latest-linux-amd64.aci": large.bytes };
    await using server = await startFileServer(files, {
      // no length is told, so that only counting helps
      intercept: (request, response) => {
        if (!request.url?.startsWith("/b-")) return false;
        response.writeHead(200);
        response.end(request.method === "HEAD" ? undefined : large.bytes);
        return true;
      },
    });
    await using appc = await openAppc({ prefix: server.url });
    const error = await errorOf(appc.resolve("appc:a"));
    expect(error.code).toBe("aci-invalid");
    expect(error.message).toContain("promised size");
    expect(appc.keeping.scanned).toHaveLength(1);
  });
});

describe("an endless image is refused:", () => {
  test.each([
    ["one that depends on itself", { a: ["a"] }, "a → a"],
    ["two that depend on each other", { a: ["b"], b: ["a"] }, "a → b → a"],
    ["a circle below", { a: ["b"], b: ["c"], c: ["b"] }, "b → c → b"],
  ])("%s", async (_, graph, path) => {
    await using images = await openImages(graph);
    const error = await errorOf(images.appc.resolve("appc:a"));
    expect(error.code).toBe("dependency-cycle");
    expect(error.message).toContain(path);
  });

  test("a chain that is too deep", async () => {
    const chain = Array.from({ length: 70 }, (_, index) => [`i${index}`, index < 69 ? [`i${index + 1}`] : []] as const);
    await using images = await openImages(Object.fromEntries(chain));
    const error = await errorOf(images.appc.resolve("appc:i0"));
    expect(error).toMatchObject({ code: "aci-invalid", message: expect.stringContaining("deep") });
  });

  test("a few that are reached in ever more ways", async () => {
    const doubling = Array.from(
      { length: 12 },
      (_, at) => [`i${at}`, at < 11 ? [`i${at + 1}`, `i${at + 1}`] : []] as const,
    );
    await using images = await openImages(Object.fromEntries(doubling));
    const error = await errorOf(images.appc.resolve("appc:i0"));
    expect(error).toMatchObject({ code: "aci-invalid", message: expect.stringContaining("256") });
  });
});

describe("whitelists", () => {
  const listing = (...pathWhitelist: string[]): AciInput => ({ manifest: { pathWhitelist } });
  const whitelists = ({ layers }: ResolvedImage): unknown => layers.map(({ part }) => part?.whitelists);

  test("hold for an image and all below it, the own before those above", async () => {
    await using images = await openImages({ a: ["b"], b: ["c"], c: [] }, { a: listing("/x", "/y"), c: listing("/x") });
    expect(whitelists(await images.appc.resolve("appc:a"))).toEqual([
      [["/x"], ["/x", "/y"]],
      [["/x", "/y"]],
      [["/x", "/y"]],
    ]);
  });

  test("do not hold for what lies beside", async () => {
    await using images = await openImages({ a: ["b", "c"], b: [], c: [] }, { b: listing("/x") });
    expect(whitelists(await images.appc.resolve("appc:a"))).toEqual([[["/x"]], [], []]);
  });

  test("are the same however they are written", async () => {
    await using images = await openImages(
      { a: [], b: [] },
      { a: listing("/x", "/y"), b: listing("//y", "/./x", "/y") },
    );
    const [a, b] = [await images.appc.resolve("appc:a"), await images.appc.resolve("appc:b")];
    expect(whitelists(a)).toEqual(whitelists(b));
  });

  test("make a directory in the lowest layer only, so that it hides none that is there", async () => {
    await using images = await openImages({ a: ["b", "c"], b: [], c: [] }, { a: listing("/d/", "/x") });
    expect(whitelists(await images.appc.resolve("appc:a"))).toEqual([[["/d/", "/x"]], [["/d", "/x"]], [["/d", "/x"]]]);
  });

  test("make no directory that one above would remove again", async () => {
    const above = listing("/d/e", "/other/");
    await using images = await openImages({ a: ["b"], b: [] }, { a: above, b: listing("/d/", "/gone/", "/other/") });
    expect(whitelists(await images.appc.resolve("appc:a"))).toEqual([
      [
        ["/d/", "/gone", "/other/"],
        ["/d/e", "/other/"],
      ],
      [["/d/e", "/other"]],
    ]);
  });

  test.each([
    ["of many paths", 3000, ""],
    ["of long paths", 40, "/a".repeat(1500)],
  ])(
    "%s that count again for each of many dependencies are refused before these are fetched",
    async (_, count, tail) => {
      const list = Array.from({ length: count }, (_path, at) => `/${at}${tail}`);
      const names = Array.from({ length: 40 }, (_name, at) => `i${at}`);
      await using images = await openImages({ top: ["a"], a: names }, { a: listing(...list) });
      const error = await errorOf(images.appc.resolve("appc:top"));
      expect(error).toMatchObject({ code: "aci-invalid", message: expect.stringContaining("path whitelists") });
      expect(images.appc.keeping.scanned).toHaveLength(2);
    },
  );

  test("that are long hold for one image, and for a few that it depends on", async () => {
    const list = Array.from({ length: 24_000 }, (_, at) => `/usr/share/doc/${at}/copyright`);
    await using images = await openImages({ a: ["b", "c"], b: [], c: [] }, { a: listing(...list) });
    const { layers } = await images.appc.resolve("appc:a");
    expect(layers.map(({ part }) => part?.whitelists.map(({ length }) => length))).toEqual([
      [24_000],
      [24_000],
      [24_000],
    ]);
  });

  test("that make a directory below long paths are rendered at once", async () => {
    const long = Array.from({ length: 700 }, (_, at) => `/${at}${"/a".repeat(1400)}`);
    const above = listing(...long, "/d/e");
    await using images = await openImages({ a: ["b"], b: [] }, { a: above, b: listing("/d/", "/7/a/a/", "/7/b/") });
    const started = performance.now();
    const [lowest] = (await images.appc.resolve("appc:a")).layers;
    expect(lowest?.part?.whitelists[0]).toEqual(["/7/a/a/", "/7/b", "/d/"]);
    expect(performance.now() - started).toBeLessThan(3000);
  });

  test("give the same archive different keys, and equal ones the same", async () => {
    await using images = await openImages({ a: ["b", "c"], b: ["d"], c: ["d"], d: [] }, { b: listing("/x") });
    const keys = (await images.appc.resolve("appc:a")).layers.map(({ part }) => part?.key);
    expect(keys[0]).not.toBe(keys[2]);
    await using plain = await openImages({ a: ["b", "c"], b: ["d"], c: ["d"], d: [] });
    const same = (await plain.appc.resolve("appc:a")).layers.map(({ part }) => part?.key);
    expect(same[0]).toBe(same[2]);
    expect(same[0]).toBe(keys[2]);
  });
});
