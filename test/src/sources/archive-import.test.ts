/** openImport: whatever is given, it says which images are in it, and resolves each under a name. */
import { createReadStream } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { parseReference } from "../../../src/image/reference.ts";
import { type ImportedImage, openImport as openAnyImport } from "../../../src/sources/archive-import.ts";
import type { ResolveContext, ResolvedImage } from "../../../src/sources/source.ts";
import type { Digest } from "../../../store/index.ts";
import {
  type BuiltImage,
  buildImage,
  buildLayer,
  MEDIA_TYPES,
  sha256,
  type TarEntry,
  writeDockerArchive,
  writeOciLayout,
} from "../../support/tar-builder.ts";
import {
  type Archives,
  blobName,
  decisions,
  errorOf,
  expectWholeLayers,
  layoutEntries,
  openArchives,
  tarInto,
} from "./open-archives.ts";

const image = buildImage([[{ name: "a" }]], { architecture: "amd64" });
const other = buildImage([[{ name: "b" }]], { architecture: "arm64" });
const NAME = "example.com/app:1";
const ONLY = (archive: string): string => `docker-archive:${archive}:@0`;

let archives: Archives;
let path: string;

function openImport(input: Parameters<typeof openAnyImport>[0], context: ResolveContext) {
  const importAci = (aci: string): Promise<never> => Promise.reject(new Error(`${aci} was taken for an ACI`));
  return openAnyImport(input, context, importAci);
}
beforeEach(async () => {
  archives = await openArchives();
  path = join(archives.path, "a.tar");
});
afterEach(() => archives[Symbol.asyncDispose]());

async function namesIn(input: Parameters<typeof openImport>[0]): Promise<readonly (readonly string[])[]> {
  await using opened = await openImport(input, archives.context());
  return opened.images.map(({ names }: ImportedImage) => names);
}

async function importFirst(input: Parameters<typeof openImport>[0], platform?: string): Promise<ResolvedImage> {
  await using opened = await openImport(input, archives.context(platform));
  return await opened.resolve(0, NAME);
}

function annotated(built: BuiltImage, ref: string, containerd?: string): unknown {
  const annotations = {
    "org.opencontainers.image.ref.name": ref,
    ...(containerd !== undefined && { "io.containerd.image.name": containerd }),
  };
  return { ...built.manifest, annotations };
}

describe("openImport", () => {
  test("resolves what is in any kind of file or directory under the name that it is given", async () => {
    const at = (name: string): string => join(archives.path, name);
    await writeDockerArchive(at("new.tar"), image, ["app:1"]);
    await writeDockerArchive(at("old.tar"), image, ["app:1"], { style: "graphdriver" });
    await writeOciLayout(at("layout"), image, "1");
    await writeFile(at("layout.tar"), buildLayer(layoutEntries([image], [annotated(image, "1")])));
    await writeFile(at("new.tgz"), gzipSync(await readFile(at("new.tar"))));
    await mkdir(at("unpacked"));
    tarInto(at("unpacked"), await readFile(at("old.tar")));
    for (const name of ["new.tar", "old.tar", "layout", "layout.tar", "new.tgz", "unpacked"]) {
      const resolved = await importFirst({ path: at(name) });
      expect(resolved).toMatchObject({ name: NAME, source: at(name) });
      await expectWholeLayers(resolved, image.diffIds);
    }
  });

  test("reads a stream, compressed or not", async () => {
    await writeDockerArchive(path, image, ["app:1"]);
    await writeFile(`${path}.gz`, gzipSync(await readFile(path)));
    for (const file of [path, `${path}.gz`]) {
      const resolved = await importFirst({ stream: createReadStream(file) });
      expect(resolved.source).toBe("standard input");
      await expectWholeLayers(resolved, image.diffIds);
    }
    expect(archives.expanded).toEqual(Array(2).fill("the archive on the standard input"));
  });

  test.each([
    ["nothing", Buffer.alloc(0), /empty/],
    ["no archive", Buffer.from("hello"), /no tar file/],
    ["half an archive", gzipSync(buildLayer([{ name: "a" }])).subarray(0, 40), /ends too early/],
  ])("says that a stream of %s is none", async (_, bytes, message) => {
    const stream = (async function* () {
      yield bytes;
    })();
    const error = await errorOf(openImport({ stream }, archives.context()));
    expect(error).toMatchObject({ code: "archive-invalid", message: expect.stringMatching(message) });
    expect(error.message).toContain("the archive on the standard input");
  });

  test("takes a manifest.json for what counts, then an OCI layout, then repositories", async () => {
    const saved: TarEntry[] = [
      { name: "manifest.json", content: JSON.stringify([{ Config: "c.json", RepoTags: ["saved:1"], Layers: [] }]) },
    ];
    const layout = layoutEntries([image], [annotated(image, "example.com/layout:1")]);
    const legacy: TarEntry[] = [{ name: "repositories", content: JSON.stringify({ legacy: { "1": "a".repeat(64) } }) }];
    for (const [entries, name] of [
      [[...legacy, ...layout, ...saved], "docker.io/library/saved:1"],
      [[...legacy, ...layout], "example.com/layout:1"],
      [legacy, "docker.io/library/legacy:1"],
    ] as const) {
      await writeFile(path, buildLayer(entries));
      expect(await namesIn({ path })).toEqual([[name]]);
    }
    expect(decisions(archives)[0]).toContain("though it is an OCI image layout and an archive of Docker before 1.10");
  });

  test("resolves an image of several platforms for the one that is asked for", async () => {
    const manifests = [
      { ...image.manifest, platform: { os: "linux", architecture: "amd64" } },
      { ...other.manifest, platform: { os: "linux", architecture: "arm64" } },
    ];
    const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, manifests }));
    const descriptor = { mediaType: MEDIA_TYPES.oci.index, digest: sha256(bytes), size: bytes.length };
    const index: TarEntry = { name: blobName(descriptor.digest), content: bytes };
    await writeFile(path, buildLayer([...layoutEntries([image, other], [descriptor]), index]));
    await expectWholeLayers(await importFirst({ path }, "linux/arm64"), other.diffIds);
  });

  test("leaves layers that can be read when it is closed", async () => {
    await writeDockerArchive(path, image, []);
    await expectWholeLayers(await importFirst({ path }), image.diffIds);
  });

  test("is an error for what is not there, and for a file system", async () => {
    expect(await errorOf(openImport({ path }, archives.context()))).toMatchObject({ code: "archive-missing" });
    const error = await errorOf(openImport({ path: join(import.meta.dirname, "../..") }, archives.context()));
    expect(error).toMatchObject({ code: "archive-invalid", message: expect.stringContaining("it is no image") });
  });
});

