/**
 * What a pull would cost, worked out from manifests and configurations alone: bytes to fetch, bytes that are here already,
 * and room on the disk. For several images, what they share is counted with the first of them.
 *
 * Manifests do not say what layers unpack to. Where the store does not know it, it is estimated from the compression; such
 * figures are marked, and `fits` is then a good guess and no promise.
 */
import { statSync } from "node:fs";
import { z } from "zod";
import type { Digest, Image, Lease, Store } from "../../store/index.ts";
import { AppError, toAppError } from "../errors.ts";
import { wantedPlatform } from "../image/appc-platform.ts";
import { digestSchema } from "../image/descriptor.ts";
import { parseJsonDocument } from "../image/json-document.ts";
import { MAX_MANIFEST_BYTES } from "../image/manifest.ts";
import { formatPlatform, hostPlatform, type Platform } from "../image/platform.ts";
import { formatReference, type ImageReference, pinnedDigest } from "../image/reference.ts";
import type { Estimate, ResolvedImage, ResolvedLayer } from "../sources/source.ts";
import { tryCandidates } from "./candidates.ts";
import type { Call, ProvisionerContext } from "./context.ts";
import { findImage } from "./find-image.ts";
import { tellResolved, timed } from "./pull.ts";
import type { ImageRequest } from "./request.ts";
import { resolveContext } from "./resolve-context.ts";
import { verifyAccess } from "./verify-access.ts";

/**
 * `unpacked`: nothing is to be done. `fetched`: its bytes are here, and only unpacked. `partial`: some of its bytes are.
 * `local`: read from a file on this machine. `shared`: another image of the same plan brings it.
 */
export type LayerState = "unpacked" | "fetched" | "partial" | "remote" | "local" | "shared";

export interface PlannedLayer {
  readonly digest: Digest | undefined;
  readonly diffId: Digest | undefined;
  readonly mediaType: string | undefined;
  /** As it is transported; undefined where nobody says before it is here. */
  readonly sizeBytes: number | undefined;
  readonly state: LayerState;
  /** The registry's host, or a path. */
  readonly source: string;
  readonly fetchBytes: number;
  /** What it adds to the store when unpacked. */
  readonly unpackBytes: number;
  readonly estimated: boolean;
}

export interface PlannedImage {
  readonly name: string;
  readonly platform: string;
  readonly digest: Digest | undefined;
  readonly source: string;
  readonly layers: readonly PlannedLayer[];
  readonly fetchBytes: number;
  /** Transported bytes of its layers that need not be fetched. */
  readonly presentBytes: number;
  /** What stays on the disk afterwards. */
  readonly finalBytes: number;
}

export interface Plan {
  readonly images: readonly PlannedImage[];
  /** Those that could not be planned; the sums are about the others. */
  readonly failures: readonly { readonly name: string; readonly error: AppError }[];
  readonly fetchBytes: number;
  readonly presentBytes: number;
  readonly disk: {
    readonly finalBytes: number;
    /** The most that is needed at any moment. */
    readonly peakBytes: number;
    readonly freeBytes: number | undefined;
    /** Undefined where the free room is not known. */
    readonly fits: boolean | undefined;
    readonly estimated: boolean;
  };
}

/** How much larger layers are unpacked than transported; typical of images of distributions. */
const EXPANSION: readonly (readonly [pattern: RegExp, factor: number])[] = [
  [/gzip|appc/, 2.7],
  [/zstd/, 3],
];

