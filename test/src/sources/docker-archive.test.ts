/** `docker save` archives, read in place: every layout that is out there, and every way in which one can be broken. */
import { createHash } from "node:crypto";
import { mkdir, open, readFile, symlink, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { silent } from "../../../src/events.ts";
import { parsePlatform } from "../../../src/image/platform.ts";
import { parseReference } from "../../../src/image/reference.ts";
import { digestOfRange, readStart } from "../../../src/sources/archives/read-range.ts";
import { createSources } from "../../../src/sources/index.ts";
import type { ResolvedImage, ResolvedLayer } from "../../../src/sources/source.ts";
import { missingPrograms, run, skopeoCopy } from "../../support/peers.ts";
import { openPodman, type Podman } from "../../support/podman.ts";
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
import { NO_WORKSHOP } from "../../support/workshop.ts";
import { type Archives, decisions, errorOf, expectWholeLayers, openArchives, tarInto } from "./open-archives.ts";

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

  test.each([
    ["", "archive-ambiguous"],
    [":team/app:3", "image-unknown"],
    [":@2", "image-unknown"],
  ])("lists what is inside when %j names none of several", async (asked, code) => {
    await writeTwo();
    const error = await resolve(`docker-archive:${path}${asked}`).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code, message: expect.stringMatching(/busybox:1.*team\/app:2/) });
  });

  test.each([
    [0, image],
    [1, other],
  ])("takes number %i, counted from 0", async (position, found) => {
    await writeTwo();
    const resolved = await resolve(`docker-archive:${path}:@${position}`);
    expect(resolved.config.descriptor.digest).toBe(found.config.digest);
    expect(resolved.name).toBe(`docker-archive:${path}:@${position}`);
  });

  test("takes the last of several that have one name, as loading all would leave it", async () => {
    const manifest = [describeImage(image, ["app:1"]), describeImage(other, ["app:1"])];
    const entries = [...archiveEntries(image), ...archiveEntries(other)].filter(({ name }) => name !== "manifest.json");
    await writeFile(path, buildLayer([...entries, { name: "manifest.json", content: JSON.stringify(manifest) }]));
    expect((await resolve(`docker-archive:${path}:app:1`)).config.descriptor.digest).toBe(other.config.digest);
  });

  test("does not take the only image for another name", async () => {
    await writeDockerArchive(path, image, ["team/app:1"]);
    await expect(resolve(`docker-archive:${path}:team/app:2`)).rejects.toMatchObject({ code: "image-unknown" });
  });
});

describe("a digest beside the path", () => {
  const other = buildImage([[{ name: "c" }]], CONFIG);

  test("is that of the configuration, or of the manifest that is made", async () => {
    await writeDockerArchive(path, image, ["app:1"]);
    const { manifest } = await resolve(`docker-archive:${path}:app:1`);
    for (const digest of [image.config.digest, manifest.descriptor.digest]) {
      for (const asked of ["", ":app:1", ":@0"]) {
        const resolved = await resolve(`docker-archive:${path}${asked}@${digest}`);
        expect(resolved.config.descriptor.digest).toBe(image.config.digest);
      }
    }
  });

  test("finds one of several, past those for other platforms", async () => {
    const arm = buildImage([[{ name: "c" }]], { ...CONFIG, architecture: "arm64" });
    const manifest = [arm, image, other].map((built) => describeImage(built, null));
    const entries = [arm, image, other].flatMap((built) => archiveEntries(built));
    const list = { name: "manifest.json", content: JSON.stringify(manifest) };
    await writeFile(path, buildLayer([...entries.filter(({ name }) => name !== "manifest.json"), list]));
    const made = (await resolve(`docker-archive:${path}:@2`)).manifest.descriptor.digest;
    expect((await resolve(`docker-archive:${path}@${made}`)).config.descriptor.digest).toBe(other.config.digest);
    expect((await resolve(`docker-archive:${path}@${image.config.digest}`)).layers).toHaveLength(2);
  });

  test("must hold beside a name, and be somebody's", async () => {
    await writeDockerArchive(path, image, ["app:1"]);
    for (const asked of [`:app:1@${other.config.digest}`, `@${other.config.digest}`, `:@0@${other.config.digest}`]) {
      await expect(resolve(`docker-archive:${path}${asked}`)).rejects.toMatchObject({ code: "image-unknown" });
    }
    await expect(resolve(`docker-archive:${path}:app:2@${image.config.digest}`)).rejects.toMatchObject({
      code: "image-unknown",
      message: expect.stringContaining(`no docker.io/library/app:2 that is ${image.config.digest}`),
    });
  });
});

describe("a layer whose name states another digest than it has", () => {
  const lie = "0".repeat(64);

  test.each([`blobs/sha256/${lie}`, `${lie}.tar.gz`])(
    "is blob-corrupt before anything is unpacked: %s",
    async (name) => {
      await writeFile(path, buildLayer(archiveEntries(buildImage([LAYERS[0] ?? []], CONFIG), [name])));
      const error = await errorOf(resolve(`docker-archive:${path}`));
      expect(error).toMatchObject({
        code: "blob-corrupt",
        message: expect.stringContaining(name),
        hint: expect.stringContaining("save it again"),
      });
    },
  );
});

