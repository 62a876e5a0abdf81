/** The images that are measured, and how each gets into the registry. */
import { readFile } from "node:fs/promises";
import { type DebianImage, ensureDebianImage } from "../support/debian-image.ts";
import { ensureGeneratedImage } from "../support/generated-image.ts";
import { LAST_FILE } from "../support/generated-layers.ts";
import { blobPath } from "../support/image-cache.ts";
import { skopeoCopy } from "../support/peers.ts";
import { pushImage, type TestRegistry } from "../support/registry.ts";
import { buildImage } from "../support/tar-builder.ts";
import type { BenchImage, Proof } from "./contender.ts";

/** A real Debian in several layers, of two sizes; one layer of few large files; one of very many small ones. */
export const IMAGE_NAMES = ["small", "large", "big-file", "many-files"] as const;
export type ImageName = (typeof IMAGE_NAMES)[number];

export interface PublishedImage extends BenchImage {
  readonly name: ImageName;
  readonly compressedBytes: number;
}

const TAG = "bench";

export async function publishImage(name: ImageName, registry: TestRegistry): Promise<PublishedImage> {
  const { image, proof } = await ensureImage(name);
  const repository = `bench/${name}`;
  await skopeoCopy(`oci:${image.layout}:${image.tag}`, `docker://${registry.host}/${repository}:${TAG}`);
  const manifest = JSON.parse(await readFile(blobPath(image.layout, image), "utf8")) as {
    readonly layers: readonly { readonly digest: string; readonly size: number }[];
  };
  const layers = manifest.layers.map((layer) => ({
    digest: layer.digest,
    sizeBytes: layer.size,
    path: blobPath(image.layout, layer),
  }));
  const compressedBytes = layers.reduce((sum, layer) => sum + layer.sizeBytes, 0);
  return { name, registry: registry.host, repository, tag: TAG, layers, proof, compressedBytes };
}

async function ensureImage(
  name: ImageName,
): Promise<{ readonly image: Pick<DebianImage, "layout" | "tag" | "digest">; readonly proof: Proof }> {
  if (name === "big-file" || name === "many-files")
    return { image: await ensureGeneratedImage(name), proof: LAST_FILE[name] };
  return { image: await ensureDebianImage({ variant: name }), proof: { path: "usr/bin/dpkg" } };
}

/** Ten files in one layer: what a cost that does not depend on the size of an image is compared with. */
export async function publishTinyImage(registry: TestRegistry): Promise<BenchImage> {
  const names = Array.from({ length: 10 }, (_, at) => `srv/file-${at}`);
  const files = names.map((name) => ({ name, content: `${name}\n` }));
  const image = buildImage([[{ name: "./", type: "dir" }, { name: "srv/", type: "dir" }, ...files]]);
  const repository = "bench/tiny";
  await pushImage(registry, repository, image, TAG);
  return { name: "tiny", registry: registry.host, repository, tag: TAG, layers: [], proof: { path: "srv/file-9" } };
}
