/** OCI image layouts (image-spec, image-layout.md): which images index.json lists, and under which names. */
import { z } from "zod";
import { algorithmOf, type Digest, encodedOf } from "../../../store/index.ts";
import { listOf } from "../../image/bounded.ts";
import { type Descriptor, descriptorSchema } from "../../image/descriptor.ts";
import { MAX_MANIFEST_BYTES, parseManifestOrIndex } from "../../image/manifest.ts";
import { isIndex } from "../../image/media-types.ts";
import { isImage, saysPlatform } from "../../image/pick-platform.ts";
import { formatPlatform } from "../../image/platform.ts";
import { listed } from "../../image/remote-text.ts";
import type { ResolveContext } from "../source.ts";
import { type BlobFiles, openBlobFiles } from "./blob-files.ts";
import { canonicalNames, type HeldImage, type HeldImages } from "./held-image.ts";
import { archiveInvalid, type ImageFiles, MAX_LIST_BYTES } from "./image-files.ts";
import { MAX_INDEX_DEPTH, resolveLayoutImage } from "./layout-image.ts";
import { readDocument } from "./read-document.ts";

const MAX_VERSION_BYTES = 64 * 1024;

const versionSchema = z.object({ imageLayoutVersion: z.string().max(64) });
const indexSchema = z.object({
  schemaVersion: z.literal(2),
  mediaType: z.string().refine(isIndex, { error: "is not that of an index" }).exactOptional(),
  manifests: listOf(descriptorSchema).default([]),
});

/** Where index.json keeps the name of an image: image-spec, annotations.md, and containerd's own. */
const NAME_ANNOTATIONS = ["org.opencontainers.image.ref.name", "io.containerd.image.name"];

/** Throws AppError `archive-invalid`. */
export async function listLayoutImages(files: ImageFiles, context: ResolveContext): Promise<HeldImages> {
  await checkVersion(files);
  const { manifests } = await readDocument(files, "index.json", indexSchema, MAX_LIST_BYTES);
  const blobs = openBlobFiles(files, ({ digest }) => `blobs/${algorithmOf(digest)}/${encodedOf(digest)}`);
  const entries = manifests
    .map((descriptor, position): Listed => ({ descriptor, position }))
    .filter(({ descriptor }) => isImage(descriptor));
  if (entries.length === 0) throw archiveInvalid(files.what, "its index.json lists no image");
  const images = [...Map.groupBy(entries, ({ descriptor }) => descriptor.digest).values()].flatMap(
    ([first, ...others]) => (first === undefined ? [] : heldImage(blobs, [first, ...others], context)),
  );
  return {
    images,
    async byDigest(digest, among = images) {
      const listed = among.find(({ digests }) => digests.includes(digest));
      if (listed !== undefined) return listed;
      const positions = new Set(among.flatMap((image) => image.positions));
      const roots = entries.filter(({ position }) => position !== undefined && positions.has(position));
      return await findBelow(
        blobs,
        roots.map(({ descriptor }) => descriptor),
        digest,
        context,
      );
    },
  };
}

async function checkVersion(files: ImageFiles): Promise<void> {
  const { imageLayoutVersion: version } = await readDocument(files, "oci-layout", versionSchema, MAX_VERSION_BYTES);
  if (/^1\.\d+\.\d+$/.test(version)) return;
  throw archiveInvalid(files.what, `its layout has the version ${JSON.stringify(version)}, and only 1.x.y is known`);
}

interface Listed {
  readonly descriptor: Descriptor;
  /** Absent where it is not in index.json itself. */
  readonly position?: number;
}

/** `entries` are those with one digest: an image that has several names is listed under each. */
function heldImage(blobs: BlobFiles, entries: readonly [Listed, ...Listed[]], context: ResolveContext): HeldImage {
  const { descriptor } = entries.find((entry) => saysPlatform(entry.descriptor)) ?? entries[0];
  const annotations = entries.map((entry) => entry.descriptor.annotations ?? {});
  const written = [...new Set(annotations.flatMap((each) => NAME_ANNOTATIONS.flatMap((key) => each[key] ?? [])))];
  const about = saysPlatform(descriptor) ? formatPlatform(descriptor.platform) : descriptor.digest.slice(0, 19);
  return {
    // a mere tag says nothing about whose it is
    names: canonicalNames(written.filter((text) => /[/:]/.test(text))),
    written,
    digests: [descriptor.digest],
    positions: entries.flatMap(({ position }) => position ?? []),
    ...(saysPlatform(descriptor) && { platform: descriptor.platform }),
    describe: `${written.length === 0 ? "an untagged image" : listed(written, 5)} (${about})`,
    resolve: (name) => resolveLayoutImage(blobs, descriptor, name, context),
  };
}

/** A manifest, or an index, that is only named by an index inside; indexes that are not there lead nowhere. */
async function findBelow(
  blobs: BlobFiles,
  roots: readonly Descriptor[],
  digest: Digest,
  context: ResolveContext,
): Promise<HeldImage | undefined> {
  const seen = new Set<Digest>();
  let level: readonly Descriptor[] = roots;
  for (let depth = 0; depth <= MAX_INDEX_DEPTH; depth += 1) {
    const found = level.find((descriptor) => descriptor.digest === digest && isImage(descriptor));
    if (found !== undefined) return heldImage(blobs, [{ descriptor: found }], context);
    const below: Descriptor[] = [];
    for (const descriptor of level) {
      context.signal?.throwIfAborted();
      if (!isIndex(descriptor.mediaType) || seen.has(descriptor.digest) || !(await blobs.has(descriptor))) continue;
      seen.add(descriptor.digest);
      const bytes = await blobs.read(descriptor, MAX_MANIFEST_BYTES, "an index");
      const parsed = parseManifestOrIndex(bytes, { what: blobs.files.what });
      if (parsed.kind === "index") below.push(...parsed.manifests);
    }
    level = below;
  }
  return undefined;
}
