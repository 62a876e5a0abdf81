/**
 * From a reference to an image in the store: resolve, fetch and unpack (overlapping, every layer on its own), merge,
 * name. Everything is held by the lease from before it is fetched, so that no collection takes it away meanwhile.
 */
import pLimit from "p-limit";
import type { Image, Layer, Lease } from "../../store/index.ts";
import { fixUpKey } from "../image/identity.ts";
import { formatPlatform, type Platform } from "../image/platform.ts";
import type { ImageReference } from "../image/reference.ts";
import { type EnsureContext, ensureLayer, type LayerOrigin } from "../layers/ensure-layer.ts";
import { ensureStack, type ImageStack } from "../layers/ensure-stack.ts";
import type { ResolvedImage } from "../sources/source.ts";
import type { Call, ProvisionerContext } from "./context.ts";

export interface PulledImage {
  readonly image: Image;
  readonly stack: ImageStack;
}

export async function pullImage(
  context: ProvisionerContext,
  reference: ImageReference,
  platform: Platform,
  lease: Lease,
  call: Call,
): Promise<PulledImage> {
  const resolved = await timed("resolve", call, () => resolve(context, reference, platform, call));
  const stack = await timed("unpack", call, () => ensureImage(context, resolved.layers, lease, call));
  // only now: a pull that fails leaves nothing that no image needs, but layers that came whole
  storeDocuments(context, resolved, lease);
  const image = context.store.images.set({
    name: resolved.name,
    platform: formatPlatform(resolved.platform),
    manifestDigest: resolved.manifest.descriptor.digest,
    configDigest: resolved.config.descriptor.digest,
    mediaType: resolved.manifest.descriptor.mediaType,
    sizeBytes: resolved.layers.reduce((sum, layer) => sum + layer.blob.size, 0),
    source: resolved.source,
    chainId: stack.fixUp.key,
    layers: resolved.layers.map(({ diffId, blob, keepBlob }) =>
      keepBlob ? { diffId, blob: blob.digest } : { diffId },
    ),
    lease,
  });
  return { image, stack };
}

/** Every layer unpacked, in parallel, and their stack worked out. `origins` base first. */
export async function ensureImage(
  context: ProvisionerContext,
  origins: readonly LayerOrigin[],
  lease: Lease,
  call: Call,
): Promise<ImageStack> {
  const failed = new AbortController();
  const ensure: EnsureContext = {
    ...context,
    lease,
    emit: call.emit,
    signal: AbortSignal.any([call.signal, failed.signal]),
  };
  const limit = pLimit(context.pool.size);
  const tasks = origins.map((origin, index) =>
    limit(() => ensureLayer(origin, { index, count: origins.length }, ensure)).catch((error: unknown) => {
      failed.abort(error);
      throw error;
    }),
  );
  // all of them have stopped before an error is told: what they staged is gone then
  const settled = await Promise.allSettled(tasks);
  call.signal.throwIfAborted();
  if (failed.signal.aborted) throw failed.signal.reason;
  const layers = settled.map((outcome) => (outcome as PromiseFulfilledResult<Layer>).value);
  return await ensureStack(fixUpKey(layers.map((layer) => layer.key)), layers, ensure);
}

async function resolve(
  context: ProvisionerContext,
  reference: ImageReference,
  platform: Platform,
  { emit, signal }: Call,
): Promise<ResolvedImage> {
  const sources = await context.sources();
  const resolved = await sources.resolve(reference, { platform, emit, signal });
  emit({
    type: "resolved",
    reference: resolved.name,
    digest: resolved.manifest.descriptor.digest,
    platform: formatPlatform(resolved.platform),
    layers: resolved.layers.length,
    sizeBytes: resolved.layers.reduce((sum, layer) => sum + layer.blob.size, 0),
  });
  return resolved;
}

/** Manifest, configuration and index become blobs, with the edges along which a collection finds what they need. */
function storeDocuments({ store: { blobs } }: ProvisionerContext, image: ResolvedImage, lease: Lease): void {
  const { manifest, config, index } = image;
  for (const document of [config, manifest, ...(index === undefined ? [] : [index])]) {
    blobs.put(document.bytes, { digest: document.descriptor.digest, lease });
  }
  const kept = image.layers.filter((layer) => layer.keepBlob).map((layer) => layer.blob.digest);
  blobs.addEdges(manifest.descriptor.digest, [config.descriptor.digest, ...kept]);
  if (index !== undefined) blobs.addEdges(index.descriptor.digest, [manifest.descriptor.digest]);
}

async function timed<T>(name: string, { emit }: Call, action: () => Promise<T>): Promise<T> {
  const start = performance.now();
  const result = await action();
  emit({ type: "phase", name, durationMs: performance.now() - start });
  return result;
}
