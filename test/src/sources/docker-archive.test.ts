/** `docker save` archives, read in place: every layout that is out there, and every way in which one can be broken. */
import { createHash } from "node:crypto";
import { mkdir, open, readFile, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { silent } from "../../../src/events.ts";
import { parsePlatform } from "../../../src/image/platform.ts";
import { parseReference } from "../../../src/image/reference.ts";
import { createSources } from "../../../src/sources/index.ts";
import type { ResolvedImage, ResolvedLayer } from "../../../src/sources/source.ts";
import { missingPrograms, skopeoCopy } from "../../support/peers.ts";
import {
  type BuiltImage,
  buildImage,
  buildLayer,
  sha256,
  type TarEntry,
  writeDockerArchive,
  writeOciLayout,
} from "../../support/tar-builder.ts";
import { openTempDir, type TempDir } from "../../support/temp-dir.ts";

const LAYERS = [[{ name: "a", content: "first" }], [{ name: "b", content: "second" }]];
const CONFIG = { architecture: "amd64", config: { Cmd: ["/a"] } };
const image = buildImage(LAYERS, CONFIG);

let temp: TempDir;
let path: string;
beforeEach(async () => {
  temp = await openTempDir("archive");
  path = join(temp.path, "image.tar");
});
afterEach(() => temp[Symbol.asyncDispose]());

describe("an archive", () => {
  test.each(["containerd", "graphdriver"] as const)(
    "in the layout of %s gives the image, layers in place",
    async (style) => {
      await writeDockerArchive(path, image, ["team/app:1"], { style });
      const resolved = await resolve(`docker-archive:${path}`);
      expect(resolved).toMatchObject({
        name: `docker-archive:${path}`,
        source: path,
        platform: { os: "linux", architecture: "amd64" },
      });
      expect(resolved.imageConfig.config.Cmd).toEqual(["/a"]);
      expect(resolved.config.descriptor.digest).toBe(image.config.digest);
      expect(resolved.layers.map(({ diffId }) => diffId)).toEqual(image.diffIds);
      const transported = style === "containerd" ? image.layers.map(({ digest }) => digest) : image.diffIds;
      await expectLayers(resolved.layers, transported);
    },
  );

  test.skipIf(missingPrograms("skopeo").length > 0)("as skopeo writes it gives the image (needs skopeo)", async () => {
    await writeOciLayout(join(temp.path, "oci"), image, "1");
    await skopeoCopy(`oci:${join(temp.path, "oci")}:1`, `docker-archive:${path}:example.com/app:1`);
    const resolved = await resolve(`docker-archive:${path}:example.com/app:1`);
    expect(resolved.layers.map(({ diffId }) => diffId)).toEqual(image.diffIds);
    await expectLayers(resolved.layers, image.diffIds);
  });

  test("gets the same manifest wherever it lies and whatever order its entries have", async () => {
    const entries = archiveEntries(image);
    await writeFile(path, buildLayer(entries));
    const other = join(temp.path, "other.tar");
    await writeFile(other, buildLayer(entries.toReversed()));
    const [one, two] = [await resolve(`docker-archive:${path}`), await resolve(`docker-archive:${other}`)];
    expect(two.manifest).toEqual(one.manifest);
    expect(sha256(one.manifest.bytes)).toBe(one.manifest.descriptor.digest);
  });

  test("computes the digest of a compressed layer whose name does not state it", async () => {
    await writeFile(path, buildLayer(archiveEntries(image)));
    await expectLayers(
      (await resolve(`docker-archive:${path}`)).layers,
      image.layers.map(({ digest }) => digest),
    );
  });

  test("may have symlinks and hard links for layers, and ./ before its names", async () => {
    const plain = buildImage([LAYERS[0] ?? [], LAYERS[0] ?? [], LAYERS[0] ?? []], CONFIG, { compression: "none" });
    const manifest = [{ Config: "c.json", RepoTags: null, Layers: ["1/layer.tar", "2/layer.tar", "3/layer.tar"] }];
    const entries: TarEntry[] = [
      { name: "./c.json", content: plain.blobs.get(plain.config.digest) ?? "" },
      { name: "./1/layer.tar", content: plain.tars[0] ?? "" },
      { name: "./2/layer.tar", type: "symlink", linkname: "../1/layer.tar" },
      { name: "./3/layer.tar", type: "hardlink", linkname: "./1/layer.tar" },
      { name: "./manifest.json", content: JSON.stringify(manifest) },
    ];
    await writeFile(path, buildLayer(entries));
    await expectLayers((await resolve(`docker-archive:${path}`)).layers, plain.diffIds);
  });

  test.each(["pax", "gnu"] as const)("may have entries with long names, in the form of %s", async (longNames) => {
    const long = `${"directory/".repeat(30)}layer.tar`;
    const single = buildImage([LAYERS[0] ?? []], CONFIG, { compression: "none" });
    await writeFile(path, buildLayer(archiveEntries(single, [long]).map((entry) => ({ ...entry, longNames }))));
    await expectLayers((await resolve(`docker-archive:${path}`)).layers, single.diffIds);
  });

  test("of zero layers is an image", async () => {
    await writeDockerArchive(path, buildImage([], CONFIG), ["empty:1"]);
    expect((await resolve(`docker-archive:${path}`)).layers).toEqual([]);
  });

  test("is read without its bodies, however large they are", async () => {
    const single = buildImage([LAYERS[0] ?? []], CONFIG, { compression: "none" });
    const size = 9 * 1024 ** 3;
    const head = buildLayer([{ name: "big", size }], Buffer.alloc(0));
    await using file = await open(path, "w");
    await file.write(head, 0, head.length, 0);
    const tail = buildLayer(archiveEntries(single));
    // a sparse file: nine gigabytes that no disk holds
    await file.write(tail, 0, tail.length, head.length + size);
    await expectLayers((await resolve(`docker-archive:${path}`)).layers, single.diffIds);
  });
});

describe("choosing an image", () => {
  const other = buildImage([[{ name: "c" }]], CONFIG);

  async function writeTwo(): Promise<void> {
    const entries = [...archiveEntries(image), ...archiveEntries(other).filter(({ name }) => name !== "manifest.json")];
    const manifest = [
      describeImage(image, ["busybox:1", "docker.io/library/busybox:latest"]),
      describeImage(other, ["index.docker.io/team/app:2"]),
    ];
    await writeFile(
      path,
      buildLayer([
        ...entries.filter(({ name }) => name !== "manifest.json"),
        { name: "manifest.json", content: JSON.stringify(manifest) },
      ]),
    );
  }

  test.each([
    ["busybox", image],
    ["docker.io/library/busybox:1", image],
    ["team/app:2", other],
  ])("finds %s under any spelling of its name", async (name, found) => {
    await writeTwo();
    expect((await resolve(`docker-archive:${path}:${name}`)).config.descriptor.digest).toBe(found.config.digest);
  });

  test.each(["", ":team/app:3"])("lists what is inside when %j names none of several", async (asked) => {
    await writeTwo();
    const error = await resolve(`docker-archive:${path}${asked}`).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "image-unknown", message: expect.stringMatching(/busybox:1.*team\/app:2/) });
  });

  test("does not take the only image for another name", async () => {
    await writeDockerArchive(path, image, ["team/app:1"]);
    await expect(resolve(`docker-archive:${path}:team/app:2`)).rejects.toMatchObject({ code: "image-unknown" });
  });
});

