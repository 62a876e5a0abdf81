/**
 * A real Debian image in an OCI layout, built once a machine and kept: the test for everything that small fixtures do
 * not have. Needs root, mmdebstrap, umoci, setcap, setfattr, and the machine's own Debian package sources.
 */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { buildDebianImage, type DebianVariant } from "./debian-layers.ts";
import { ensureCachedImage } from "./image-cache.ts";
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
  const { layout, tag, digest, layers } = await ensureCachedImage(
    `debian-${variant}-${await recipeVersion()}`,
    TAG,
    async (directories) => {
      const obstacle = debianImageObstacle();
      if (obstacle !== undefined) throw new Error(`Cannot build the Debian test image: ${obstacle}`);
      await buildDebianImage(variant, { ...directories, tag: TAG });
    },
  );
  const compressedBytes = layers.reduce((sum, layer) => sum + layer.size, 0);
  return { variant, layout, tag, digest, layers: layers.length, compressedBytes };
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

/** Changes with the recipe and with the machine's Debian, so that neither leaves an outdated image in use. */
async function recipeVersion(): Promise<string> {
  const recipe = await readFile(join(import.meta.dirname, "debian-layers.ts"));
  const release = await readFile("/etc/os-release").catch(() => "");
  return createHash("sha256").update(recipe).update(release).digest("hex").slice(0, 12);
}
