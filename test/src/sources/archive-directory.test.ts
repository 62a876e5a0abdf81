/** A directory of archives in the place of a registry. */
import { mkdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { silent } from "../../../src/events.ts";
import { parsePlatform } from "../../../src/image/platform.ts";
import { type DockerReference, parseReference } from "../../../src/image/reference.ts";
import { archiveFileNames, createArchiveDirectorySource } from "../../../src/sources/archive-directory.ts";
import { createSources } from "../../../src/sources/index.ts";
import type { ResolvedImage } from "../../../src/sources/source.ts";
import { buildImage, buildLayer, writeDockerArchive } from "../../support/tar-builder.ts";
import { openTempDir, type TempDir } from "../../support/temp-dir.ts";
import { NO_WORKSHOP } from "../../support/workshop.ts";
import { errorOf, expectWholeLayers, layoutEntries, openArchives } from "./open-archives.ts";

const image = buildImage([[{ name: "a" }]], { architecture: "amd64" });

let temp: TempDir;
beforeEach(async () => {
  temp = await openTempDir("archives");
});
afterEach(() => temp[Symbol.asyncDispose]());

describe("a directory of archives", () => {
  test.each([
    ["busybox:latest", "busybox:latest.tar"],
    ["busybox", "busybox.tar"],
    ["busybox", "busybox:latest.tar"],
    ["busybox", "library/busybox:latest.tar"],
    ["library/busybox:latest", "busybox.tar"],
    ["docker.io/library/busybox", "busybox_latest.tar"],
    ["docker:///busybox", "library_busybox_latest.tar"],
    ["example.com:5000/team/app:1", "example.com:5000/team/app:1.tar"],
    ["example.com:5000/team/app:1", "example.com:5000_team_app:1.tar"],
    ["example.com:5000/team/app:1", "example.com_5000_team_app_1.tar"],
    ["team/app:1", "team/app:1.tar"],
  ])("has %s in %s, listed under its canonical name", async (text, file) => {
    await writeDockerArchive(join(temp.path, file), image, []);
    const resolved = await resolve(text);
    expect(resolved.source).toBe(join(temp.path, file));
    expect(resolved.name).toMatch(/^(docker\.io\/(library|team)|example\.com:5000\/team)\//);
  });

  test("takes the file's name for the truth when its only image is tagged otherwise", async () => {
    await writeDockerArchive(join(temp.path, "app:1.tar"), image, ["other:2"]);
    expect((await resolve("app:1")).name).toBe("docker.io/library/app:1");
  });

  test("does not serve another tag", async () => {
    await writeDockerArchive(join(temp.path, "app.tar"), image, []);
    await expect(resolve("app:1")).rejects.toMatchObject({ code: "archive-missing" });
  });

  test("says which files it looked for", async () => {
    const error = await resolve("team/app:1").catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      code: "archive-missing",
      message: expect.stringContaining("team/app:1.tar, team_app:1.tar"),
    });
  });

  test("does not hide what cannot be looked at, or is no file, behind a list of names", async () => {
    const file = join(temp.path, "app:1.tar");
    await symlink(file, file);
    await expect(resolve("app:1")).rejects.toMatchObject({
      code: "archive-invalid",
      message: expect.stringMatching(/app:1\.tar: it cannot be opened \(ELOOP\)/),
    });
    await rm(file);
    await mkdir(file);
    await expect(resolve("app:1")).rejects.toMatchObject({
      message: `Cannot use archive ${file}: it is no regular file`,
    });
    await writeDockerArchive(join(temp.path, "app_1.tar"), image, []);
    expect((await resolve("app:1")).source).toBe(join(temp.path, "app_1.tar"));
  });

  test("that is missing itself is an error that says so", async () => {
    const missing = createSources({ insecureRegistries: [], dockerRegistry: join(temp.path, "none") });
    await using _ = missing;
    const context = { platform: parsePlatform("linux/amd64"), emit: silent, workshop: NO_WORKSHOP };
    await expect(missing.resolve(parseReference("x"), context)).rejects.toThrow("there is no directory");
  });

  test("holds a digest to be the image ID, and refuses any other", async () => {
    const wrong = `sha256:${"0".repeat(64)}`;
    for (const digest of [image.config.digest, wrong])
      await writeDockerArchive(join(temp.path, `app@${digest}.tar`), image, []);
    expect((await resolve(`app@${image.config.digest}`)).config.descriptor.digest).toBe(image.config.digest);
    await expect(resolve(`app@${wrong}`)).rejects.toMatchObject({ code: "image-unknown" });
  });

  test.each([
    ["app:1.tar.gz", gzipSync],
    ["app:1.tgz", gzipSync],
    ["app:1.tar.zst", zstdCompressSync],
    ["docker.io/library/app_1.tar.zst", gzipSync],
  ])("has an archive that is compressed as %s, whatever with", async (file, compress) => {
    await using archives = await openArchives();
    await writeDockerArchive(join(temp.path, "plain"), image, []);
    const path = join(temp.path, file);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, compress(await readFile(join(temp.path, "plain"))));
    const source = createArchiveDirectorySource(temp.path);
    const resolved = await source.resolve(dockerReference("app:1"), archives.context());
    expect(resolved).toMatchObject({ name: "docker.io/library/app:1", source: path });
    await expectWholeLayers(resolved, image.diffIds);
  });

  test("prefers a plain archive to a compressed one of the same name", async () => {
    await writeDockerArchive(join(temp.path, "app:1.tar"), image, []);
    await writeFile(join(temp.path, "app:1.tar.gz"), "no archive");
    expect((await resolve("app:1")).source).toBe(join(temp.path, "app:1.tar"));
  });

  test("may hold OCI archives, chosen by tag where there are several images", async () => {
    const other = buildImage([[{ name: "b" }]], { architecture: "amd64" });
    const list = [image, other].map((built, at) => ({
      ...built.manifest,
      annotations: { "org.opencontainers.image.ref.name": String(at + 1) },
    }));
    for (const file of ["app:1.tar", "app:2.tar", "app:3.tar"]) {
      await writeFile(join(temp.path, file), buildLayer(layoutEntries([image, other], list)));
    }
    expect((await resolve("app:1")).manifest.descriptor.digest).toBe(image.manifest.digest);
    expect((await resolve("app:2")).manifest.descriptor.digest).toBe(other.manifest.digest);
    await expect(resolve("app:3")).rejects.toMatchObject({ code: "image-unknown" });
  });

  test("holds a digest to be that of a manifest where there is an OCI layout", async () => {
    const [{ digest }, entries] = [image.manifest, layoutEntries([image], [image.manifest])];
    await writeFile(join(temp.path, `app@${digest}.tar`), buildLayer(entries));
    await writeDockerArchive(join(temp.path, `new@${digest}.tar`), image, ["new:1"]);
    for (const name of ["app", "new"]) {
      expect((await resolve(`${name}@${digest}`)).manifest.descriptor.digest).toBe(digest);
    }
  });

  test("has an image of a digest in a file that is named by the tag", async () => {
    const { digest } = image.config;
    await writeDockerArchive(join(temp.path, "app:1.tar"), image, ["app:1"]);
    const wrong = `sha256:${"0".repeat(64)}`;
    for (const name of [`app:1@${digest}`, `docker.io/library/app:1@${digest}`, `app@${digest}`]) {
      const resolved = await resolve(name);
      expect(resolved).toMatchObject({ source: join(temp.path, "app:1.tar"), config: { descriptor: { digest } } });
    }
    for (const name of [`app:1@${wrong}`, `app@${wrong}`]) {
      await expect(resolve(name)).rejects.toMatchObject({ code: "image-unknown" });
    }
    await expect(resolve(`app:2@${digest}`)).rejects.toMatchObject({ code: "archive-missing" });
  });

  test.each(["app", "team/app", "example.com:5000/team/app"])(
    "has what the name of %s is bound to, whatever tag it has: of several files the one with the digest",
    async (name) => {
      const other = buildImage([[{ name: "b" }]], { architecture: "amd64" });
      const arm = buildImage([[{ name: "c" }]], { architecture: "arm64" });
      for (const [tag, built] of [
        ["0", arm],
        ["1", image],
        ["2", other],
      ] as const) {
        await writeDockerArchive(join(temp.path, `${name}:${tag}.tar`), built, []);
      }
      for (const [tag, built] of [
        ["1", image],
        ["2", other],
      ] as const) {
        const { manifest } = await resolve(`${name}:${tag}`);
        for (const digest of [manifest.descriptor.digest, built.config.digest]) {
          expect((await resolve(`${name}@${digest}`)).manifest).toEqual(manifest);
        }
      }
    },
  );

  test("says in few words what it looked for, without the digest", async () => {
    const error = await errorOf(resolve(`team/app:1@sha256:${"0".repeat(64)}`));
    expect(error.message).toContain("team/app:1.tar, team_app:1.tar");
    expect(error.message.length).toBeLessThan(600);
    expect(error.hint).toBe(`docker save -o ${temp.path}/team/app:1.tar team/app:1`);
  });

  test("expands a compressed archive once for a digest, however often it is looked into", async () => {
    await using archives = await openArchives();
    await writeDockerArchive(join(temp.path, "plain"), image, ["app:1"]);
    await writeFile(join(temp.path, "app:1.tar.gz"), gzipSync(await readFile(join(temp.path, "plain"))));
    const source = createArchiveDirectorySource(temp.path);
    await source.resolve(dockerReference(`app:1@${image.config.digest}`), archives.context());
    expect(archives.expanded).toHaveLength(1);
  });

  test.each(["..", "../x", "x/../../y", "a/../../../etc/passwd", "/etc/passwd"])(
    "reads nothing outside for a reference that names %s",
    async (hostile) => {
      const inner = join(temp.path, "inner");
      await mkdir(inner);
      await writeDockerArchive(join(temp.path, "x:1.tar"), image, []);
      await writeDockerArchive(join(temp.path, "y:1.tar"), image, []);
      // no reference that parses is like that: here is one that never was parsed
      const reference = {
        kind: "docker",
        host: "docker.io",
        repository: hostile,
        tag: "1",
        asTyped: `${hostile}:1`,
      } as const;
      await using archives = await openArchives();
      const error = await errorOf(createArchiveDirectorySource(inner).resolve(reference, archives.context()));
      expect(error.code).toBe("archive-missing");
    },
  );

  test.each(["a", "a/b/c:d", "x.io:1/a/b", "[::1]:5000/x", "localhost/x"])("never looks for %s outside", (text) => {
    for (const name of archiveFileNames(dockerReference(text))) expect(join("/dir", name)).toMatch(/^\/dir\/./);
  });
});

function dockerReference(text: string): DockerReference {
  const reference = parseReference(text);
  if (reference.kind !== "docker") throw new Error("not a docker reference");
  return reference;
}

async function resolve(text: string): Promise<ResolvedImage> {
  await using sources = createSources({ insecureRegistries: [], dockerRegistry: temp.path });
  return await sources.resolve(parseReference(text), {
    platform: parsePlatform("linux/amd64"),
    emit: silent,
    workshop: NO_WORKSHOP,
  });
}
