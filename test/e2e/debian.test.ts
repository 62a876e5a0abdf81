/**
 * A real Debian image through every stratum: from a real registry (OCI and Docker schema 2) and from an archive, onto
 * every backend, compared entry by entry with what umoci unpacks, and with programs run inside.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { chmod, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { mountsBelow as nativeMountsBelow } from "../../native/index.ts";
import { type ProvisionedRootfs, rootwright, rootwrightJson } from "../support/cli.ts";
import { describeTree, diffTrees, type TreeFacts } from "../support/compare-trees.ts";
import {
  type DebianImage,
  debianImageObstacle,
  ensureDebianImage,
  pushImage,
  saveDockerArchive,
} from "../support/debian-image.ts";
import { missingPrograms, run, skopeoCopy, unpackWithUmoci } from "../support/peers.ts";
import { registryObstacle, startRegistry, type TestRegistry } from "../support/registry.ts";
import { buildImage, writeOciLayout } from "../support/tar-builder.ts";
import { openTempDir, type TempDir } from "../support/temp-dir.ts";

/** An OCI layout of an image that has the first layer of `image`, and no other. */
async function firstLayerOnly(image: DebianImage, layout: string): Promise<string> {
  const blob = (digest: string): Buffer => readFileSync(join(image.layout, "blobs", digest.replace(":", "/")));
  const manifest = JSON.parse(blob(image.digest).toString()) as {
    config: { digest: string };
    layers: { digest: string; size: number; mediaType: string }[];
  };
  const config = JSON.parse(blob(manifest.config.digest).toString()) as { rootfs: { diff_ids: string[] } };
  const [layer] = manifest.layers;
  const [diffId] = config.rootfs.diff_ids;
  if (layer === undefined || diffId === undefined) throw new Error("the Debian image has no layers");
  const parts = { tar: gunzipSync(blob(layer.digest)), blob: blob(layer.digest), diffId };
  await writeOciLayout(layout, buildImage([parts], { config: {} }), "one");
  return layout;
}

const missing = missingPrograms("runc");
const obstacle =
  debianImageObstacle() ?? registryObstacle() ?? (missing.length > 0 ? `needs ${missing.join(", ")}` : undefined);