export async function planImages(
  context: ProvisionerContext,
  requests: readonly ImageRequest[],
  lease: Lease,
  call: Call,
): Promise<Plan> {
  const planned: PlannedImage[] = [];
  const seen = new Set<Digest>();
  let temporaryBytes = 0;
  const failures: Plan["failures"][number][] = [];
  for (const request of requests) {
    try {
      const found = await tryCandidates(context, request.reference, call, (reference) =>
        timed("plan", call, () => planReference(context, { ...request, reference }, seen, lease, call)),
      );
      planned.push(found.image);
      temporaryBytes = Math.max(temporaryBytes, found.temporaryBytes);
    } catch (error) {
      call.signal.throwIfAborted();
      failures.push({ name: formatReference(request.reference), error: toAppError(error) });
    }
  }
  const sum = (of: (image: PlannedImage) => number): number => planned.reduce((total, image) => total + of(image), 0);
  const finalBytes = sum((image) => image.finalBytes);
  const { freeBytes } = context.store.usage();
  const peakBytes = finalBytes + temporaryBytes;
  return {
    images: planned,
    failures,
    fetchBytes: sum((image) => image.fetchBytes),
    presentBytes: sum((image) => image.presentBytes),
    disk: {
      finalBytes,
      peakBytes,
      freeBytes,
      fits: freeBytes === undefined ? undefined : peakBytes <= freeBytes,
      estimated: planned.some((image) => image.layers.some((layer) => layer.estimated)),
    },
  };
}

interface Planned {
  readonly image: PlannedImage;
  /** An archive that had to be expanded to be read lies there until the pull is over. */
  readonly temporaryBytes: number;
}

async function planReference(
  context: ProvisionerContext,
  request: ImageRequest,
  seen: Set<Digest>,
  lease: Lease,
  call: Call,
): Promise<Planned> {
  const { store } = context;
  const { reference, policy = "always", refresh = false } = request;
  const platform = request.platform ?? hostPlatform();
  const cached = findImage(store, reference, request.platform);
  const lookAgain = policy === "always" || (refresh && policy !== "never");
  const useCached = cached !== undefined && (!lookAgain || pinnedDigest(reference) !== undefined);
  const what = useCached ? "what is in the store is planned with" : "it is looked up";
  call.emit({ type: "decision", topic: "policy", message: `policy ${policy}: ${what}` });
  if (useCached) {
    if (policy === "always-verify") await verifyAccess(context, request, cached, lease, call);
    return { image: planCached(store, cached, seen), temporaryBytes: 0 };
  }
  if (policy === "never") {
    throw new AppError("image-not-cached", `Cannot plan ${formatReference(reference)}: it is not in the store`, {
      hint: "the pull policy is never; allow the network with --pull-policy cached",
    });
  }
  const sources = await context.sources();
  await using resolving = resolveContext(context, { ...request, platform }, lease, call);
  const estimates = await sources.estimate(reference, resolving.context);
  if (estimates !== undefined) return { image: planUnseen(reference, estimates, platform), temporaryBytes: 0 };
  const resolved = await sources.resolve(reference, resolving.context);
  tellResolved(resolved, call.emit);
  return { image: planResolved(store, resolved, seen), temporaryBytes: temporaryBytesOf(store, resolved) };
}

function planResolved(store: Store, resolved: ResolvedImage, seen: Set<Digest>): PlannedImage {
  const layers = resolved.layers.map((layer) => planLayer(store, layer, resolved.source, seen));
  const { digest } = resolved.manifest.descriptor;
  return total({
    name: resolved.name,
    platform: formatPlatform(resolved.platform),
    digest,
    source: resolved.source,
    layers,
  });
}

function planLayer(store: Store, layer: ResolvedLayer, source: string, seen: Set<Digest>): PlannedLayer {
  const { blob } = layer;
  const key = layer.part?.key ?? layer.diffId;
  const known = store.layers.get(key, "layer");
  const facts = { digest: blob.digest, diffId: layer.diffId, mediaType: blob.mediaType, sizeBytes: blob.size, source };
  if (known !== undefined) return { ...facts, state: "unpacked", fetchBytes: 0, unpackBytes: 0, estimated: false };
  if (seen.has(key)) return { ...facts, state: "shared", fetchBytes: 0, unpackBytes: 0, estimated: false };
  seen.add(key);
  const unpackBytes = expanded(blob.size, blob.mediaType);
  const rest = { ...facts, unpackBytes, estimated: unpackBytes !== blob.size };
  if ("file" in layer.bytes && !layer.keepBlob) return { ...rest, state: "local", fetchBytes: 0 };
  if (store.blobs.get(blob.digest) !== undefined) return { ...rest, state: "fetched", fetchBytes: 0 };
  const pendingBytes = Math.min(store.blobs.pendingBytes(blob.digest), blob.size);
  const state = pendingBytes > 0 ? "partial" : "remote";
  return { ...rest, state, fetchBytes: blob.size - pendingBytes };
}

