/** From an image that manifest.json lists to a ResolvedImage: configuration verified, layers located. */
import { type Digest, digestOf, parseDigest } from "../../../store/index.ts";
import { diffIdsFor, MAX_CONFIG_BYTES, parseImageConfig } from "../../image/image-config.ts";
import type { ResolveContext, ResolvedImage, ResolvedLayer } from "../source.ts";
import { assembleImage } from "./assemble-image.ts";
import type { DescribeLayer } from "./describe-layer.ts";
import { archiveInvalid, DAMAGED, type ImageFiles, shownName } from "./image-files.ts";

export interface SavedImage {
  /** Name of a file. */
  readonly config: string;
  /** Names of files, base first. */
  readonly layers: readonly string[];
}

/** Throws AppErrors `archive-invalid`, `blob-corrupt`, `manifest-invalid`, `platform-unknown`. */
export async function resolveSavedImage(
  image: SavedImage,
  files: ImageFiles,
  describeLayer: DescribeLayer,
  name: string,
  context: ResolveContext,
): Promise<ResolvedImage> {
  const configBytes = await files.read(image.config, MAX_CONFIG_BYTES);
  const digest = digestOf(configBytes);
  const claimed = digestClaimed(image.config);
  if (claimed !== undefined && claimed !== digest) {
    throw archiveInvalid(files.what, `its configuration ${shownName(image.config)} has the digest ${digest}`, {
      hint: DAMAGED,
    });
  }
  const diffIds = diffIdsFor(parseImageConfig(configBytes, name), image.layers.length, name);
  const layers: ResolvedLayer[] = [];
  for (const [index, diffId] of diffIds.entries()) {
    context.signal?.throwIfAborted();
    layers.push(await describeLayer(image.layers[index] ?? "", diffId));
  }
  return assembleImage({ name, source: files.path, configBytes, layers }, context.platform);
}

/** What the name of a configuration says its digest is: `<hex>.json`, `blobs/sha256/<hex>`, crane's `sha256:<hex>`. */
export function digestClaimed(config: string): Digest | undefined {
  const hex = /(?:^|\/|:)([0-9a-f]{64})(?:\.json)?$/.exec(config)?.[1];
  return hex === undefined ? undefined : parseDigest(`sha256:${hex}`);
}