describe("one image of several that are imported", () => {
  const list = [annotated(image, "1"), annotated(other, "2", "example.com/app:2")];
  const forArm = (): ResolveContext => archives.context("linux/arm64");

  async function imagesIn(text: string): Promise<readonly ImportedImage[]> {
    const reference = parseReference(text);
    if (reference.kind === "docker" || reference.kind === "appc") throw new Error(`${text} is no archive`);
    await using opened = await openImport({ reference }, forArm());
    return opened.images;
  }

  test.each([
    ["a tag", ":2", other],
    ["a whole name", ":example.com/app:2", other],
    ["a position", ":@1", other],
    ["a digest", `@${image.manifest.digest}`, image],
  ])("is chosen as where an image is pulled: by %s", async (_, asked, found) => {
    await writeFile(path, buildLayer(layoutEntries([image, other], list)));
    const [only, ...more] = await imagesIn(`oci-archive:${path}${asked}`);
    expect(more).toEqual([]);
    expect(only?.names).toEqual(found === other ? ["example.com/app:2"] : []);
    expect(only?.reference).toBe(`oci-archive:${path}:@${found === other ? 1 : 0}`);
  });

  test("is resolved, under the name that it is given", async () => {
    await writeFile(path, buildLayer(layoutEntries([image, other], list)));
    const reference = parseReference(`oci-archive:${path}:2@${other.manifest.digest}`);
    if (reference.kind !== "oci-archive") throw new Error("not an archive");
    await using opened = await openImport({ reference }, forArm());
    expect(await opened.resolve(0, NAME)).toMatchObject({ name: NAME });
    const wrong = { ...reference, digest: image.manifest.digest as Digest };
    expect(await errorOf(openImport({ reference: wrong }, forArm()))).toMatchObject({ code: "image-unknown" });
  });

  test("is none where nothing is chosen: then it is all of them", async () => {
    await writeFile(path, buildLayer(layoutEntries([image, other], list)));
    expect(await imagesIn(`oci-archive:${path}`)).toHaveLength(2);
  });

  test("keeps, of several names, only the one that it is asked for by", async () => {
    await writeDockerArchive(path, image, ["app:1", "app:2"]);
    expect((await imagesIn(`docker-archive:${path}:app:2`))[0]?.names).toEqual(["docker.io/library/app:2"]);
    expect((await imagesIn(`docker-archive:${path}:@0`))[0]?.names).toHaveLength(2);
  });
});

describe("the names of an image that is imported", () => {
  test("are canonical, each once, in a saved archive", async () => {
    await writeDockerArchive(path, image, ["app:1", "docker.io/library/app:1", "index.docker.io/team/app:2"]);
    expect(await namesIn({ path })).toEqual([["docker.io/library/app:1", "docker.io/team/app:2"]]);
  });

  test("are the whole references in an OCI layout, and a mere tag is none", async () => {
    const list = [annotated(image, "1", "docker.io/library/app:1"), annotated(image, "example.com/app:2")];
    await writeFile(path, buildLayer(layoutEntries([image, other], [...list, annotated(other, "latest")])));
    expect(await namesIn({ path })).toEqual([["docker.io/library/app:1", "example.com/app:2"], []]);
  });

  test("are none where nothing is said", async () => {
    await writeDockerArchive(path, image, []);
    await using opened = await openImport({ path }, archives.context());
    expect(opened.images).toEqual([
      { names: [], written: [], describe: expect.stringContaining("an untagged image ("), reference: ONLY(path) },
    ]);
  });

  test.each([
    `example.com/app@sha256:${"0".repeat(64)}`,
    `example.com/app:1@sha256:${"0".repeat(64)}`,
    "../../etc/passwd",
    "/absolute:1",
    "UPPER:1",
    "a b:1",
    "app:1\n",
    "http://example.com/app:1",
    `${"a/".repeat(200)}b:1`,
  ])("are not what an archive has no right to say: %j", async (name) => {
    await writeDockerArchive(path, image, [name]);
    expect(await namesIn({ path })).toEqual([[]]);
    await writeFile(path, buildLayer(layoutEntries([image], [annotated(image, name, name)])));
    expect(await namesIn({ path })).toEqual([[]]);
  });
});