/** An image that is used as it is; layers that were lost are unpacked again from what is kept of them. */
function planCached(store: Store, image: Image, seen: Set<Digest>): PlannedImage {
  const source = image.source ?? store.root;
  const transported = transportedLayers(store, image);
  const layers = image.layers.map(({ diffId, blob: kept }, at): PlannedLayer => {
    const { digest = kept, size: sizeBytes, mediaType } = transported[at] ?? {};
    const unpacked = store.layers.get(diffId, "layer") !== undefined || seen.has(diffId);
    seen.add(diffId);
    const unpackBytes = unpacked ? 0 : expanded(sizeBytes ?? 0, mediaType ?? "");
    const facts = { digest, diffId, mediaType, sizeBytes, source, fetchBytes: 0, unpackBytes };
    return { ...facts, state: unpacked ? "unpacked" : "fetched", estimated: unpackBytes > 0 };
  });
  return total({ name: image.name, platform: image.platform, digest: image.manifestDigest, source, layers });
}

/** Of an ACI's manifest too, whose layers have a media type that is not OCI's. */
const transportedSchema = z.object({
  layers: z.array(z.object({ mediaType: z.string(), digest: digestSchema, size: z.number() })),
});

function transportedLayers(
  store: Store,
  { manifestDigest, name }: Image,
): z.output<typeof transportedSchema>["layers"] {
  const bytes = store.blobs.read(manifestDigest, { maxBytes: MAX_MANIFEST_BYTES });
  const what = `the manifest of ${name}`;
  return parseJsonDocument(bytes, { schema: transportedSchema, what, maxBytes: MAX_MANIFEST_BYTES }).layers;
}

function expanded(sizeBytes: number, mediaType: string): number {
  return Math.round(sizeBytes * (EXPANSION.find(([pattern]) => pattern.test(mediaType))?.[1] ?? 1));
}

/** What can be told before anything is fetched of a format whose manifest is inside of what is to be fetched. */
function planUnseen(reference: ImageReference, estimates: readonly Estimate[], platform: Platform): PlannedImage {
  const layers = estimates.map(({ location, sizeBytes, local }): PlannedLayer => {
    const fetchBytes = local ? 0 : (sizeBytes ?? 0);
    const unpackBytes = expanded(sizeBytes ?? 0, "gzip");
    const unknown = { digest: undefined, diffId: undefined, mediaType: undefined };
    const state = local ? "local" : "remote";
    return { ...unknown, sizeBytes, state, source: location, fetchBytes, unpackBytes, estimated: true };
  });
  const source = layers[0]?.source ?? "";
  const wanted = reference.kind === "appc" ? wantedPlatform(reference.labels, platform) : platform;
  return total({
    name: formatReference(reference),
    platform: formatPlatform(wanted),
    digest: undefined,
    source,
    layers,
  });
}

function total(image: Omit<PlannedImage, "fetchBytes" | "presentBytes" | "finalBytes">): PlannedImage {
  const sum = (of: (layer: PlannedLayer) => number): number => image.layers.reduce((all, layer) => all + of(layer), 0);
  const fetchBytes = sum((layer) => layer.fetchBytes);
  return {
    ...image,
    fetchBytes,
    presentBytes: sum((layer) => layer.sizeBytes ?? 0) - fetchBytes,
    finalBytes: fetchBytes + sum((layer) => layer.unpackBytes),
  };
}

function temporaryBytesOf({ paths }: Store, { layers }: ResolvedImage): number {
  const files = layers.flatMap(({ bytes }) =>
    "file" in bytes && bytes.file.path.startsWith(paths.ingest) ? bytes.file.path : [],
  );
  return [...new Set(files)].reduce((sum, path) => sum + sizeOf(path), 0);
}

function sizeOf(path: string): number {
  try {
    return statSync(path).size;
  } catch (error) {
    throw toAppError(error);
  }
}
