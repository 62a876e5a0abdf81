/** OCI image layouts, in a directory and in a tar: what is found in them, and under which names. */
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { missingPrograms, run, skopeoCopy } from "../../support/peers.ts";
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

const image = buildImage([[{ name: "a", content: "1" }], [{ name: "b" }]], { architecture: "amd64" });
const other = buildImage([[{ name: "c" }]], { architecture: "amd64", config: { Cmd: ["/c"] } });
const arm = buildImage([[{ name: "d" }]], { architecture: "arm64" });
const REF_NAME = "org.opencontainers.image.ref.name";
const CONTAINERD_NAME = "io.containerd.image.name";

let archives: Archives;
let directory: string;
let file: string;
beforeEach(async () => {
  archives = await openArchives();
  directory = join(archives.path, "layout");
  file = join(archives.path, "layout.tar");
});
afterEach(() => archives[Symbol.asyncDispose]());

/** The same entries in a directory and in a tar. */
async function write(entries: readonly TarEntry[]): Promise<void> {
  const tar = buildLayer(entries);
  await writeFile(file, tar);
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory);
  tarInto(directory, tar);
}

function named(built: BuiltImage, annotations?: Readonly<Record<string, string>>, platform?: string): unknown {
  const [os, architecture] = platform?.split("/") ?? [];
  return {
    ...built.manifest,
    ...(annotations && { annotations }),
    ...(platform && { platform: { os, architecture } }),
  };
}

/** An index document over descriptors, as a built "image" whose manifest it is. */
function indexOf(manifests: readonly unknown[], mediaTypes: "oci" | "docker" = "oci"): BuiltImage {
  const mediaType = MEDIA_TYPES[mediaTypes].index;
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, manifests }));
  const manifest = { mediaType, digest: sha256(bytes), size: bytes.length };
  return { ...image, manifest, blobs: new Map([[manifest.digest, bytes]]) };
}

describe("a layout", () => {
  test("in a directory and in a tar gives the same image, layers in place", async () => {
    await write(layoutEntries([image], [named(image, { [REF_NAME]: "1" })]));
    for (const name of [`oci:${directory}:1`, `oci-archive:${file}:1`, `oci:${directory}`, `oci-archive:${file}`]) {
      const resolved = await archives.resolve(name);
      await expectWholeLayers(resolved, image.diffIds);
      expect(resolved).toMatchObject({
        name,
        source: name.startsWith("oci:") ? directory : file,
        manifest: { descriptor: { digest: image.manifest.digest, size: image.manifest.size } },
        platform: { os: "linux", architecture: "amd64" },
      });
      expect(resolved.layers.map(({ blob }) => blob.digest)).toEqual(image.layers.map(({ digest }) => digest));
      expect(resolved.index).toBeUndefined();
    }
    expect(archives.expanded).toEqual([]);
  });

  test("unpacks", async () => {
    await write(layoutEntries([image], [named(image)]));
    const { layers } = await archives.resolve(`oci:${directory}`);
    for (const layer of layers) expect(await archives.unpack(layer)).toContain("unpacked");
    expect(await readFile(join(archives.path, "unpacked-1/fs/a"), "utf8")).toBe("1");
  });

  test("may have Docker's media types", async () => {
    const docker = buildImage([[{ name: "a" }]], { architecture: "amd64" }, { mediaTypes: "docker" });
    await write(layoutEntries([docker], [named(docker)]));
    await expectWholeLayers(await archives.resolve(`oci:${directory}`), docker.diffIds);
  });

  test("may inline manifest, configuration and layers", async () => {
    const data = (digest: string): string => (image.blobs.get(digest) ?? Buffer.alloc(0)).toString("base64");
    const inlined = { ...image.config, data: data(image.config.digest) };
    const layers = image.layers.map((layer) => ({ ...layer, data: data(layer.digest) }));
    const whole = buildImage(
      [[{ name: "a", content: "1" }], [{ name: "b" }]],
      { architecture: "amd64" },
      {
        manifest: { config: inlined, layers },
      },
    );
    const bytes = whole.blobs.get(whole.manifest.digest) ?? Buffer.alloc(0);
    await write(layoutEntries([], [{ ...whole.manifest, data: bytes.toString("base64") }]));
    const resolved = await archives.resolve(`oci:${directory}`);
    for (const [at, { bytes: where }] of resolved.layers.entries()) {
      if (!("open" in where)) throw new Error("not a stream");
      const chunks = [];
      for await (const chunk of (await where.open(3, AbortSignal.timeout(9000))).body) chunks.push(chunk);
      expect(Buffer.concat(chunks)).toEqual(image.blobs.get(image.layers[at]?.digest ?? "")?.subarray(3));
    }
  });

  test("may have files, annotations and artifacts that nobody knows", async () => {
    const strange = { ...other.manifest, artifactType: "application/vnd.example.chart" };
    const attested = named(other, { "vnd.docker.reference.type": "attestation-manifest" }, "unknown/unknown");
    const entries = layoutEntries([image, other], [strange, attested, named(image, { "com.example": "x" })]);
    await write([...entries, { name: "extra", content: "?" }]);
    await expectWholeLayers(await archives.resolve(`oci:${directory}`), image.diffIds);
  });

  test("may have links between its blobs", async () => {
    const entries = layoutEntries([image], [named(image)]);
    const first = blobName(image.layers[0]?.digest ?? "");
    const moved = entries.map((entry) => (entry.name === first ? { ...entry, name: "blobs/real" } : entry));
    await write([...moved, { name: first, type: "symlink", linkname: "../real" }]);
    for (const name of [`oci:${directory}`, `oci-archive:${file}`]) {
      await expectWholeLayers(await archives.resolve(name), image.diffIds);
    }
  });
});

