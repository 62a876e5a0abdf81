/** `import`, as somebody uses it who was given a file. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { layoutEntries, tarInto } from "../src/sources/open-archives.ts";
import { buildAci, writeAci } from "../support/aci-builder.ts";
import { type CliOptions, rootwright, rootwrightJson } from "../support/cli.ts";
import { missingPrograms, run } from "../support/peers.ts";
import { type BuiltImage, buildImage, buildLayer, type TarEntry, writeDockerArchive } from "../support/tar-builder.ts";
import { openTempDir, type TempDir } from "../support/temp-dir.ts";

const [ONE, TWO, THREE] = ["1", "2", "3"].map((content) => buildImage([[{ name: "version", content }]])) as [
  BuiltImage,
  BuiltImage,
  BuiltImage,
];
const FOREIGN = buildImage([[{ name: "version", content: "s390x" }]], { architecture: "s390x" });
const REF_NAME = "org.opencontainers.image.ref.name";

let temp: TempDir;
let store: string;
let file: string;
beforeEach(async () => {
  temp = await openTempDir("import");
  store = join(temp.path, "store");
  file = join(temp.path, "archive.tar");
});
afterEach(() => temp[Symbol.asyncDispose]());

function cli(args: readonly string[], options: Partial<CliOptions> = {}): ReturnType<typeof rootwright> {
  return rootwright(args, { root: store, ...options });
}

async function inStore(): Promise<readonly string[]> {
  return (await rootwrightJson<{ name: string }[]>(["images"], { root: store })).map(({ name }) => name).sort();
}

function listed(image: BuiltImage, name?: string, platform?: { os: string; architecture: string }): unknown {
  return { ...image.manifest, ...(name && { annotations: { [REF_NAME]: name } }), ...(platform && { platform }) };
}

/** What `docker save` of several images is, with whatever else somebody made of it. */
function savedArchive(images: readonly (readonly [BuiltImage, readonly string[]])[]): Buffer {
  const blobs = new Map(images.flatMap(([{ blobs: own }]) => [...own]));
  const name = (digest: string): string => `blobs/${digest.replace(":", "/")}`;
  const list = images.map(([{ config, layers }, tags]) => ({
    Config: name(config.digest),
    RepoTags: tags,
    Layers: layers.map(({ digest }) => name(digest)),
  }));
  const entries = [...blobs].map(([digest, content]): TarEntry => ({ name: name(digest), content }));
  return buildLayer([...entries, { name: "manifest.json", content: JSON.stringify(list) }]);
}

describe("an archive of several images", () => {
  test("with mere tags for names is taken in one by one, as the hint says", async () => {
    await writeFile(file, buildLayer(layoutEntries([ONE, TWO], [listed(ONE, "v1"), listed(TWO, "v2")])));
    const { stderr } = await cli(["import", file], { exits: [2] });
    expect(stderr).toContain(`hint: import one image at a time: rootwright import oci-archive:${file}:@0 --name`);
    const both = await cli(["import", file, "--name", "app"], { exits: [2] });
    expect(both.stderr).toContain(`rootwright import oci-archive:${file}:@0 --name`);
    expect(both.stderr).not.toContain("leave out --name");
    await cli(["import", `oci-archive:${file}:@0`, "--name", "app:1"]);
    await cli(["import", `oci-archive:${file}:v2@${TWO.manifest.digest}`, "--name", "app:2"]);
    const images = await rootwrightJson<{ name: string; digest: string }[]>(["images"], { root: store });
    expect(new Map(images.map(({ name, digest }) => [name, digest]))).toEqual(
      new Map([
        ["docker.io/library/app:1", ONE.manifest.digest],
        ["docker.io/library/app:2", TWO.manifest.digest],
      ]),
    );
  });

  test("of which one has no name is not begun, and the others can be had by theirs", async () => {
    await writeFile(
      file,
      savedArchive([
        [ONE, ["app:1"]],
        [TWO, []],
      ]),
    );
    const { stderr } = await cli(["import", file], { exits: [2] });
    expect(stderr).toContain(`docker-archive:${file}:@1`);
    expect(await inStore()).toEqual([]);
    await cli(["import", `docker-archive:${file}:app:1`]);
    await cli(["import", "--name", "two:2", `docker-archive:${file}:@1`]);
    expect(await inStore()).toEqual(["docker.io/library/app:1", "docker.io/library/two:2"]);
  });

  test("from standard input, without names, says how to give them", async () => {
    const archive = savedArchive([
      [ONE, []],
      [TWO, []],
    ]);
    const { stderr } = await cli(["import", "-"], { exits: [2], input: archive });
    expect(stderr).toMatch(/hint: write it to a file, FILE, and import one image at a time/);
  });

  test("with one that does not resolve is not begun", async () => {
    const broken = { ...TWO, config: { ...TWO.config, digest: ONE.layers[0]?.digest ?? "" } };
    await writeFile(
      file,
      savedArchive([
        [ONE, ["one:1"]],
        [broken, ["two:2"]],
      ]),
    );
    expect((await cli(["import", file], { exits: [6] })).stdout).toBe("");
    expect(await inStore()).toEqual([]);
  });

  test("with one that does not unpack says what it took in, and what it did not", async () => {
    const liar = buildImage([{ tar: [{ name: "x" }], diffId: `sha256:${"0".repeat(64)}` }]);
    await writeFile(
      file,
      savedArchive([
        [ONE, ["one:1"]],
        [liar, ["two:2"]],
        [THREE, ["three:3"]],
      ]),
    );
    const { stdout, stderr } = await cli(["import", file], { exits: [10] });
    expect(stdout).toMatch(/^docker\.io\/library\/one:1@.*\ndocker\.io\/library\/three:3@.*\n$/);
    expect(stderr).toContain("Cannot import 1 of 3 images");
    expect(await inStore()).toEqual(["docker.io/library/one:1", "docker.io/library/three:3"]);
    const json = await cli(["--json", "import", file], { exits: [10] });
    expect(JSON.parse(json.stdout)).toHaveLength(2);
    expect(JSON.parse(json.stderr)).toMatchObject({
      error: { code: "partial-failure", details: { failed: [{ item: "docker.io/library/two:2" }] } },
    });
  });

  test("has no more names than a thousand", async () => {
    await writeFile(file, savedArchive([[ONE, Array.from({ length: 1001 }, (_, at) => `app:${at}`)]]));
    const { stderr } = await cli(["import", file], { exits: [6] });
    expect(stderr).toContain("1001 names, more than 1000");
    expect(await inStore()).toEqual([]);
  });
});