describe.skipIf(obstacle !== undefined)(
  `a real Debian image${obstacle === undefined ? "" : ` (skipped: ${obstacle})`}`,
  () => {
    let image: DebianImage;
    let registry: TestRegistry;
    let temp: TempDir;
    let expected: TreeFacts;
    let names: Readonly<Record<"oci" | "v2s2" | "archive", string>>;

    beforeAll(async () => {
      temp = await openTempDir("e2e");
      [image, registry] = await Promise.all([ensureDebianImage({ variant: "small" }), startRegistry()]);
      names = {
        oci: `${registry.host}/debian:oci`,
        v2s2: `${registry.host}/debian:v2s2`,
        archive: `docker-archive:${temp.path}/debian.tar`,
      };
      await pushImage(image, `docker://${names.oci}`, "oci");
      await pushImage(image, `docker://${names.v2s2}`, "v2s2");
      await saveDockerArchive(image, `${temp.path}/debian.tar`, "debian:archive");
      expected = await describeTree(await unpackWithUmoci(image.layout, image.tag, join(temp.path, "bundle")));
    });

    afterAll(async () => {
      await registry?.[Symbol.asyncDispose]();
      await temp?.[Symbol.asyncDispose]();
    });

    const provision = async (
      store: string,
      name: string,
      id: string,
      more: readonly string[] = [],
    ): Promise<ProvisionedRootfs> =>
      rootwrightJson<ProvisionedRootfs>(["provision", name, "--id", id, ...more], { root: store });

    test("is worth the name: many entries, at least three layers", () => {
      expect(expected.size).toBeGreaterThan(10_000);
      expect(image.layers).toBeGreaterThanOrEqual(3);
    });

    describe.each(["oci", "v2s2", "archive"] as const)("from %s", (source) => {
      const store = (): string => join(temp.path, `store-${source}`);

      test("is pulled, and shows the same tree as umoci's on every backend", async () => {
        const { stdout } = await rootwright(["pull", names[source]], { root: store() });
        expect(stdout).toMatch(/@sha256:[0-9a-f]{64}\n$/);
        const variants = [
          ["overlay", "writable", []],
          ["overlay", "read-only", ["--read-only"]],
          ["copy", "writable", []],
        ] as const;
        for (const [backend, access, more] of variants) {
          const id = `${backend}-${access}`;
          const made = await provision(store(), names[source], id, ["--backend", backend, ...more]);
          expect(made.backend).toBe(backend);
          expect(diffTrees(expected, await describeTree(made.rootfs)), id).toEqual([]);
          await rootwright(["destroy", id], { root: store() });
        }
        expect(nativeMountsBelow(store())).toEqual([]);
      });
    });

    test("has one digest, whether it comes as OCI or was pushed again, and its layers are shared by all forms", async () => {
      const store = join(temp.path, "store-shared");
      await rootwright(["pull", names.oci, names.v2s2, names.archive], { root: store });
      const images = await rootwrightJson<{ digest: string; layers: { diffId: string }[] }[]>(["images"], {
        root: store,
      });
      expect(images).toHaveLength(3);
      expect(images.map(({ digest }) => digest)).toContain(image.digest);
      const doctor = await rootwrightJson<{ usage: { layers: number } }>(["doctor"], { root: store });
      expect(doctor.usage.layers).toBe(image.layers + 1);
    });

    test("is refused by bind, which names what would work", async () => {
      const store = join(temp.path, "store-oci");
      const { code, stderr } = await rootwright(["provision", names.oci, "--id", "b", "--backend", "bind"], {
        root: store,
        exits: [8],
      });
      expect(code).toBe(8);
      expect(stderr).toMatch(/bind shows exactly one directory, and the image has \d+ layers/);
      expect(stderr).toMatch(/--backend overlay/);
      expect(await rootwrightJson(["ps"], { root: store })).toEqual([]);
    });

    test("shows its first layer alone the same by bind as umoci does, and read-only", async () => {
      const layout = await firstLayerOnly(image, join(temp.path, "one-layer"));
      const archive = join(temp.path, "one-layer.tar");
      await skopeoCopy(`oci:${layout}:one`, `docker-archive:${archive}:debian:one`);
      const alone = await describeTree(await unpackWithUmoci(layout, "one", join(temp.path, "bundle-one")));
      const store = join(temp.path, "store-one");
      const made = await provision(store, `docker-archive:${archive}`, "bound", ["--backend", "bind"]);
      expect(diffTrees(alone, await describeTree(made.rootfs))).toEqual([]);
      expect(() => writeFileSync(join(made.rootfs, "new"), "x")).toThrow(/EROFS/);
      await rootwright(["destroy", "bound"], { root: store });
    });

    test.each(["overlay", "copy"])("runs perl inside, by chroot and by runc, on %s", async (backend) => {
      const store = join(temp.path, "store-oci");
      const id = `run-${backend}`;
      const { rootfs } = await provision(store, names.oci, id, ["--backend", backend]);
      try {
        const script = 'print join(",", $^O, -u "/usr/bin/passwd" ? "suid" : "plain", scalar(getpwuid(0))), "\\n"';
        const inside = await run("chroot", [rootfs, "/usr/bin/perl", "-e", script]);
        expect(inside.stdout).toMatch(/^linux,(suid|plain),root\n$/);
        const bundle = join(temp.path, `bundle-${backend}`);
        await mkdir(bundle);
        await run("runc", ["spec", "--bundle", bundle]);
        const spec = JSON.parse(readFileSync(join(bundle, "config.json"), "utf8")) as Record<
          string,
          Record<string, unknown>
        >;
        Object.assign(spec["process"] as object, { terminal: false, args: ["/usr/bin/perl", "-e", script] });
        Object.assign(spec["root"] as object, { path: rootfs, readonly: false });
        writeFileSync(join(bundle, "config.json"), JSON.stringify(spec));
        const contained = await run("runc", [
          "--root",
          join(temp.path, "runc"),
          "run",
          "--bundle",
          bundle,
          `rootwright-test-${process.pid}-${backend}`,
        ]);
        expect(contained.stdout).toBe(inside.stdout);
      } finally {
        await rootwright(["destroy", id], { root: store });
      }
    });

    test("keeps two root filesystems apart, and the cache from both", async () => {
      const store = join(temp.path, "store-oci");
      const [one, two] = [await provision(store, names.oci, "one"), await provision(store, names.oci, "two")];
      writeFileSync(join(one.rootfs, "etc/hostname"), "changed");
      writeFileSync(join(one.rootfs, "new-file"), "x");
      expect(diffTrees(expected, await describeTree(two.rootfs))).toEqual([]);
      await rootwright(["destroy", "one", "two"], { root: store });
      const again = await provision(store, names.oci, "again");
      expect(diffTrees(expected, await describeTree(again.rootfs))).toEqual([]);
      await rootwright(["destroy", "again"], { root: store });
    });

    test("leaves an empty store when it is removed", async () => {
      const store = join(temp.path, "store-oci");
      await rootwright(["rm", names.oci], { root: store });
      const { usage } = await rootwrightJson<{ usage: Record<string, number> }>(["doctor"], { root: store });
      expect(usage).toMatchObject({ blobs: 0, layers: 0, images: 0 });
    });

    test("is copied for an ordinary user, with contents, names and links as they are", async () => {
      const home = join(temp.path, "home");
      await mkdir(home);
      await chmod(temp.path, 0o711);
      await run("chown", ["65534:65534", home]);
      const options = { root: join(home, "store"), uid: 65534, gid: 65534, env: { HOME: home } };
      const { stdout } = await rootwright(["provision", names.oci, "--id", "mine"], options);
      const found = await describeTree(stdout.trim());
      const differences = diffTrees(expected, found, {
        // an ordinary user owns what he makes, has no devices and no privileged attributes, and can read his own files
        ignore: ["uid", "gid", "mode", "xattrs"],
        ignoreWhere: (_path, _fact, entry) => entry.type === "char" || entry.type === "block",
      });
      expect(differences).toEqual([]);
      await rootwright(["destroy", "mine"], options);
    });
  },
);