describe("a broken archive", () => {
  test("that is missing is archive-missing", async () => {
    await expect(resolve(`docker-archive:${path}`)).rejects.toMatchObject({ code: "archive-missing" });
    await expect(resolve(`docker-archive:${path}/below.tar`)).rejects.toMatchObject({ code: "archive-missing" });
  });

  test.each<readonly [string, () => Buffer, RegExp]>([
    ["is empty", () => Buffer.alloc(0), /empty/],
    ["is garbage", () => createHash("sha512").update("x").digest().subarray(0, 50), /truncated/],
    ["is more garbage", () => Buffer.alloc(5000, "garbage "), /no tar file/],
    ["is gzipped", () => gzipSync(Buffer.alloc(10_240)), /compressed as a whole \(gzip\)/],
    [
      "has a bad checksum",
      () => Buffer.concat([Buffer.from("m"), buildLayer(archiveEntries(image)).subarray(1)]),
      /no tar file/,
    ],
    ["has no manifest.json", () => buildLayer([{ name: "x" }]), /no manifest\.json/],
    ["is of Docker before 1.10", () => buildLayer([{ name: "repositories", content: "{}" }]), /before 1\.10/],
    ["is an OCI archive", () => buildLayer([{ name: "oci-layout", content: "{}" }]), /OCI archive/],
    ["has no JSON in manifest.json", () => buildLayer([{ name: "manifest.json", content: "[" }]), /not JSON/],
    ["lists no image", () => buildLayer([{ name: "manifest.json", content: "[]" }]), /lists no image/],
    ["climbs out of itself", () => buildLayer([{ name: "../x" }]), /leads out/],
    ["has an absolute name", () => buildLayer([{ name: "/x" }]), /leads out/],
    ["names an entry outside", () => withLayer("../../etc/passwd", []), /leads out/],
    ["names a missing layer", () => withLayer("none.tar", []), /has no "none\.tar"/],
    [
      "has a symlink to outside",
      () => withLayer("l", [{ name: "l", type: "symlink", linkname: "../etc/passwd" }]),
      /leads out/,
    ],
    [
      "has an absolute symlink",
      () => withLayer("l", [{ name: "l", type: "symlink", linkname: "/etc/passwd" }]),
      /no file/,
    ],
    [
      "has a symlink to itself",
      () => withLayer("l", [{ name: "l", type: "symlink", linkname: "l" }]),
      /link to itself/,
    ],
    ["has a directory for a layer", () => withLayer("l", [{ name: "l/", type: "dir" }]), /no file/],
    [
      "has another configuration than it says",
      () => withConfigNamed(`${"0".repeat(64)}.json`),
      /has the digest sha256:/,
    ],
  ])("that %s is archive-invalid", async (_, content, message) => {
    await writeFile(path, content());
    await expect(resolve(`docker-archive:${path}`)).rejects.toMatchObject({
      code: "archive-invalid",
      message: expect.stringMatching(message),
    });
  });

  test("that is cut off anywhere is an error, never a hang or another image", async () => {
    await writeFile(path, buildLayer(archiveEntries(image)));
    const { length } = await readFile(path);
    // the last 1024 bytes are the end marker, which archives may do without
    for (let size = length - 1024 - 1; size > 0; size -= 701) {
      await truncate(path, size);
      await expect(resolve(`docker-archive:${path}`)).rejects.toMatchObject({ code: "archive-invalid" });
    }
  });

  test("that is a directory is archive-invalid", async () => {
    await mkdir(path);
    await expect(resolve(`docker-archive:${path}`)).rejects.toMatchObject({
      code: "archive-invalid",
      message: expect.stringContaining("directory"),
    });
  });

  test("with more layers than DiffIDs is manifest-invalid", async () => {
    const layers = [...image.layers, ...image.layers].map(({ digest }) => `blobs/${digest.replace(":", "/")}`);
    await writeFile(path, buildLayer(archiveEntries(image, layers)));
    await expect(resolve(`docker-archive:${path}`)).rejects.toMatchObject({ code: "manifest-invalid" });
  });

  test("for another architecture is platform-unknown", async () => {
    await writeDockerArchive(path, buildImage(LAYERS, { ...CONFIG, architecture: "s390x" }), ["x:1"]);
    await expect(resolve(`docker-archive:${path}`)).rejects.toMatchObject({ code: "platform-unknown" });
  });
});