describe("an image that is listed once for each platform", () => {
  const [os, architecture] = ["linux", process.arch === "x64" ? "amd64" : process.arch];

  test("is the one for the platform, with --name as well, though the others are not there", async () => {
    for (const name of ["example.com/app:1", "1"]) {
      const list = [listed(FOREIGN, name, { os, architecture: "s390x" }), listed(ONE, name, { os, architecture })];
      await writeFile(file, buildLayer(layoutEntries([ONE], [...list, list[0]])));
      const given = name === "1" ? ["--name", "app:2"] : [];
      const { stdout, stderr } = await cli(["import", ...given, file, "--explain"]);
      expect(stdout).toContain(ONE.manifest.digest);
      expect(stderr).toContain("is passed over: it is not for linux/");
    }
    expect(await inStore()).toEqual(["docker.io/library/app:2", "example.com/app:1"]);
    const none = await cli(["import", file, "--platform", "linux/riscv64"], { exits: [3] });
    expect(none.stderr).toContain("linux/s390x");
  });

  test("is so where only its configuration says for which", async () => {
    await writeFile(
      file,
      savedArchive([
        [ONE, ["app:1"]],
        [FOREIGN, ["app:1", "other:1"]],
      ]),
    );
    const { stdout } = await cli(["import", file]);
    expect(stdout).toMatch(/^docker\.io\/library\/app:1@.*\n$/);
    await writeFile(file, savedArchive([[FOREIGN, ["app:1"]]]));
    expect((await cli(["import", file], { exits: [3] })).stderr).toContain("linux/s390x");
  });
});

describe("the command line", () => {
  test("takes --name before the archive, and several times", async () => {
    await writeDockerArchive(file, ONE, []);
    await cli(["import", "--name", "a:1", "--name", "b:2", file]);
    expect(await inStore()).toEqual(["docker.io/library/a:1", "docker.io/library/b:2"]);
    expect((await cli(["import", file, "--name"], { exits: [2] })).stderr).toContain("name");
  });

  test("takes no type of image that the operator does not take", async () => {
    await writeDockerArchive(file, ONE, ["app:1"]);
    const aci = join(temp.path, "app.aci");
    await writeAci(aci, buildAci({ name: "example.com/app", labels: { version: "1" } }));
    const docker = await cli(["import", file, "--image_providers", "appc"], { exits: [4] });
    expect(docker.stderr).toContain("hint: add docker to image_providers");
    for (const named of [[], ["--name", "app:1"]]) {
      const appc = await cli(["import", aci, ...named, "--image_providers", "docker"], { exits: [4] });
      expect(appc.stderr).toContain("hint: add appc to image_providers");
    }
    expect(await inStore()).toEqual([]);
  });

  test.skipIf(missingPrograms("sh", "mkfifo").length > 0)(
    "says what standard input is, and how a pipe is read (needs sh, mkfifo)",
    async () => {
      const main = join(import.meta.dirname, "../../src/main.ts");
      const script = `exec "${process.execPath}" "${main}" --root "${store}" import - < "${temp.path}"`;
      const directory = await run("sh", ["-c", script], { exits: [2] });
      expect(directory.stderr).toContain("it is a directory");
      const short = await cli(["import", "-"], { input: "hello", exits: [6] });
      expect(short.stderr).toMatch(/the archive on the standard input: it is no tar file/);
      const fifo = join(temp.path, "fifo");
      await run("mkfifo", [fifo]);
      expect((await cli(["import", fifo], { exits: [6] })).stderr).toContain(`import - < ${fifo}`);
    },
  );

  test("calls the standard input by its name", async () => {
    const { stderr } = await cli(["import", "-", "--explain"], { input: savedArchive([[ONE, ["app:1"]]]) });
    expect(stderr).toContain("looking up docker.io/library/app:1 in standard input");
    const [image] = await rootwrightJson<{ source: string }[]>(["images"], { root: store });
    expect(image?.source).toBe("standard input");
  });

  test("reads a layout in a directory whose path has colons", async () => {
    const directory = join(temp.path, "a:b", "layout");
    await mkdir(directory, { recursive: true });
    tarInto(directory, buildLayer(layoutEntries([ONE, TWO], [listed(ONE, "v1"), listed(TWO, "v2")])));
    const { stderr } = await cli(["import", directory], { exits: [2] });
    expect(stderr).toContain(`rootwright import oci:${directory}/:@0 --name`);
    await cli(["import", `oci:${directory}/:v1`, "--name", "app"]);
    expect(await inStore()).toEqual(["docker.io/library/app:latest"]);
  });
});
