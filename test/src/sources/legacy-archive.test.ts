/** `docker save` of Docker before 1.10: repositories, and layers that name their parents. */
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { missingPrograms, run, skopeoCopy } from "../../support/peers.ts";
import { buildImage, buildLayer, sha256, type TarEntry, writeOciLayout } from "../../support/tar-builder.ts";
import { type Archives, decisions, errorOf, expectWholeLayers, openArchives } from "./open-archives.ts";

const [A, B, C, D] = ["a", "b", "c", "d"].map((digit) => digit.repeat(64)) as [string, string, string, string];
const TARS = {
  [A]: buildLayer([{ name: "base", content: "1" }]),
  [B]: buildLayer([{ name: "left", content: "2" }]),
  [C]: buildLayer([{ name: "right", content: "3" }]),
};
const diffIds = (...ids: readonly string[]): string[] => ids.map((id) => sha256(TARS[id] ?? Buffer.alloc(0)));

interface LegacyLayer {
  readonly id: string;
  readonly parent?: string;
  readonly json?: Readonly<Record<string, unknown>>;
  readonly tar?: TarEntry["content"];
}

/** As Docker 1.9 wrote them. */
function layerEntries({ id, parent, json, tar }: LegacyLayer): TarEntry[] {
  const about = { id, parent, created: "2015-06-01T00:00:00Z", architecture: "amd64", os: "linux", ...json };
  return [
    { name: `${id}/`, type: "dir" },
    { name: `${id}/VERSION`, content: "1.0" },
    { name: `${id}/json`, content: JSON.stringify(about) },
    { name: `${id}/layer.tar`, content: tar ?? TARS[id] ?? "" },
  ];
}

const base: LegacyLayer = {
  id: A,
  json: { author: "Ann", container_config: { Cmd: ["/bin/sh", "-c", "#(nop) ADD file:1 in /"] } },
};
const left: LegacyLayer = {
  id: B,
  parent: A,
  json: { author: "Bob", comment: "left", Size: 3, config: { Cmd: ["/left"], Env: ["A=b"], Volumes: null, Image: A } },
};
const right: LegacyLayer = { id: C, parent: A, json: { config: { Cmd: ["/right"] } } };

function repositories(content: unknown): TarEntry {
  return { name: "repositories", content: JSON.stringify(content) };
}

let archives: Archives;
let path: string;
beforeEach(async () => {
  archives = await openArchives();
  path = join(archives.path, "old.tar");
});
afterEach(() => archives[Symbol.asyncDispose]());

async function write(layers: readonly LegacyLayer[], ...more: readonly TarEntry[]): Promise<void> {
  await writeFile(path, buildLayer([...layers.flatMap(layerEntries), ...more]));
}

describe("an archive of Docker before 1.10", () => {
  test("gives the image: configuration of the top, layers of the chain, base first", async () => {
    await write([left, base], repositories({ app: { "1": B } }));
    const image = await archives.resolve(`docker-archive:${path}`);
    await expectWholeLayers(image, diffIds(A, B));
    expect(image).toMatchObject({ source: path, platform: { os: "linux", architecture: "amd64" } });
    expect(image.imageConfig).toMatchObject({
      author: "Bob",
      created: "2015-06-01T00:00:00Z",
      config: { Cmd: ["/left"], Env: ["A=b"] },
      history: [
        { author: "Ann", created_by: "/bin/sh -c #(nop) ADD file:1 in /" },
        { author: "Bob", comment: "left" },
      ],
    });
    expect(decisions(archives)).toContainEqual(expect.stringContaining("archive of Docker before 1.10"));
  });

  test("unpacks", async () => {
    await write([base, left], repositories({ app: { "1": B } }));
    const { layers } = await archives.resolve(`docker-archive:${path}`);
    const trees = [];
    for (const layer of layers) trees.push(await archives.unpack(layer));
    expect(await readFile(join(trees[1] ?? "", "left"), "utf8")).toBe("2");
  });

  test.each([
    ["left", "app:1", [A, B]],
    ["right, by a name of its own registry", "example.com/team/app:2", [A, C]],
    ["the base that both are built on", "docker.io/library/base", [A]],
    ["the second of two names", "app:newest", [A, B]],
    ["the second by its position", "@1", [A, C]],
  ])("may hold several, of which is chosen %s", async (_, asked, ids) => {
    const names = { app: { "1": B, newest: B }, "example.com/team/app": { "2": C }, base: { latest: A } };
    await write([base, left, right], repositories(names));
    await expectWholeLayers(await archives.resolve(`docker-archive:${path}:${asked}`), diffIds(...ids));
  });

  test("saved by its id is the image that nothing else is built on", async () => {
    await write([base, left]);
    await expectWholeLayers(await archives.resolve(`docker-archive:${path}`), diffIds(A, B));
    await write([base, left, right]);
    const error = await errorOf(archives.resolve(`docker-archive:${path}`));
    expect(error).toMatchObject({ code: "archive-ambiguous", message: expect.stringContaining(`(${C})`) });
  });

  test("may have compressed layers, and one that is a link to another", async () => {
    const zipped: LegacyLayer = { ...left, tar: gzipSync(TARS[B] as Buffer) };
    const linked = layerEntries({ ...right, parent: B }).filter(({ name }) => name !== `${C}/layer.tar`);
    const link: TarEntry = { name: `${C}/layer.tar`, type: "symlink", linkname: `../${A}/layer.tar` };
    await write([base, zipped], ...linked, link, repositories({ app: { "1": C } }));
    await expectWholeLayers(await archives.resolve(`docker-archive:${path}`), diffIds(A, B, A));
  });

  test("that does not say for which platform is taken at the caller's word", async () => {
    await write([{ id: A, json: { architecture: undefined, os: undefined } }], repositories({ app: { "1": A } }));
    expect((await archives.resolve(`docker-archive:${path}`, "linux/arm64")).platform.architecture).toBe("arm64");
  });

  test("gets the same digests wherever it lies", async () => {
    await write([base, left], repositories({ app: { "1": B } }));
    const one = await archives.resolve(`docker-archive:${path}`);
    await write([left, base], repositories({ other: { "2": B } }));
    const two = await archives.resolve(`docker-archive:${path}`);
    expect(two.manifest).toEqual(one.manifest);
    expect(two.config).toEqual(one.config);
  });

  test.skipIf(missingPrograms("skopeo").length > 0)(
    "as skopeo writes it beside a manifest.json gives the layers of that (needs skopeo)",
    async () => {
      const image = buildImage([[{ name: "a" }], [{ name: "b" }]], { architecture: "amd64", config: { Cmd: ["/a"] } });
      await writeOciLayout(join(archives.path, "oci"), image, "1");
      await skopeoCopy(`oci:${join(archives.path, "oci")}:1`, `docker-archive:${path}:example.com/app:1`);
      const unpacked = join(archives.path, "unpacked");
      await mkdir(unpacked);
      await run("tar", ["-x", "-f", path, "-C", unpacked]);
      await rm(join(unpacked, "manifest.json"), { force: true });
      await run("tar", ["-c", "-f", path, "-C", unpacked, "."]);
      for (const place of [path, unpacked]) {
        const resolved = await archives.resolve(`docker-archive:${place}:example.com/app:1`);
        await expectWholeLayers(resolved, image.diffIds);
        expect(resolved.imageConfig.config.Cmd).toEqual(["/a"]);
      }
    },
  );
});

