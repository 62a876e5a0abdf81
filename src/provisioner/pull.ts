/**
 * From a reference to an image in the store: resolve, fetch and unpack (overlapping, every layer on its own), merge,
 * name. Everything is held by the lease from before it is fetched, so that no collection takes it away meanwhile.
 */
import pLimit from "p-limit";
import type { Image, Layer, Lease, NewImage, Store } from "../../store/index.ts";
import { AppError } from "../errors.ts";
import type { Emit } from "../events.ts";
import { fixUpKey } from "../image/identity.ts";
import { formatPlatform, type Platform } from "../image/platform.ts";
import { formatReference, type ImageReference } from "../image/reference.ts";
import { type EnsureContext, ensureLayer, type LayerOrigin } from "../layers/ensure-layer.ts";
import { ensureStack, type ImageStack } from "../layers/ensure-stack.ts";
import type { ResolveContext, ResolvedImage, ResolvedLayer } from "../sources/source.ts";
import type { Call, ProvisionerContext } from "./context.ts";
import type { ImageRequest } from "./request.ts";
import { resolveContext } from "./resolve-context.ts";

export interface PulledImage {
  readonly image: Image;
  readonly stack: ImageStack;
}

/** Of which there are two at least in nearly every image, and workers for more are started when they are there. */
const EXPECTED_LAYERS = 2;

export async function pullImage(
  context: ProvisionerContext,
  request: ImageRequest,
  lease: Lease,
  call: Call,
): Promise<PulledImage> {
  context.pool.prepare(EXPECTED_LAYERS);
  await using resolving = resolveContext(context, request, lease, call);
  const resolved = await timed("resolve", call, () => resolve(context, request.reference, resolving.context));
  refuseTooLarge(context.store, resolved);
  const asked = [formatReference(request.reference)];
  const taken = { names: [resolved.name], asked, platform: resolving.context.platform };
  return await takeIn(context, resolved, taken, lease, call);
}

export interface TakenAs {
  /** At least one; each becomes an image of the store. */
  readonly names: readonly string[];
  /** Names that led to it; each is found again by them. */
  readonly asked?: readonly string[];
  /** The platform that was asked for. */
  readonly platform: Platform;
}

/** A resolved image becomes part of the store: layers, documents, then its names. */
export async function takeIn(
  context: ProvisionerContext,
  resolved: ResolvedImage,
  { names, asked = [], platform }: TakenAs,
  lease: Lease,
  call: Call,
): Promise<PulledImage> {
  const stack = await timed("unpack", call, () => ensureImage(context, resolved.layers, lease, call));
  // only now: a pull that fails leaves nothing that no image needs, but layers that came whole
  storeDocuments(context, resolved, lease);
  const { manifest, config, source, imageId } = resolved;
  const images = names.map((name) =>
    context.store.images.set({
      name,
      platform: formatPlatform(resolved.platform),
      askedPlatform: formatPlatform(platform),
      askedNames: asked.filter((other) => other !== name),
      manifestDigest: manifest.descriptor.digest,
      configDigest: config.descriptor.digest,
      mediaType: manifest.descriptor.mediaType,
      sizeBytes: resolved.layers.reduce((sum, layer) => sum + layer.blob.size, 0),
      source,
      chainId: stack.fixUp.key,
      ...(imageId !== undefined && { imageId }),
      layers: resolved.layers.map(toImageLayer),
      lease,
    }),
  );
  const [image] = images;
  if (image === undefined) throw new RangeError("an image is taken in under at least one name");
  return { image, stack };
}

/** What is known to be too large is not begun: what fills a disk is everybody's trouble. */
function refuseTooLarge(store: Store, { name, layers }: ResolvedImage): void {
  const { freeBytes } = store.usage();
  const missing = layers.filter(
    ({ blob, keepBlob, diffId, part }) =>
      keepBlob &&
      store.layers.get(part?.key ?? diffId, "layer") === undefined &&
      store.blobs.get(blob.digest) === undefined,
  );
  const sizes = new Map(missing.map(({ blob }) => [blob.digest, blob.size - store.blobs.pendingBytes(blob.digest)]));
  const neededBytes = [...sizes.values()].reduce((sum, size) => sum + size, 0);
  if (freeBytes === undefined || neededBytes <= freeBytes) return;
  const why = `its layers alone are ${neededBytes} bytes, and ${freeBytes} are free`;
  throw new AppError("disk-full", `Cannot pull ${name}: ${why}`, {
    hint: "remove images (`rootwright rm`), or point --root at a larger disk; `rootwright plan` tells what an image needs",
    details: { neededBytes, freeBytes },
  });
}

function toImageLayer({ diffId, blob, keepBlob, part }: ResolvedLayer): NewImage["layers"][number] {
  const kept = keepBlob ? { blob: blob.digest } : {};
  return part === undefined ? { diffId, ...kept } : { diffId: part.key, ...kept, part: { ...part, diffId } };
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
  resolving: ResolveContext,
): Promise<ResolvedImage> {
  const sources = await context.sources();
  const resolved = await sources.resolve(reference, resolving);
  tellResolved(resolved, resolving.emit);
  return resolved;
}

export function tellResolved(resolved: ResolvedImage, emit: Emit): void {
  emit({
    type: "resolved",
    reference: resolved.name,
    digest: resolved.manifest.descriptor.digest,
    platform: formatPlatform(resolved.platform),
    layers: resolved.layers.length,
    sizeBytes: resolved.layers.reduce((sum, layer) => sum + layer.blob.size, 0),
  });
}

/** Manifest, configuration and index become blobs, with the edges along which a collection finds what they need. */
function storeDocuments({ store: { blobs } }: ProvisionerContext, image: ResolvedImage, lease: Lease): void {
  const { manifest, config, index, attachments = [] } = image;
  for (const document of [config, manifest, ...attachments, ...(index === undefined ? [] : [index])]) {
    blobs.put(document.bytes, { digest: document.descriptor.digest, lease });
  }
  const kept = image.layers.filter((layer) => layer.keepBlob).map((layer) => layer.blob.digest);
  const attached = attachments.map(({ descriptor }) => descriptor.digest);
  blobs.addEdges(manifest.descriptor.digest, [config.descriptor.digest, ...attached, ...kept]);
  if (index !== undefined) blobs.addEdges(index.descriptor.digest, [manifest.descriptor.digest]);
}

export async function timed<T>(name: string, { emit }: Call, action: () => Promise<T>): Promise<T> {
  const start = performance.now();
  const result = await action();
  emit({ type: "phase", name, durationMs: performance.now() - start });
  return result;
}
