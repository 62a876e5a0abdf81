/** ACIs in a directory: discovery, verification, and what a ResolvedImage says. */
import { appendFile, mkdir, readdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parseImageId } from "../../../../src/image/appc-reference.ts";
import { isAci } from "../../../../src/sources/appc/load-aci.ts";
import { digestOf } from "../../../../store/index.ts";
import { aciManifest, type BuiltAci, buildAci, writeAci } from "../../../support/aci-builder.ts";
import { missingPrograms } from "../../../support/peers.ts";
import { openTempDir } from "../../../support/temp-dir.ts";
import { errorOf } from "../resolve-with.ts";
import { type OpenAppc, openAppc } from "./open-appc.ts";

const LABELS = { version: "1.0.0", os: "linux", arch: "amd64" };
const app = buildAci({ name: "example.com/reduce-worker", labels: LABELS });

interface Directory extends AsyncDisposable, OpenAppc {
  readonly path: string;
}

/** `files`: path → ACI. The prefix is `file://DIRECTORY/`. */
async function openDirectory(
  files: Readonly<Record<string, BuiltAci>>,
  prefix: (path: string) => string = (path) => `file://${path}/`,
): Promise<Directory> {
  await using stack = new AsyncDisposableStack();
  const { path } = stack.use(await openTempDir("appc"));
  for (const [name, aci] of Object.entries(files)) await writeAci(join(path, name), aci);
  const appc = stack.use(await openAppc({ prefix: prefix(path) }));
  const opened = stack.move();
  return { ...appc, path, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}

const FULL = "example.com/reduce-worker-1.0.0-linux-amd64.aci";
const SHORT = "example.com/reduce-worker-1.0.0.aci";

describe("an ACI in a directory", () => {
  test("becomes an image that says all about it", async () => {
    const exec = { exec: ["/hello"], user: "0", group: "0", environment: [{ name: "A", value: "b" }] };
    const aci = buildAci({ name: "example.com/reduce-worker", labels: LABELS, manifest: { app: exec } });
    await using directory = await openDirectory({ [FULL]: aci });
    const resolved = await directory.resolve("appc:example.com/reduce-worker:1.0.0");
    const imageId = parseImageId(aci.imageId);
    expect(resolved).toMatchObject({
      name: "appc:example.com/reduce-worker:1.0.0,arch=amd64,os=linux",
      source: join(directory.path, FULL),
      imageId,
      platform: { os: "linux", architecture: "amd64" },
      imageConfig: {
        os: "linux",
        architecture: "amd64",
        config: { Entrypoint: ["/hello"], Env: ["A=b"], User: "0:0" },
      },
      attachments: [{ descriptor: { digest: digestOf(aci.manifest) } }],
    });
    expect(Buffer.from(resolved.attachments?.[0]?.bytes ?? [])).toEqual(aci.manifest);
    expect(resolved.layers).toHaveLength(1);
    const [layer] = resolved.layers;
    expect(layer).toMatchObject({
      blob: { mediaType: "application/vnd.appc.aci", digest: digestOf(aci.bytes), size: aci.bytes.length },
      diffId: imageId,
      keepBlob: false,
      bytes: { file: { path: join(directory.path, FULL), offset: 0, sizeBytes: aci.bytes.length } },
      part: { directory: "rootfs", whitelists: [] },
    });
    expect(resolved.imageConfig.rootfs.diff_ids).toEqual([layer?.part?.key]);
    expect(resolved.config.descriptor.digest).toBe(digestOf(resolved.config.bytes));
    expect(JSON.parse(Buffer.from(resolved.manifest.bytes).toString())).toMatchObject({
      config: resolved.config.descriptor,
      layers: [layer?.blob],
    });
  });

  test("is read in place, not copied", async () => {
    await using directory = await openDirectory({ [FULL]: app });
    await directory.resolve("appc:example.com/reduce-worker:1.0.0");
    expect(directory.keeping.kept).toEqual([]);
    expect(directory.keeping.scanned).toEqual([join(directory.path, FULL)]);
  });

  test("gives the same manifest each time", async () => {
    await using directory = await openDirectory({ [FULL]: app });
    const first = await directory.resolve("appc:example.com/reduce-worker:1.0.0");
    const second = await directory.resolve("appc:example.com/reduce-worker:1.0.0,os=linux");
    expect(second.manifest.descriptor).toEqual(first.manifest.descriptor);
  });

  test("is found under the name that the first documents gave it, without os and arch", async () => {
    await using directory = await openDirectory({ [SHORT]: app });
    expect((await directory.resolve("appc:example.com/reduce-worker:1.0.0")).source).toBe(join(directory.path, SHORT));
    expect(directory.decisions("discovery")).toEqual([
      expect.stringContaining(`is not at ${join(directory.path, FULL)}`),
      expect.stringContaining(`is at ${join(directory.path, SHORT)}`),
    ]);
  });

  test("is looked for as latest where no version is asked for, whatever its version is", async () => {
    await using directory = await openDirectory({ "example.com/reduce-worker-latest-linux-amd64.aci": app });
    expect((await directory.resolve("appc:example.com/reduce-worker")).name).toContain(":1.0.0,");
    const error = await errorOf(directory.resolve("appc:example.com/reduce-worker:latest"));
    expect(error).toMatchObject({ code: "aci-invalid", hint: expect.stringContaining("leave the version out") });
  });

  test("is looked for by the os and arch that are asked for, not this machine's", async () => {
    const labels = { ...LABELS, arch: "aarch64" };
    const foreign = buildAci({ name: "example.com/reduce-worker", labels });
    await using directory = await openDirectory({ "example.com/reduce-worker-1.0.0-linux-aarch64.aci": foreign });
    expect((await directory.resolve("appc:example.com/reduce-worker:1.0.0,arch=aarch64")).platform).toEqual({
      os: "linux",
      architecture: "arm64",
    });
    const text = "appc:example.com/reduce-worker:1.0.0";
    expect((await directory.resolve(text, "linux/arm64")).platform.architecture).toBe("arm64");
    expect((await errorOf(directory.resolve(text))).code).toBe("image-unknown");
  });

  test("without os and arch serves every platform", async () => {
    const anywhere = buildAci({ name: "example.com/reduce-worker", labels: { version: "1.0.0" } });
    await using directory = await openDirectory({ [SHORT]: anywhere });
    const { platform, name } = await directory.resolve("appc:example.com/reduce-worker:1.0.0", "linux/s390x");
    expect(platform).toEqual({ os: "linux", architecture: "s390x" });
    expect(name).toBe("appc:example.com/reduce-worker:1.0.0");
  });

  test("for another platform is refused", async () => {
    await using directory = await openDirectory({ [SHORT]: app });
    const error = await errorOf(directory.resolve("appc:example.com/reduce-worker:1.0.0", "linux/arm64"));
    expect(error.code).toBe("platform-unknown");
  });

  test("that is not there is an error that lists where it was looked for", async () => {
    await using directory = await openDirectory({});
    const error = await errorOf(directory.resolve("appc:example.com/reduce-worker:1.0.0"));
    expect(error.code).toBe("image-unknown");
    expect(error.details["tried"]).toEqual([join(directory.path, FULL), join(directory.path, SHORT)]);
  });

  test.each([
    ["a path", (path: string) => `${path}/`],
    ["a path without the last slash", (path: string) => path],
    ["a file URL without it", (path: string) => `file://${path}`],
  ])("is found below %s", async (_, prefix) => {
    await using directory = await openDirectory({ [FULL]: app }, prefix);
    await directory.resolve("appc:example.com/reduce-worker:1.0.0");
  });

  test("is found under a prefix that is not a directory but the beginning of a name", async () => {
    await using directory = await openDirectory({ [`mirror-${FULL}`]: app }, (path) => `${path}/mirror-`);
    await directory.resolve("appc:example.com/reduce-worker:1.0.0");
  });

  test("is not a directory that is named like one", async () => {
    await using directory = await openDirectory({});
    await mkdir(join(directory.path, FULL), { recursive: true });
    expect((await errorOf(directory.resolve("appc:example.com/reduce-worker:1.0.0"))).code).toBe("image-unknown");
  });

  test.each(["/", "../../outside", "a/b", "x\u001b[2J", "*"])(
    "is not looked for by the version %j, which no file name can have",
    async (version) => {
      await using directory = await openDirectory({ [FULL]: app });
      const error = await errorOf(directory.resolve(`appc:example.com/app:${encodeURIComponent(version)}`));
      expect(error.code).toBe("reference-invalid");
      expect(await readdir(directory.path)).toEqual(["example.com"]);
    },
  );
});

describe("an ACI is what was asked for, or refused:", () => {
  const other = `sha512-${"0".repeat(128)}`;

  test.each([
    ["its name", { name: "example.com/other", labels: LABELS }, "", "aci-invalid"],
    ["its version", { name: "example.com/reduce-worker", labels: { ...LABELS, version: "2" } }, "", "aci-invalid"],
    ["a label that is not there", { name: "example.com/reduce-worker", labels: LABELS }, ",env=canary", "aci-invalid"],
    ["its image ID", { name: "example.com/reduce-worker", labels: LABELS }, `@${other}`, "blob-corrupt"],
  ])("%s", async (_, input, more, code) => {
    await using directory = await openDirectory({ [FULL]: buildAci(input) });
    const error = await errorOf(directory.resolve(`appc:example.com/reduce-worker:1.0.0${more}`));
    expect(error.code).toBe(code);
    expect(error.message).toContain(FULL);
  });

  test("an image ID that is its own", async () => {
    await using directory = await openDirectory({ [FULL]: app });
    await directory.resolve(`appc:example.com/reduce-worker:1.0.0@${app.imageId}`);
  });

  test("an image ID without a name, which says nothing of where it is", async () => {
    await using directory = await openDirectory({ [FULL]: app });
    const error = await errorOf(directory.resolve(`appc:${app.imageId}`));
    expect(error).toMatchObject({ code: "image-unknown", hint: expect.stringContaining("preseed") });
  });
});

describe("a file that is no ACI is refused:", () => {
  const manifest = JSON.stringify(aciManifest({ name: "example.com/reduce-worker", labels: LABELS }));
  const rootfs = { name: "rootfs/", type: "dir" };

  test.each([
    ["a third name at the top", [{ name: "manifest", content: manifest }, rootfs, { name: "extra" }], "extra"],
    ["no rootfs", [{ name: "manifest", content: manifest }], "rootfs"],
    ["no manifest", [rootfs], "manifest"],
    ["nothing", [], "nothing"],
    [
      "a manifest that is a link",
      [{ name: "manifest", type: "symlink", linkname: "/etc/passwd" }, rootfs],
      "regular file",
    ],
    ["a manifest that is no JSON", [{ name: "manifest", content: "<html>" }, rootfs], "JSON"],
  ])("%s", async (_, entries, why) => {
    await using directory = await openDirectory({ [FULL]: buildAci({ entries }) });
    const error = await errorOf(directory.resolve("appc:example.com/reduce-worker:1.0.0"));
    expect(error.code).toBe("aci-invalid");
    expect(error.message).toContain(why);
  });

  test("bytes of another kind", async () => {
    await using directory = await openDirectory({ [FULL]: { ...app, bytes: Buffer.from("<html>".repeat(200)) } });
    expect((await errorOf(directory.resolve("appc:example.com/reduce-worker:1.0.0"))).code).toBe("aci-invalid");
  });

  test("isAci knows the layout", () => {
    expect(isAci(["rootfs", "manifest"])).toBe(true);
    expect(isAci(["manifest.json", "blobs"])).toBe(false);
    expect(isAci(["manifest", "rootfs", "x"])).toBe(false);
  });
});

describe("an ACI may be compressed", () => {
  test.each(["none", "gzip"] as const)("by %s", async (compression) => {
    const aci = buildAci({ name: "example.com/reduce-worker", labels: LABELS, compression });
    await using directory = await openDirectory({ [FULL]: aci });
    const { layers, imageId } = await directory.resolve("appc:example.com/reduce-worker:1.0.0");
    expect(imageId).toBe(parseImageId(aci.imageId));
    expect(layers[0]?.blob.digest).toBe(compression === "none" ? imageId : digestOf(aci.bytes));
  });

  const missing = missingPrograms("xz", "bzip2");
  test.skipIf(missing.length > 0).each(["xz", "bzip2"] as const)(
    `by %s${missing.length > 0 ? ` (not installed: ${missing.join(", ")})` : ""}`,
    async (compression) => {
      const aci = buildAci({ name: "example.com/reduce-worker", labels: LABELS, compression });
      await using directory = await openDirectory({ [FULL]: aci });
      const { layers, imageId } = await directory.resolve("appc:example.com/reduce-worker:1.0.0");
      expect(imageId).toBe(parseImageId(aci.imageId));
      expect(layers[0]?.blob.digest).toBe(digestOf(aci.bytes));
    },
  );
});

describe("importAci", () => {
  test("takes a file of any name for what its manifest says it is", async () => {
    await using directory = await openDirectory({ "anything.bin": app });
    const resolved = await directory.source.importAci(join(directory.path, "anything.bin"), directory.context);
    expect(resolved).toMatchObject({ name: "appc:example.com/reduce-worker:1.0.0,arch=amd64,os=linux" });
    expect(resolved.layers[0]?.keepBlob).toBe(false);
  });

  test("finds dependencies by discovery", async () => {
    const dependent = buildAci({ name: "a", manifest: { dependencies: [{ imageName: "example.com/reduce-worker" }] } });
    await using directory = await openDirectory({
      "a.aci": dependent,
      "example.com/reduce-worker-latest-linux-amd64.aci": app,
    });
    const { layers } = await directory.source.importAci(join(directory.path, "a.aci"), directory.context);
    expect(layers.map(({ diffId }) => diffId)).toEqual([parseImageId(app.imageId), parseImageId(dependent.imageId)]);
  });

  test("refuses what is not there", async () => {
    await using directory = await openDirectory({});
    const error = await errorOf(directory.source.importAci(join(directory.path, "none.aci"), directory.context));
    expect(error.code).toBe("archive-missing");
  });

  test("refuses an ACI that breaks off", async () => {
    await using directory = await openDirectory({});
    const path = join(directory.path, "half.aci");
    await writeFile(path, app.tar.subarray(0, 700));
    await appendFile(path, "x");
    expect((await errorOf(directory.source.importAci(path, directory.context))).code).toBe("aci-invalid");
  });

  test("follows a link of the operator's to the file that is meant", async () => {
    await using directory = await openDirectory({ "real.aci": app });
    await symlink("real.aci", join(directory.path, "link.aci"));
    await directory.source.importAci(join(directory.path, "link.aci"), directory.context);
  });
});

test("estimate tells the size of a local ACI, and fetches nothing", async () => {
  await using directory = await openDirectory({ [SHORT]: app });
  expect(await directory.estimate("appc:example.com/reduce-worker:1.0.0")).toEqual([
    { location: join(directory.path, SHORT), sizeBytes: app.bytes.length, local: true },
  ]);
  expect(directory.keeping.scanned).toEqual([]);
  expect(directory.decisions("discovery").at(-1)).toContain("depends on");
});