describe("choosing an image of a layout", () => {
  const full = "example.com/team/app:1";

  test.each([
    ["a tag", "1", image],
    ["a tag with dots and dashes", "v2.0-rc_1", other],
    ["a whole reference in the specification's annotation", full, image],
    ["a whole reference in containerd's", "docker.io/library/busybox:2", other],
    ["another spelling of that", "busybox:2", other],
    ["a position", "@2", other],
  ])("finds it by %s", async (_, asked, found) => {
    const list = [
      named(image, { [REF_NAME]: "1" }),
      named(image, { [REF_NAME]: full }),
      named(other, { [REF_NAME]: "2", [CONTAINERD_NAME]: "docker.io/library/busybox:2" }),
      named(other, { [REF_NAME]: "v2.0-rc_1" }),
    ];
    await write(layoutEntries([image, other], list));
    for (const name of [`oci:${directory}:${asked}`, `oci-archive:${file}:${asked}`]) {
      const resolved = await archives.resolve(name);
      expect(resolved.manifest.descriptor.digest).toBe(found.manifest.digest);
      expect(resolved.name).toBe(name);
    }
  });

  test("finds it by the digest of a manifest or an index, also of one inside an index", async () => {
    const index = indexOf([named(arm, {}, "linux/arm64"), named(image, {}, "linux/amd64")]);
    await write(layoutEntries([index, image, arm, other], [index.manifest, named(other)]));
    for (const built of [image, other]) {
      const resolved = await archives.resolve(`oci:${directory}@${built.manifest.digest}`);
      expect(resolved.manifest.descriptor.digest).toBe(built.manifest.digest);
    }
    const resolved = await archives.resolve(`oci-archive:${file}@${index.manifest.digest}`, "linux/arm64");
    expect(resolved.manifest.descriptor.digest).toBe(arm.manifest.digest);
    expect(resolved.index?.descriptor.digest).toBe(index.manifest.digest);
  });

  test.each([
    ["", "archive-ambiguous"],
    [":3", "image-unknown"],
    [":@2", "image-unknown"],
    [`@${sha256(Buffer.from("x"))}`, "image-unknown"],
  ])("lists what is inside when %j names none of several", async (asked, code) => {
    await write(layoutEntries([image, other], [named(image, { [REF_NAME]: "1" }), named(other)]));
    const error = await errorOf(archives.resolve(`oci:${directory}${asked}`));
    expect(error).toMatchObject({ code, message: expect.stringMatching(/1 \(sha256:.*an untagged image \(sha256:/) });
  });

  test("takes a name and a digest together where both hold", async () => {
    const index = indexOf([named(arm, {}, "linux/arm64"), named(image, {}, "linux/amd64")]);
    const list = [{ ...index.manifest, annotations: { [REF_NAME]: "1" } }, named(other, { [REF_NAME]: "2" })];
    await write(layoutEntries([index, image, arm, other], list));
    for (const digest of [index.manifest.digest, image.manifest.digest]) {
      for (const asked of ["1", "@0"]) {
        const resolved = await archives.resolve(`oci:${directory}:${asked}@${digest}`);
        expect(resolved.manifest.descriptor.digest).toBe(image.manifest.digest);
      }
      const error = await errorOf(archives.resolve(`oci-archive:${file}:2@${digest}`));
      expect(error).toMatchObject({
        code: "image-unknown",
        message: expect.stringContaining(`no 2 that is ${digest}`),
      });
    }
  });

  test("takes the only one for the platform when nothing is asked for", async () => {
    await write(layoutEntries([image, arm], [named(image, {}, "linux/amd64"), named(arm, {}, "linux/arm64")]));
    const resolved = await archives.resolve(`oci:${directory}`, "linux/arm64");
    expect(resolved.manifest.descriptor.digest).toBe(arm.manifest.digest);
    const error = await errorOf(archives.resolve(`oci:${directory}`, "linux/s390x"));
    expect(error).toMatchObject({ code: "platform-unknown", message: expect.stringContaining("linux/arm64") });
  });

  test("takes the one for the platform of several under one tag", async () => {
    const tag = { [REF_NAME]: "1" };
    await write(layoutEntries([image, arm], [named(image, tag, "linux/amd64"), named(arm, tag, "linux/arm64")]));
    for (const [platform, built] of [
      ["linux/amd64", image],
      ["linux/arm64", arm],
    ] as const) {
      const resolved = await archives.resolve(`oci:${directory}:1`, platform);
      expect(resolved.manifest.descriptor.digest).toBe(built.manifest.digest);
    }
  });

  test("takes a tag for no other", async () => {
    await write(layoutEntries([image], [named(image, { [REF_NAME]: "1" })]));
    expect(await errorOf(archives.resolve(`oci:${directory}:2`))).toMatchObject({ code: "image-unknown" });
  });
});

describe("an index in a layout", () => {
  const attestation = named(other, { "vnd.docker.reference.type": "attestation-manifest" }, "unknown/unknown");
  const index = indexOf([attestation, named(arm, {}, "linux/arm64"), named(image, {}, "linux/amd64")]);

  test.each([
    ["linux/amd64", image],
    ["linux/arm64", arm],
  ])("leads to the manifest for %s, past attestations", async (platform, built) => {
    await write(layoutEntries([index, image, arm, other], [{ ...index.manifest, annotations: { [REF_NAME]: "1" } }]));
    const resolved = await archives.resolve(`oci:${directory}:1`, platform);
    await expectWholeLayers(resolved, built.diffIds);
    expect(resolved.index?.descriptor.digest).toBe(index.manifest.digest);
  });

  test("may be in another index, and a manifest list", async () => {
    const nested = indexOf([{ ...index.manifest }], "docker");
    await write(layoutEntries([nested, index, image, arm], [nested.manifest]));
    await expectWholeLayers(await archives.resolve(`oci-archive:${file}`), image.diffIds);
  });

  test("may lack what was not saved, and the error says so where that is what is needed", async () => {
    await write(layoutEntries([index, image], [index.manifest]));
    await expectWholeLayers(await archives.resolve(`oci:${directory}`), image.diffIds);
    expect(decisions(archives)).toContainEqual(expect.stringContaining("2 of its 3 manifests are not in directory"));
    const error = await errorOf(archives.resolve(`oci:${directory}`, "linux/arm64"));
    expect(error).toMatchObject({ code: "archive-invalid", message: expect.stringContaining(arm.manifest.digest) });
  });

  test("falls back to an older level that is there", async () => {
    const v2 = { ...image.manifest, platform: { os: "linux", architecture: "amd64", variant: "v2" } };
    const v3 = { ...other.manifest, platform: { os: "linux", architecture: "amd64", variant: "v3" } };
    const levels = indexOf([v2, v3]);
    await write(layoutEntries([levels, image], [levels.manifest]));
    await expectWholeLayers(await archives.resolve(`oci:${directory}`, "linux/amd64/v3"), image.diffIds);
  });

  test("that is nested too deep is an error", async () => {
    let nested = index;
    const all = [index, image, arm];
    for (let depth = 0; depth < 4; depth += 1) {
      nested = indexOf([nested.manifest]);
      all.push(nested);
    }
    await write(layoutEntries(all, [nested.manifest]));
    const error = await errorOf(archives.resolve(`oci:${directory}`));
    expect(error).toMatchObject({ code: "manifest-invalid", message: expect.stringContaining("nested more than") });
  });
});

describe("a broken layout", () => {
  const whole = layoutEntries([image], [named(image)]);
  const without = (name: string): TarEntry[] => whole.filter((entry) => entry.name !== name);
  const replaced = (name: string, content: string | Buffer): TarEntry[] => [...without(name), { name, content }];
  const layer = image.layers[1]?.digest ?? "";
  const list = (content: unknown): TarEntry[] => replaced("index.json", JSON.stringify(content));

  test.each<readonly [string, readonly TarEntry[], string, RegExp]>([
    ["without oci-layout", without("oci-layout"), "archive-invalid", /no oci-layout/],
    ["without index.json", without("index.json"), "archive-invalid", /no index\.json/],
    ["of another version", replaced("oci-layout", '{"imageLayoutVersion":"2.0.0"}'), "archive-invalid", /"2\.0\.0"/],
    ["without a version", replaced("oci-layout", "{}"), "archive-invalid", /imageLayoutVersion/],
    ["of another schema", list({ schemaVersion: 1, manifests: [] }), "archive-invalid", /schemaVersion/],
    ["without images", list({ schemaVersion: 2, manifests: null }), "archive-invalid", /lists no image/],
    ["without its manifest", without(blobName(image.manifest.digest)), "archive-invalid", /a manifest, sha256:/],
    ["without its configuration", without(blobName(image.config.digest)), "archive-invalid", /the configuration, sha/],
    ["without a layer", without(blobName(layer)), "archive-invalid", new RegExp(`layer 2, ${layer}, is not in it`)],
    ["with another manifest", replaced(blobName(image.manifest.digest), "{}"), "blob-corrupt", /bytes instead of/],
    [
      "with a changed configuration",
      replaced(blobName(image.config.digest), Buffer.alloc(image.config.size, " ")),
      "blob-corrupt",
      /its digest is sha256:/,
    ],
    ["with a shorter layer", replaced(blobName(layer), "x"), "blob-corrupt", /layer 2 .*it has 1 bytes instead of/],
    [
      "with an absolute link for a layer",
      [...without(blobName(layer)), { name: blobName(layer), type: "symlink", linkname: "/etc/passwd" }],
      "archive-invalid",
      /leads out|no file/,
    ],
    [
      "with a link out for a layer",
      [...without(blobName(layer)), { name: blobName(layer), type: "symlink", linkname: "../../../secret" }],
      "archive-invalid",
      /leads out|has no/,
    ],
    [
      "with a link to itself for a layer",
      [...without(blobName(layer)), { name: blobName(layer), type: "symlink", linkname: layer.slice(7) }],
      "archive-invalid",
      /link to itself/,
    ],
    [
      "with a directory for a layer",
      [...without(blobName(layer)), { name: blobName(layer), type: "dir" }],
      "archive-invalid",
      /no file/,
    ],
    [
      "with a FIFO for a layer",
      [...without(blobName(layer)), { name: blobName(layer), type: "fifo" }],
      "archive-invalid",
      /no file/,
    ],
  ])("%s is an error in a directory and in a tar", async (_, entries, code, message) => {
    await write(entries);
    for (const name of [`oci:${directory}`, `oci-archive:${file}`]) {
      const error = await errorOf(archives.resolve(name));
      expect(error).toMatchObject({ code, message: expect.stringMatching(message), hint: expect.any(String) });
    }
  });

  test("with a link out for its list, or for its directory of blobs, reads nothing there", async () => {
    await writeOciLayout(join(archives.path, "elsewhere"), image, "1");
    for (const link of ["index.json", "blobs"]) {
      await write(whole.filter(({ name }) => !String(name).startsWith(link)));
      await run("ln", ["-s", join(archives.path, "elsewhere", link), join(directory, link)]);
      const error = await errorOf(archives.resolve(`oci:${directory}`));
      expect(error).toMatchObject({ code: "archive-invalid", message: expect.stringContaining("leads out of it") });
    }
  });

  test("of a schema 1 manifest is not supported", async () => {
    const bytes = Buffer.from(JSON.stringify({ schemaVersion: 1, name: "x", fsLayers: [], history: [] }));
    const mediaType = "application/vnd.oci.image.manifest.v1+json";
    const descriptor = { mediaType, digest: sha256(bytes), size: bytes.length };
    await write([...layoutEntries([], [descriptor]), { name: blobName(descriptor.digest), content: bytes }]);
    expect(await errorOf(archives.resolve(`oci:${directory}`))).toMatchObject({ code: "media-type-unsupported" });
  });

  test("whose manifest lost its layers, beside a manifest.json, is to be read by that (moby#47065)", async () => {
    const emptied = buildImage([], { architecture: "amd64" }, { manifest: { config: image.config } });
    const entries = layoutEntries([image, emptied], [named(emptied)]);
    await write([...entries, { name: "manifest.json", content: "[]" }]);
    const error = await errorOf(archives.resolve(`oci:${directory}`));
    expect(error).toMatchObject({ code: "archive-invalid", hint: expect.stringContaining("docker-archive:") });
  });

  test("that is none, but a saved archive, says how to read it", async () => {
    await writeDockerArchive(file, image, ["app:1"], { style: "graphdriver" });
    const error = await errorOf(archives.resolve(`oci-archive:${file}`));
    expect(error).toMatchObject({ code: "archive-invalid", hint: `write docker-archive:${file}` });
  });

  test("that is not there is archive-missing", async () => {
    expect(await errorOf(archives.resolve(`oci:${directory}:1`))).toMatchObject({
      code: "archive-missing",
      message: `Cannot use ${directory}: there is no such file or directory`,
      hint: expect.stringContaining(`oci:${directory}:1/`),
    });
  });

  test("in a directory is called what it is", async () => {
    await write(whole);
    expect((await errorOf(archives.resolve(`docker-archive:${directory}`))).message).toContain("an OCI image layout");
    expect((await errorOf(archives.resolve(`docker-archive:${file}`))).message).toContain("an OCI archive");
  });

  test("that is empty says so", async () => {
    await mkdir(directory);
    const error = await errorOf(archives.resolve(`oci:${directory}`));
    expect(error).toMatchObject({ code: "archive-invalid", message: expect.stringContaining("nothing in it") });
  });
});

describe("a layout that another program wrote", () => {
  test.skipIf(missingPrograms("skopeo").length > 0)(
    "is read: skopeo's oci, oci-archive and dir (needs skopeo)",
    async () => {
      const source = join(archives.path, "source");
      await writeOciLayout(source, image, "1");
      const at = (name: string): string => join(archives.path, name);
      await skopeoCopy(`oci:${source}:1`, `oci:${at("o")}:example.com/app:1`);
      await skopeoCopy(`oci:${source}:1`, `oci-archive:${at("o.tar")}:1`);
      await skopeoCopy(`oci:${source}:1`, `dir:${at("d")}`);
      for (const name of [
        `oci:${at("o")}:example.com/app:1`,
        `oci-archive:${at("o.tar")}:1`,
        `docker-archive:${at("d")}`,
      ]) {
        await expectWholeLayers(await archives.resolve(name), image.diffIds);
      }
    },
  );

  test.skipIf(missingPrograms("umoci").length > 0)("is read: umoci's (needs umoci)", async () => {
    await run("umoci", ["init", "--layout", directory]);
    await run("umoci", ["new", "--image", `${directory}:empty`]);
    const resolved = await archives.resolve(
      `oci:${directory}:empty`,
      `linux/${process.arch === "x64" ? "amd64" : process.arch}`,
    );
    expect(resolved.layers).toEqual([]);
  });

  test("is read: ours, which is Docker's as well", async () => {
    const fixture = join(import.meta.dirname, "../../../fixtures/busybox.tar");
    const [oci, docker] = [`oci-archive:${fixture}:1`, `docker-archive:${fixture}`];
    const [one, two] = [await archives.resolve(oci), await archives.resolve(docker)];
    expect(two.config.descriptor.digest).toBe(one.config.descriptor.digest);
    await expectWholeLayers(
      one,
      two.layers.map(({ diffId }) => diffId),
    );
  });
});
