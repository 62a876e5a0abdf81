/** A directory of archives in the place of a registry. */
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { silent } from "../../../src/events.ts";
import { parsePlatform } from "../../../src/image/platform.ts";
import { parseReference } from "../../../src/image/reference.ts";
import { archiveFileNames } from "../../../src/sources/archive-directory.ts";
import { createSources } from "../../../src/sources/index.ts";
import type { ResolvedImage } from "../../../src/sources/source.ts";
import { buildImage, writeDockerArchive } from "../../support/tar-builder.ts";
import { openTempDir, type TempDir } from "../../support/temp-dir.ts";

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

  test("that is missing itself is an error that says so", async () => {
    const missing = createSources({ insecureRegistries: [], dockerRegistry: join(temp.path, "none") });
    await using _ = missing;
    const context = { platform: parsePlatform("linux/amd64"), emit: silent };
    await expect(missing.resolve(parseReference("x"), context)).rejects.toThrow("there is no directory");
  });

  test("holds a digest to be the image ID, and refuses any other", async () => {
    const wrong = `sha256:${"0".repeat(64)}`;
    for (const digest of [image.config.digest, wrong])
      await writeDockerArchive(join(temp.path, `app@${digest}.tar`), image, []);
    expect((await resolve(`app@${image.config.digest}`)).config.descriptor.digest).toBe(image.config.digest);
    await expect(resolve(`app@${wrong}`)).rejects.toMatchObject({ code: "image-unknown" });
  });

  test.each(["a", "a/b/c:d", "x.io:1/a/b", "[::1]:5000/x", "localhost/x"])("never looks for %s outside", (text) => {
    const reference = parseReference(text);
    if (reference.kind !== "docker") throw new Error("not a docker reference");
    for (const name of archiveFileNames(reference)) expect(join("/dir", name)).toMatch(/^\/dir\/./);
  });
});

async function resolve(text: string): Promise<ResolvedImage> {
  await using sources = createSources({ insecureRegistries: [], dockerRegistry: temp.path });
  return await sources.resolve(parseReference(text), { platform: parsePlatform("linux/amd64"), emit: silent });
}