async function resolve(text: string): Promise<ResolvedImage> {
  await using sources = createSources({ insecureRegistries: [] });
  return await sources.resolve(parseReference(text), { platform: parsePlatform("linux/amd64"), emit: silent });
}

/** Each layer is a range of the archive that holds just its bytes. */
async function expectLayers(layers: readonly ResolvedLayer[], digests: readonly string[]): Promise<void> {
  expect(layers.map(({ blob }) => blob.digest)).toEqual(digests);
  for (const { bytes, blob, keepBlob } of layers) {
    if (!("file" in bytes)) throw new Error("not a range");
    expect(keepBlob).toBe(false);
    expect(bytes.file.sizeBytes).toBe(blob.size);
    await using file = await open(bytes.file.path);
    const { buffer } = await file.read(Buffer.alloc(blob.size), 0, blob.size, bytes.file.offset);
    expect(sha256(buffer)).toBe(blob.digest);
  }
}

/** An archive with names that state no digest. */
function archiveEntries(built: BuiltImage, layerNames?: readonly string[]): TarEntry[] {
  const names = layerNames ?? built.layers.map(({ digest }) => `${digest.slice(7, 19)}/layer.tar`);
  const manifest = [{ ...describeImage(built, null), Layers: names }];
  return [
    { name: describeImage(built, null).Config, content: built.blobs.get(built.config.digest) ?? "" },
    ...built.layers.map(({ digest }, at) => ({ name: names[at] ?? "", content: built.blobs.get(digest) ?? "" })),
    { name: "manifest.json", content: JSON.stringify(manifest) },
  ];
}

function describeImage(
  built: BuiltImage,
  tags: readonly string[] | null,
): { Config: string; RepoTags: readonly string[] | null; Layers: string[] } {
  const layers = built.layers.map(({ digest }) => `${digest.slice(7, 19)}/layer.tar`);
  return { Config: `${built.config.digest.slice(7)}.json`, RepoTags: tags, Layers: layers };
}

function withLayer(name: string, entries: readonly TarEntry[]): Buffer {
  const single = buildImage([LAYERS[0] ?? []], CONFIG);
  const manifest = [{ Config: "c.json", Layers: [name] }];
  const config = { name: "c.json", content: single.blobs.get(single.config.digest) ?? "" };
  return buildLayer([config, ...entries, { name: "manifest.json", content: JSON.stringify(manifest) }]);
}

function withConfigNamed(name: string): Buffer {
  const empty = buildImage([], CONFIG);
  const manifest = [{ Config: name, Layers: [] }];
  return buildLayer([
    { name, content: empty.blobs.get(empty.config.digest) ?? "" },
    { name: "manifest.json", content: JSON.stringify(manifest) },
  ]);
}
