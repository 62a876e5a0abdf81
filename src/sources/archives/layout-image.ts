/** From a descriptor in a layout to a ResolvedImage: through its indexes to the manifest for the platform, and what that names. */
import { AppError } from "../../errors.ts";
import type { Descriptor } from "../../image/descriptor.ts";
import { diffIdsFor, MAX_CONFIG_BYTES, parseImageConfig, requirePlatform } from "../../image/image-config.ts";
import { MAX_MANIFEST_BYTES, type Manifest, parseManifestOrIndex } from "../../image/manifest.ts";
import { isIndex } from "../../image/media-types.ts";
import { describePick, pickPlatform } from "../../image/pick-platform.ts";
import { type Platform, platformDistance } from "../../image/platform.ts";
import type { ResolveContext, ResolvedImage, ResolvedLayer, StoredDocument } from "../source.ts";
import type { BlobFiles } from "./blob-files.ts";

/** An index may name another index; more than this deep is no image but a maze. */
export const MAX_INDEX_DEPTH = 3;

/** Throws AppErrors `archive-invalid`, `blob-corrupt`, `manifest-invalid`, `platform-unknown`, `media-type-unsupported`. */
export async function resolveLayoutImage(
  blobs: BlobFiles,
  descriptor: Descriptor,
  name: string,
  context: ResolveContext,
): Promise<ResolvedImage> {
  const { files } = blobs;
  const { document, manifest, index, indexPlatform } = await findManifest(blobs, descriptor, name, context);
  const configBytes = await blobs.read(manifest.config, MAX_CONFIG_BYTES, "the configuration");
  const imageConfig = parseImageConfig(configBytes, name);
  // what an index says of a manifest counts: configurations of cross-built images are often those of the build machine
  const platform = indexPlatform ?? requirePlatform(imageConfig, context.platform, name);
  if (manifest.layers.length === 0 && imageConfig.rootfs.diff_ids.length > 0 && (await files.has("manifest.json"))) {
    throw layersLeftOut(files.what);
  }
  const diffIds = diffIdsFor(imageConfig, manifest.layers.length, name);
  const layers: ResolvedLayer[] = [];
  for (const [position, diffId] of diffIds.entries()) {
    context.signal?.throwIfAborted();
    const blob = manifest.layers[position];
    if (blob === undefined) throw new RangeError("diffIdsFor returned more DiffIDs than there are layers");
    layers.push({ blob, diffId, keepBlob: false, bytes: await blobs.locate(blob, `layer ${position + 1}`) });
  }
  return {
    name,
    source: files.path,
    platform,
    manifest: document,
    ...(index !== undefined && { index }),
    config: { descriptor: manifest.config, bytes: configBytes },
    imageConfig,
    layers,
  };
}

interface FoundManifest {
  readonly document: StoredDocument;
  readonly manifest: Manifest;
  /** The outermost that led to it; index.json is none, since no digest names it. */
  readonly index?: StoredDocument;
  /** The platform that a descriptor of it states, where it serves. */
  readonly indexPlatform?: Platform;
}

async function findManifest(
  blobs: BlobFiles,
  start: Descriptor,
  name: string,
  context: ResolveContext,
): Promise<FoundManifest> {
  let expected = start;
  let index: StoredDocument | undefined;
  for (let depth = 0; depth <= MAX_INDEX_DEPTH; depth += 1) {
    context.signal?.throwIfAborted();
    const kind = isIndex(expected.mediaType) ? "an index" : "a manifest";
    const bytes = await blobs.read(expected, MAX_MANIFEST_BYTES, kind);
    const parsed = parseManifestOrIndex(bytes, { what: name });
    if (isIndex(expected.mediaType) !== (parsed.kind === "index")) {
      throw manifestInvalid(name, `what leads to it takes its ${parsed.kind} for something else`);
    }
    const descriptor = { mediaType: parsed.mediaType, digest: expected.digest, size: bytes.byteLength };
    const document = { descriptor, bytes };
    if (parsed.kind === "manifest") {
      const { platform } = expected;
      const serves = platform !== undefined && platformDistance(context.platform, platform) !== undefined;
      return {
        document,
        manifest: parsed,
        ...(index !== undefined && { index }),
        ...(serves && { indexPlatform: platform }),
      };
    }
    index ??= document;
    expected = await pickPresent(blobs, parsed.manifests, name, context);
  }
  throw manifestInvalid(name, `its indexes are nested more than ${MAX_INDEX_DEPTH} deep`);
}

/**
 * An index is saved whole even where only some of its platforms are (Docker 29): what is there is preferred, and where
 * nothing of it serves, the error says what is missing.
 */
async function pickPresent(
  blobs: BlobFiles,
  manifests: readonly Descriptor[],
  name: string,
  { platform, emit }: ResolveContext,
): Promise<Descriptor> {
  const present: Descriptor[] = [];
  for (const descriptor of manifests) if (await blobs.has(descriptor)) present.push(descriptor);
  const best = pickPlatform(manifests, platform, name);
  const picked = present.includes(best) ? best : pickOrUndefined(present, platform, name);
  const chosen = picked ?? best;
  const lacking = manifests.length - present.length;
  const note = lacking === 0 ? "" : `; ${lacking} of its ${manifests.length} manifests are not in ${blobs.files.what}`;
  emit({ type: "decision", topic: "platform", message: `${describePick(chosen, manifests, platform)}${note}` });
  return chosen;
}

function pickOrUndefined(present: readonly Descriptor[], platform: Platform, name: string): Descriptor | undefined {
  try {
    return pickPlatform(present, platform, name);
  } catch {
    return undefined;
  }
}

/** moby#47065: Docker 25.0.0 saved OCI manifests without layers, beside a manifest.json that has them. */
function layersLeftOut(what: string): AppError {
  return new AppError("archive-invalid", `Cannot use ${what}: the manifest in its OCI layout has no layers`, {
    hint: "Docker 25.0.0 wrote such archives; read it by its manifest.json instead, as docker-archive:PATH",
  });
}

function manifestInvalid(name: string, why: string): AppError {
  return new AppError("manifest-invalid", `Cannot use ${name}: ${why}`);
}
