/** Images of one layer with the extremes of size and number (generated-layers.ts), in OCI layouts, built once a machine. */
import { createHash, type Hash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, readFile, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { type GeneratedShape, type GeneratedVariant, shapeOf, tarOf } from "./generated-layers.ts";
import { type BuildDirectories, blobPath, type CachedImage, ensureCachedImage } from "./image-cache.ts";
import { buildImage, MEDIA_TYPES, writeOciLayout } from "./tar-builder.ts";

export async function ensureGeneratedImage(variant: GeneratedVariant): Promise<CachedImage> {
  const recipe = await readFile(join(import.meta.dirname, "generated-layers.ts"));
  const version = createHash("sha256").update(recipe).digest("hex").slice(0, 12);
  return await ensureCachedImage(`${variant}-${version}`, variant, (directories) =>
    buildGeneratedImage(shapeOf(variant), variant, directories),
  );
}

/** Writes a layout with one image, `tag`, of one gzip layer. A layer is too large for memory: it goes from stream to stream. */
export async function buildGeneratedImage(
  shape: GeneratedShape,
  tag: string,
  { layout, work }: BuildDirectories,
): Promise<void> {
  await mkdir(work, { recursive: true });
  const file = join(work, "layer.tar.gz");
  const content = createHash("sha256");
  await pipeline(
    Readable.from(hashed(tarOf(shape), content)),
    createGzip({ level: 6, chunkSize: 1024 * 1024 }),
    createWriteStream(file),
  );
  const blob = createHash("sha256");
  for await (const chunk of createReadStream(file)) blob.update(chunk as Buffer);
  const layer = {
    mediaType: MEDIA_TYPES.oci.gzip,
    digest: `sha256:${blob.digest("hex")}`,
    size: (await stat(file)).size,
  };
  const none = Buffer.alloc(0);
  const diffId = `sha256:${content.digest("hex")}`;
  const image = buildImage([{ tar: none, blob: none, diffId }], {}, { manifest: { layers: [layer] } });
  // the layer's bytes are in the file
  for (const { digest } of image.layers) image.blobs.delete(digest);
  await writeOciLayout(layout, image, tag);
  await rename(file, blobPath(layout, layer));
  await rm(work, { recursive: true });
}

/** Copies of the pieces, which streams keep longer than they are valid. */
function* hashed(pieces: Iterable<Buffer>, hash: Hash): Generator<Buffer> {
  for (const piece of pieces) {
    hash.update(piece);
    if (piece.length > 0) yield Buffer.from(piece);
  }
}
