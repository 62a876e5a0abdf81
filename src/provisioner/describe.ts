/** Everything the store knows of one image, for `inspect` and for the runtime configuration. */
import type { Digest, Image, Store } from "../../store/index.ts";
import { type ImageConfig, MAX_CONFIG_BYTES, parseImageConfig } from "../image/image-config.ts";
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
  return { image, config, runtimeConfig: runtimeConfigOf(config), layers, rootfs: rootfs.map((row) => row.id) };
}

export function readImageConfig(store: Store, image: Image): ImageConfig {
  return parseImageConfig(store.blobs.read(image.configDigest, { maxBytes: MAX_CONFIG_BYTES }), image.name);
}
