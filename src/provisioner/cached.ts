/** An image that is in the store already: no network, and layers that are missing are unpacked again from their blobs. */
import type { Image, Lease } from "../../store/index.ts";
import { fixUpKey } from "../image/identity.ts";
import { formatPlatform, type Platform } from "../image/platform.ts";
import type { LayerOrigin } from "../layers/ensure-layer.ts";
import { imageStack } from "../layers/ensure-stack.ts";
import type { Call, ProvisionerContext } from "./context.ts";
import { ensureImage, type PulledImage } from "./pull.ts";

/** Undefined when the store does not have the image, or has lost a layer of it beyond what its blobs can restore. */
export async function cachedImage(
  context: ProvisionerContext,
  name: string,
  platform: Platform,
  lease: Lease,
  call: Call,
): Promise<PulledImage | undefined> {
  const { images, blobs, layers } = context.store;
  const image = images.get(name, formatPlatform(platform));
  if (image === undefined) return undefined;
  hold(image, lease);
  const present = image.layers.map(({ diffId }) => layers.get(diffId, "layer"));
  const key = fixUpKey(image.layers.map(({ diffId }) => diffId));
  const fixUp = layers.get(key, "fixup");
  if (fixUp !== undefined && present.every((layer) => layer !== undefined)) {
    images.touch(image.name, image.platform);
    return { image, stack: imageStack(present, fixUp) };
  }
  const origins: LayerOrigin[] = [];
  for (const [index, { diffId, blob: digest }] of image.layers.entries()) {
    const blob = digest === undefined ? undefined : blobs.get(digest);
    if (blob === undefined && present[index] === undefined) return undefined;
    origins.push({
      diffId,
      keepBlob: false,
      blob: blob ?? { digest: diffId, size: 0 },
      bytes: { file: { path: blob?.path ?? "", offset: 0, sizeBytes: blob?.size ?? 0 } },
    });
  }
  const stack = await ensureImage(context, origins, lease, call);
  images.touch(image.name, image.platform);
  return { image, stack };
}

function hold(image: Image, lease: Lease): void {
  lease.hold("blob", image.manifestDigest);
  lease.hold("blob", image.configDigest);
  for (const { diffId, blob } of image.layers) {
    lease.hold("layer", diffId);
    if (blob !== undefined) lease.hold("blob", blob);
  }
  if (image.chainId !== undefined) lease.hold("layer", image.chainId);
}
