/** Everything the store knows of one image, for `inspect` and for the runtime configuration. */
import { z } from "zod";
import { type Digest, type Image, parseDigest, type Store } from "../../store/index.ts";
import { ACI_MANIFEST_ANNOTATION } from "../image/aci-config.ts";
import { type AciManifest, MAX_ACI_MANIFEST_BYTES, parseAciManifest } from "../image/aci-manifest.ts";
import { annotationsSchema } from "../image/descriptor.ts";
import { type ImageConfig, MAX_CONFIG_BYTES, parseImageConfig } from "../image/image-config.ts";
import { parseJsonDocument } from "../image/json-document.ts";
import { MAX_MANIFEST_BYTES } from "../image/manifest.ts";
import { type AppcRuntimeConfig, appcRuntimeConfigOf } from "../runtime/appc-config.ts";
import { type RuntimeConfig, runtimeConfigOf } from "../runtime/runtime-config.ts";

export interface LayerDetails {
  readonly diffId: Digest;
  /** Transported form and its size, when it is kept. */
  readonly blob: { readonly digest: Digest; readonly sizeBytes: number } | undefined;
  /** The unpacked tree, when there is one. */
  readonly tree: { readonly path: string; readonly sizeBytes: number; readonly entries: number } | undefined;
}

export interface ImageDetails {
  readonly image: Image;
  readonly config: ImageConfig;
  readonly runtimeConfig: RuntimeConfig;
  readonly layers: readonly LayerDetails[];
  /** Ids of root filesystems that were made from it. */
  readonly rootfs: readonly string[];
}

export function describeImage(store: Store, image: Image): ImageDetails {
  const config = readImageConfig(store, image);
  const layers = image.layers.map(({ diffId, blob: digest }): LayerDetails => {
    const blob = digest === undefined ? undefined : store.blobs.get(digest);
    const layer = store.layers.get(diffId, "layer");
    return {
      diffId,
      blob: blob && { digest: blob.digest, sizeBytes: blob.size },
      tree: layer && { path: layer.fsPath, sizeBytes: layer.sizeBytes, entries: layer.entryCount },
    };
  });
  const rootfs = store.rootfs.list().filter((row) => row.imageDigest === image.manifestDigest);
  return { image, config, runtimeConfig: readRuntimeConfig(store, image), layers, rootfs: rootfs.map((row) => row.id) };
}

/** What the image says about running it; of an Appc image, in its own manifest's words, which are more than OCI's. */
export function readRuntimeConfig(store: Store, image: Image): RuntimeConfig | AppcRuntimeConfig {
  const aci = readAciManifest(store, image);
  return aci === undefined ? runtimeConfigOf(readImageConfig(store, image)) : appcRuntimeConfigOf(aci);
}

/** Of the manifest, only what says of which ACI it was made: its layers have a media type that is not OCI's. */
const annotatedSchema = z.object({ annotations: annotationsSchema.default({}) });

/** Undefined for every other format. */
function readAciManifest({ blobs }: Store, image: Image): AciManifest | undefined {
  // only formats with an ID of their own have a manifest besides the one that was made for them
  if (image.imageId === undefined) return undefined;
  const bytes = blobs.read(image.manifestDigest, { maxBytes: MAX_MANIFEST_BYTES });
  const what = `the manifest of ${image.name}`;
  const made = parseJsonDocument(bytes, { schema: annotatedSchema, what, maxBytes: MAX_MANIFEST_BYTES });
  const digest = made.annotations[ACI_MANIFEST_ANNOTATION];
  if (digest === undefined) return undefined;
  return parseAciManifest(blobs.read(parseDigest(digest), { maxBytes: MAX_ACI_MANIFEST_BYTES }), image.name);
}

export function readImageConfig(store: Store, image: Image): ImageConfig {
  return parseImageConfig(store.blobs.read(image.configDigest, { maxBytes: MAX_CONFIG_BYTES }), image.name);
}
