/**
 * A real Debian image in an OCI layout, built once a machine and kept: the test for everything that small fixtures do
 * not have. Needs root, mmdebstrap, umoci, setcap, setfattr, and the machine's own Debian package sources.
 *
 * The cache is ROOTWRIGHT_TEST_CACHE, else a directory of this user's in the temporary directory. An image is built
 * beside its final name and renamed when complete, so that two test runs at once, or one that was killed, do no harm.
 */
import { createHash } from "node:crypto";
import { mkdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildDebianImage, type DebianVariant } from "./debian-layers.ts";
import { missingPrograms, skopeoCopy } from "./peers.ts";

export interface DebianImage {
  readonly variant: DebianVariant;
  /** The OCI layout's directory. */
  readonly layout: string;
  readonly tag: string;
  /** Manifest digest. */
  readonly digest: string;
  readonly layers: number;
  /** Bytes of all layers as they are transported. */
  readonly compressedBytes: number;
}

interface Descriptor {
  readonly digest: string;
  readonly size: number;
}

const TAG = "debian";

/** Why the image cannot be built on this machine by this user; undefined when it can. */
export function debianImageObstacle(): string | undefined {
  if (process.getuid?.() !== 0) return "needs root";
  const missing = missingPrograms("mmdebstrap", "umoci", "setcap", "setfattr", "skopeo");
  return missing.length > 0 ? `needs ${missing.join(", ")}` : undefined;
}

/** "small": about 11 000 entries, for tests. "large": about 30 000 entries and 300 MB compressed, for benchmarks. */
export async function ensureDebianImage(options: { readonly variant: DebianVariant }): Promise<DebianImage> {
  const { variant } = options;
  const layout = join(cacheDirectory(), `debian-${variant}-${await recipeVersion()}`);
  const cached = await readImage(variant, layout);
  if (cached) return cached;
  const obstacle = debianImageObstacle();
  if (obstacle !== undefined) throw new Error(`Cannot build the Debian test image: ${obstacle}`);

  const building = `${layout}.building-${process.pid}`;
  await mkdir(building, { recursive: true });
  try {
    await buildDebianImage(variant, { work: join(building, "work"), layout: join(building, "layout"), tag: TAG });
    await writeFile(join(building, "layout", "complete"), "");
    await rm(layout, { recursive: true, force: true });
    // Another run may have been quicker: its image is as good.
    await rename(join(building, "layout"), layout).catch(async (error: unknown) => {
      if (!(await readImage(variant, layout))) throw error;
    });
  } finally {
    await rm(building, { recursive: true, force: true });
  }
  const image = await readImage(variant, layout);
  if (!image) throw new Error(`The Debian image in ${layout} is not complete after building it`);
  return image;
}

/** Copies the image to a registry, e.g. `docker://127.0.0.1:5000/debian:12`, as OCI or as Docker schema 2 manifest. */
export async function pushImage(
  image: DebianImage,
  destination: string,
  format: "oci" | "v2s2" = "oci",
): Promise<void> {
  await skopeoCopy(`oci:${image.layout}:${image.tag}`, destination, ["--format", format]);
}

/** Writes the image as `docker save` archive (layers uncompressed, as skopeo writes them) under the given full name. */
export async function saveDockerArchive(image: DebianImage, path: string, name: string): Promise<void> {
  await skopeoCopy(`oci:${image.layout}:${image.tag}`, `docker-archive:${path}:${name}`);
}

function cacheDirectory(): string {
  const configured = process.env["ROOTWRIGHT_TEST_CACHE"];
  return configured || join(tmpdir(), `rootwright-test-cache-${process.getuid?.() ?? 0}`);
}

/** Changes with the recipe and with the machine's Debian, so that neither leaves an outdated image in use. */
async function recipeVersion(): Promise<string> {
  const recipe = await readFile(join(import.meta.dirname, "debian-layers.ts"));
  const release = await readFile("/etc/os-release").catch(() => "");
  return createHash("sha256").update(recipe).update(release).digest("hex").slice(0, 12);
}

/** The image in `layout`, when it is complete: every blob there with its size. */
async function readImage(variant: DebianVariant, layout: string): Promise<DebianImage | undefined> {
  try {
    await stat(join(layout, "complete"));
    const index = await readJson<{ manifests: Descriptor[] }>(join(layout, "index.json"));
    const found = index.manifests[0];
    if (!found) return undefined;
    const manifest = await readJson<{ config: Descriptor; layers: Descriptor[] }>(blobPath(layout, found));
    for (const blob of [found, manifest.config, ...manifest.layers]) {
      if ((await stat(blobPath(layout, blob))).size !== blob.size) return undefined;
    }
    const compressedBytes = manifest.layers.reduce((sum, layer) => sum + layer.size, 0);
    return { variant, layout, tag: TAG, digest: found.digest, layers: manifest.layers.length, compressedBytes };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT" || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function blobPath(layout: string, blob: Descriptor): string {
  return join(layout, "blobs", blob.digest.replace(":", "/"));
}

async function readJson<T>(path: string): Promise<T> {
  return JSON.parse(await readFile(path, "utf8")) as T;
}
