/**
 * An image of schema 1 as one of today: its layers are fetched and read once, to learn their sizes and DiffIDs, and a
 * manifest and a configuration are written that say the same. Both depend on nothing but the old manifest and its layers.
 */
import pLimit from "p-limit";
import { type Digest, digestOf } from "../../../store/index.ts";
import { AppError } from "../../errors.ts";
import type { Descriptor } from "../../image/descriptor.ts";
import { parseImageConfig, requirePlatform } from "../../image/image-config.ts";
import { OCI_CONFIG, OCI_LAYER_GZIP, OCI_LAYER_TAR, OCI_MANIFEST } from "../../image/media-types.ts";
import type { Platform } from "../../image/platform.ts";
import { type Schema1Manifest, schema1Config } from "../../image/schema1.ts";
import type {
  KeptBytes,
  RemoteBytes,
  ResolveContext,
  ResolvedImage,
  ResolvedLayer,
  StoredDocument,
  WantedBytes,
  Workshop,
} from "../source.ts";

/** Blobs at once. Each is on its way to disk, so that more of them would mostly wait for each other. */
const PARALLEL_BLOBS = 4;

interface LearntLayer {
  readonly blob: Descriptor;
  readonly diffId: Digest;
}

/** `bytesOf` gives each layer's bytes. Throws what the workshop throws, and AppErrors `manifest-invalid`, `platform-unknown`. */
export async function convertSchema1(
  original: StoredDocument,
  manifest: Schema1Manifest,
  bytesOf: (blobSum: Digest) => RemoteBytes,
  what: string,
  context: ResolveContext,
): Promise<Omit<ResolvedImage, "name" | "source">> {
  // before anything large is fetched
  const platform = schema1Platform(manifest, context.platform, what);
  const message = `${what} has a manifest of schema 1, which is converted; its layers are fetched first to learn their DiffIDs`;
  context.emit({ type: "decision", topic: "layer", message });
  const sources = new Map(manifest.blobSums.map((blobSum) => [blobSum, bytesOf(blobSum)]));
  const learnt = await learnLayers(sources, what, context);
  const layers = manifest.blobSums.map((blobSum): ResolvedLayer => {
    const [layer, bytes] = [learnt.get(blobSum), sources.get(blobSum)];
    if (layer === undefined || bytes === undefined) throw new RangeError(`nothing was learnt about ${blobSum}`);
    return { ...layer, keepBlob: true, bytes, what: `layer ${blobSum} of ${what}` };
  });
  const diffIds = layers.map(({ diffId }) => diffId);
  const config = documentOf(OCI_CONFIG, schema1Config(manifest, diffIds));
  const blobs = layers.map(({ blob }) => blob);
  const converted = { schemaVersion: 2, mediaType: OCI_MANIFEST, config: config.descriptor, layers: blobs };
  return {
    // the digest by which registries know it, and by which it was or can be pinned
    imageId: original.descriptor.digest,
    platform,
    manifest: documentOf(OCI_MANIFEST, Buffer.from(JSON.stringify(converted))),
    config,
    imageConfig: parseImageConfig(config.bytes, what),
    layers,
    attachments: [original],
  };
}

/** Throws AppErrors `manifest-invalid`, `platform-unknown`. */
export function schema1Platform(manifest: Schema1Manifest, wanted: Platform, what: string): Platform {
  return requirePlatform(parseImageConfig(schema1Config(manifest, []), what), wanted, what);
}

async function learnLayers(
  sources: ReadonlyMap<Digest, RemoteBytes>,
  image: string,
  { workshop, signal }: ResolveContext,
): Promise<ReadonlyMap<Digest, LearntLayer>> {
  const limit = pLimit(PARALLEL_BLOBS);
  const learn = async (blobSum: Digest, { open, distrust }: RemoteBytes): Promise<[Digest, LearntLayer]> => {
    signal?.throwIfAborted();
    const wanted = { key: blobSum, digest: blobSum, open, what: `layer ${blobSum} of ${image}` };
    const { digest, file } = await keepTrusted(workshop, wanted, distrust);
    const scan = await workshop.scanTar(file, { algorithm: "sha256" });
    const mediaType = scan.digest === digest ? OCI_LAYER_TAR : OCI_LAYER_GZIP;
    return [blobSum, { blob: { mediaType, digest, size: file.sizeBytes }, diffId: scan.digest }];
  };
  const tasks = [...sources].map(([blobSum, bytes]) =>
    limit(() => learn(blobSum, bytes)).catch((error: unknown) => {
      // those that wait for their turn need not begin
      limit.clearQueue();
      throw error;
    }),
  );
  return new Map(await Promise.all(tasks));
}

/** Where bytes were wrong, from the next who has them; `distrust` says when there is no one left. */
async function keepTrusted(
  workshop: Workshop,
  wanted: WantedBytes,
  distrust: RemoteBytes["distrust"],
): Promise<KeptBytes> {
  for (;;) {
    try {
      return await workshop.keep(wanted);
    } catch (error) {
      const wrong = error instanceof AppError && error.code === "blob-corrupt";
      if (!wrong || distrust?.() !== true) throw error;
    }
  }
}

function documentOf(mediaType: string, bytes: Uint8Array): StoredDocument {
  return { descriptor: { mediaType, digest: digestOf(bytes), size: bytes.byteLength }, bytes };
}
