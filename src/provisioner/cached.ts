/** An image that is in the store already: no network, and layers that are missing are unpacked again from their blobs. */
import { z } from "zod";
import type { Blob, Image, ImageLayer, LayerFacts, Lease } from "../../store/index.ts";
import { AppError } from "../errors.ts";
import { digestSchema } from "../image/descriptor.ts";
import { fixUpKey } from "../image/identity.ts";
import type { LayerOrigin } from "../layers/ensure-layer.ts";
import { imageStack } from "../layers/ensure-stack.ts";
import type { Call, ProvisionerContext } from "./context.ts";
import { ensureImage, type PulledImage } from "./pull.ts";

/** Undefined when the store has lost a layer of it beyond what its blobs can restore. */
export async function cachedImage(
  context: ProvisionerContext,
  image: Image,
  lease: Lease,
  call: Call,
): Promise<PulledImage | undefined> {
  const { images, blobs, layers } = context.store;
  hold(image, lease);
  const present = image.layers.map(({ diffId }) => layers.get(diffId, "layer"));
  const key = fixUpKey(image.layers.map(({ diffId }) => diffId));
  const fixUp = layers.get(key, "fixup");
  if (fixUp !== undefined && present.every((layer) => layer !== undefined)) {
    images.touch(image.name, image.platform);
    return { image, stack: imageStack(present, fixUp) };
  }
  const origins: LayerOrigin[] = [];
  const parts = images.parts(image);
  for (const [index, layer] of image.layers.entries()) {
    const blob = layer.blob === undefined ? undefined : blobs.get(layer.blob);
    if (blob === undefined && present[index] === undefined) return undefined;
    origins.push(originOf(layer, blob, parts[index]));
  }
  const stack = await ensureImage(context, origins, lease, call);
  images.touch(image.name, image.platform);
  return { image, stack };
}

/** Without a blob, the layer is here unpacked: nobody is going to read any bytes. */
function originOf({ diffId }: ImageLayer, blob: Blob | undefined, part: LayerFacts | undefined): LayerOrigin {
  const bytes = { file: { path: blob?.path ?? "", offset: 0, sizeBytes: blob?.size ?? 0 } };
  const origin = { diffId, keepBlob: false, blob: blob ?? { digest: diffId, size: 0 }, bytes };
  if (part === undefined) return origin;
  const taken = partSchema.safeParse(part);
  if (taken.success) return { ...origin, diffId: taken.data.diffId, part: { ...taken.data, key: diffId } };
  throw new AppError("layer-corrupt", `Cannot use the record of layer ${diffId}: it is not one of rootwright's`, {
    hint: "remove the image and pull it again",
    cause: taken.error,
  });
}

/** What pull.ts wrote. */
const partSchema = z.object({
  diffId: digestSchema,
  directory: z.string(),
  whitelists: z.array(z.array(z.string())),
});

function hold(image: Image, lease: Lease): void {
  lease.hold("blob", image.manifestDigest);
  lease.hold("blob", image.configDigest);
  for (const { diffId, blob } of image.layers) {
    lease.hold("layer", diffId);
    if (blob !== undefined) lease.hold("blob", blob);
  }
  if (image.chainId !== undefined) lease.hold("layer", image.chainId);
}