describe("a broken archive", () => {
  test("that is missing is archive-missing", async () => {
    await expect(resolve(`docker-archive:${path}`)).rejects.toMatchObject({
      code: "archive-missing",
      message: `Cannot use ${path}: there is no such file or directory`,
      hint: "check the path",
    });
    await expect(resolve(`docker-archive:${temp.path}/app:latest`)).rejects.toMatchObject({
      code: "archive-missing",
      hint: expect.stringContaining(`docker-archive:${temp.path}/app:latest/`),
    });
    await expect(resolve(`docker-archive:${path}/below.tar`)).rejects.toMatchObject({ code: "archive-missing" });
  });

  test.each<readonly [string, () => Buffer, RegExp]>([
    ["is empty", () => Buffer.alloc(0), /empty/],
    ["is garbage", () => createHash("sha512").update("x").digest().subarray(0, 50), /no tar file/],
    ["is more garbage", () => Buffer.alloc(5000, "garbage "), /no tar file/],
    [
      "has a bad checksum",
      () => Buffer.concat([Buffer.from("m"), buildLayer(archiveEntries(image)).subarray(1)]),
      /no tar file/,
    ],
    ["has no manifest.json", () => buildLayer([{ name: "x" }]), /no manifest\.json.* but x$/],
    ["has nothing at all", () => buildLayer([]), /nothing in it/],
    ["is an OCI archive", () => buildLayer([{ name: "oci-layout" }, { name: "index.json" }]), /is an OCI archive/],
    ["is half an OCI archive", () => buildLayer([{ name: "oci-layout", content: "{}" }]), /no index\.json/],
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

  test.skipIf(missingPrograms("mkfifo").length > 0)("that is a FIFO is not waited for (needs mkfifo)", async () => {
    await run("mkfifo", [path]);
    const error = await errorOf(resolve(`docker-archive:${path}`));
    expect(error).toMatchObject({ code: "archive-invalid", hint: expect.stringContaining(`import - < ${path}`) });
    // as it is when the FIFO comes only after the path was looked at
    await expect(digestOfRange({ path, offset: 0, sizeBytes: 512 })).rejects.toMatchObject({ code: "archive-invalid" });
    await expect(readStart({ path, offset: 0, sizeBytes: 512 }, 6)).rejects.toMatchObject({ code: "archive-invalid" });
  });

  test("that is a link to itself says that it cannot be opened, and what to look at", async () => {
    await symlink(path, path);
    const error = await errorOf(resolve(`docker-archive:${path}`));
    expect(error).toMatchObject({ code: "archive-invalid", message: expect.stringContaining("ELOOP") });
    expect(error.hint).toContain("links");
  });

  test("whose lists are no JSON says what to do", async () => {
    await writeFile(path, buildLayer([{ name: "manifest.json", content: "[" }]));
    expect((await errorOf(resolve(`docker-archive:${path}`))).hint).toContain("save it again");
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

describe("what is no image archive", () => {
  test.each<readonly [string, readonly string[], RegExp]>([
    ["a file system", ["bin", "etc", "usr"], /docker export/],
    ["an ACI", ["manifest", "rootfs"], /Appc/],
    ["an OCI archive", ["oci-layout", "index.json"], /write oci-archive:/],
  ])("is told by what is in it: %s", async (_, names, hint) => {
    await writeFile(path, buildLayer(names.map((name) => ({ name }))));
    await expect(resolve(`docker-archive:${path}`)).rejects.toMatchObject({ hint: expect.stringMatching(hint) });
  });
});

describe("an archive of Docker 25 and later", () => {
  const emptied = { ...image.manifest, digest: sha256(Buffer.from("{}")), size: 2 };
  const index = { schemaVersion: 2, manifests: [emptied] };

  test("is read by its manifest.json, whatever its OCI layout says (moby#47065)", async () => {
    const layout = [
      { name: "oci-layout", content: '{"imageLayoutVersion":"1.0.0"}' },
      { name: "index.json", content: JSON.stringify(index) },
    ];
    await writeFile(path, buildLayer([...layout, ...archiveEntries(image)]));
    await expectLayers(
      (await resolve(`docker-archive:${path}`)).layers,
      image.layers.map(({ digest }) => digest),
    );
  });
});

describe("an archive as crane writes it", () => {
  test("has a configuration and layers named by their digests", async () => {
    const layers = image.layers.map(({ digest }) => `${digest.slice(7)}.tar.gz`);
    const manifest = [{ Config: image.config.digest, RepoTags: ["index.docker.io/library/app:1"], Layers: layers }];
    const entries = [
      { name: image.config.digest, content: image.blobs.get(image.config.digest) ?? "" },
      ...image.layers.map(({ digest }, at) => ({ name: layers[at] ?? "", content: image.blobs.get(digest) ?? "" })),
      { name: "manifest.json", content: JSON.stringify(manifest) },
    ];
    await writeFile(path, buildLayer(entries));
    await expectLayers(
      (await resolve(`docker-archive:${path}:app:1`)).layers,
      image.layers.map(({ digest }) => digest),
    );
  });
});

describe("a directory of what an archive holds", () => {
  test("is read like the archive", async () => {
    await writeDockerArchive(path, image, ["app:1"]);
    const packed = await resolve(`docker-archive:${path}:app:1`);
    const unpacked = join(temp.path, "unpacked");
    await mkdir(unpacked);
    tarInto(unpacked, await readFile(path));
    const resolved = await resolve(`docker-archive:${unpacked}:app:1`);
    expect(resolved.manifest).toEqual(packed.manifest);
    await expectWholeLayers(resolved, image.diffIds);
  });
});

describe("an archive that is compressed as a whole", () => {
  const tar = buildLayer(archiveEntries(image));
  let archives: Archives;
  beforeEach(async () => {
    archives = await openArchives();
  });
  afterEach(() => archives[Symbol.asyncDispose]());

  test.each([
    ["gzip", gzipSync(tar)],
    ["zstd", zstdCompressSync(tar)],
  ])("by %s is expanded and then read like a plain one, whatever its name", async (_, bytes) => {
    await writeFile(path, bytes);
    const resolved = await archives.resolve(`docker-archive:${path}`);
    await expectWholeLayers(resolved, image.diffIds);
    expect(resolved.source).toBe(path);
    expect(archives.expanded).toEqual([`archive ${path}`]);
    // that it is, and why, the workshop says
    expect(decisions(archives)).toEqual([expect.stringContaining("is read as a saved archive")]);
  });

  test.skipIf(missingPrograms("xz", "bzip2").length > 0)("by xz or bzip2 is too (needs xz, bzip2)", async () => {
    for (const program of ["xz", "bzip2"]) {
      await writeFile(path, tar);
      await run(program, ["-k", "-f", path]);
      const compressed = `${path}.${program === "xz" ? "xz" : "bz2"}`;
      await expectWholeLayers(await archives.resolve(`docker-archive:${compressed}`), image.diffIds);
    }
  });

  test("is not asked for where it is plain", async () => {
    await writeFile(path, tar);
    await archives.resolve(`docker-archive:${path}`);
    expect(archives.expanded).toEqual([]);
  });

  test.each<readonly [string, Buffer, RegExp]>([
    ["ends in the middle", gzipSync(tar).subarray(0, 300), /gzip stream is damaged or ends too early/],
    ["is compressed twice", gzipSync(gzipSync(tar)), /compressed twice/],
    ["is none inside", gzipSync(Buffer.alloc(5000, "garbage ")), /no tar file/],
    ["is cut off inside", gzipSync(tar.subarray(0, 1500)), /truncated/],
  ])("and %s is archive-invalid, under its own name", async (_, bytes, message) => {
    await writeFile(path, bytes);
    const error = await errorOf(archives.resolve(`docker-archive:${path}`));
    expect(error).toMatchObject({ code: "archive-invalid", message: expect.stringMatching(message) });
    expect(error.message).toContain(`archive ${path}`);
  });
});

const noPodman = missingPrograms("podman").length > 0;

describe.skipIf(noPodman)("what podman saves (needs podman: apt-get install podman)", () => {
  let store: Podman;
  beforeAll(async () => {
    if (!noPodman) store = await openPodman(image, ["example.com/app:1", "example.com/other:2"]);
  });
  afterAll(() => store?.[Symbol.asyncDispose]());

  test.each(["docker-archive", "docker-dir", "oci-archive", "oci-dir"])("as %s is read", async (format) => {
    await using archives = await openArchives();
    const saved = join(archives.path, "saved");
    await store.podman("save", "--format", format, "-o", saved, "example.com/app:1");
    const kind = format === "oci-dir" ? "oci" : format.replace("docker-dir", "docker-archive");
    await expectWholeLayers(await archives.resolve(`${kind}:${saved}`), image.diffIds);
  });

  test("as one archive of several is read by name", async () => {
    await using archives = await openArchives();
    const saved = join(archives.path, "saved.tar");
    await store.podman("save", "-m", "-o", saved, "example.com/app:1", "example.com/other:2");
    await expectWholeLayers(await archives.resolve(`docker-archive:${saved}:example.com/other:2`), image.diffIds);
  });
});

async function resolve(text: string): Promise<ResolvedImage> {
  await using sources = createSources({ insecureRegistries: [] });
  return await sources.resolve(parseReference(text), {
    platform: parsePlatform("linux/amd64"),
    emit: silent,
    workshop: NO_WORKSHOP,
  });
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