describe("a broken one", () => {
  const long = Array.from({ length: 1025 }, (_, at): LegacyLayer => {
    const id = (n: number): string => n.toString(16).padStart(64, "0");
    return { id: id(at), ...(at < 1024 && { parent: id(at + 1) }) };
  });

  test.each<readonly [string, readonly LegacyLayer[], unknown, RegExp]>([
    ["that lacks a parent", [left], { app: { "1": B } }, new RegExp(`no layer ${A}, the parent of ${B}`)],
    ["that lacks the image", [base], { app: { "1": D } }, new RegExp(`no layer ${D}`)],
    [
      "whose layers are their own parents",
      [{ ...base, parent: B }, left],
      { app: { "1": B } },
      /among its own parents/,
    ],
    ["whose layer is its own parent, without a name", [{ ...base, parent: A }], undefined, /among its own parents/],
    ["with an id that is a path", [base], { app: { "1": "../../etc" } }, /"\.\.\/\.\.\/etc" for an id/],
    ["with a parent that is a path", [{ ...base, parent: "../x" }], { app: { "1": A } }, /names a layer "\.\.\/x"/],
    ["with a short id", [base], { app: { "1": "abc" } }, /"abc" for an id/],
    ["whose layer says to be another", [{ ...base, json: { id: B } }], { app: { "1": A } }, /says that it is "b+/],
    ["of too many layers", long, { app: { "1": "0".repeat(64) } }, /more than 1024 layers/],
    ["whose repositories are none", [base], [], /repositories in archive/],
    ["whose repositories are empty", [], {}, /lists no image/],
    ["with a layer's JSON of a wrong shape", [{ ...base, json: { parent: 5 } }], { app: { "1": A } }, /parent/],
  ])("%s is archive-invalid", async (_, layers, names, message) => {
    await write(layers, ...(names === undefined ? [] : [repositories(names)]));
    const error = await errorOf(archives.resolve(`docker-archive:${path}`));
    expect(error).toMatchObject({ code: "archive-invalid", message: expect.stringMatching(message) });
  });

  test("without a layer.tar says which", async () => {
    const entries = layerEntries(base).filter(({ name }) => name !== `${A}/layer.tar`);
    await write([], ...entries, repositories({ app: { "1": A } }));
    const error = await errorOf(archives.resolve(`docker-archive:${path}`));
    expect(error.message).toContain(`no "${A}/layer.tar"`);
  });

  test("says what there is when what is asked for is not", async () => {
    await write([base, left], repositories({ app: { "1": B } }));
    const error = await errorOf(archives.resolve(`docker-archive:${path}:app:2`));
    expect(error).toMatchObject({ code: "image-unknown", message: expect.stringContaining("only app:1") });
  });
});
