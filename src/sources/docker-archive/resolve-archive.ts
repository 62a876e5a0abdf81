/**
 * From an image in a `docker save` archive to a ResolvedImage. Such an archive has no manifest of the registry's kind, so
 * one is synthesised: OCI, its bytes determined by configuration and layers alone.
 */
import { digestOf, encodedOf } from "../../../store/index.ts";
import type { Descriptor } from "../../image/descriptor.ts";
import { diffIdsFor, MAX_CONFIG_BYTES, parseImageConfig, requirePlatform } from "../../image/image-config.ts";
import { OCI_CONFIG, OCI_MANIFEST } from "../../image/media-types.ts";
import type { DockerReference } from "../../image/reference.ts";
import type { ResolveContext, ResolvedImage, ResolvedLayer, StoredDocument } from "../source.ts";
import { openArchive } from "./archive-index.ts";
import { describeLayer } from "./archive-layer.ts";
import { pickImage, readArchiveManifest } from "./archive-manifest.ts";
import { archiveInvalid } from "./tar-headers.ts";

export interface ArchiveRequest {
  /** Absolute. */
  readonly path: string;
  /** Which image; undefined: the only one. */
  readonly asked: DockerReference | undefined;
  /** Take the only image of the archive even if it is tagged otherwise: the file's name has said which it is. */
  readonly lenient: boolean;
  /** Canonical name that the image gets. */
  readonly name: string;
}

/** Throws AppErrors `archive-missing`, `archive-invalid`, `image-unknown`, `manifest-invalid`, `platform-unknown`. */
export async function resolveArchive(request: ArchiveRequest, context: ResolveContext): Promise<ResolvedImage> {
  const { path, name } = request;
  context.emit({ type: "resolve", reference: name, source: path });
  await using archive = await openArchive(path, context.signal);
  const image = pickImage(await readArchiveManifest(archive), archive, request.asked, request.lenient);
  const configBytes = await archive.read(image.config, MAX_CONFIG_BYTES);
  const digest = digestOf(configBytes);
  const claimed = /(?:^|\/|:)([0-9a-f]{64})(?:\.json)?$/.exec(image.config)?.[1];
  if (claimed !== undefined && claimed !== encodedOf(digest)) {
    throw archiveInvalid(path, `its configuration ${JSON.stringify(image.config)} has the digest ${digest}`);
  }
  const imageConfig = parseImageConfig(configBytes, name);
  const platform = requirePlatform(imageConfig, context.platform, name);
  const diffIds = diffIdsFor(imageConfig, image.layers.length, name);
  const layers: ResolvedLayer[] = [];
  for (const [index, diffId] of diffIds.entries()) {
    context.signal?.throwIfAborted();
    layers.push(await describeLayer(archive, image.layers[index] ?? "", diffId, context.signal));
  }
  const config = { mediaType: OCI_CONFIG, digest, size: configBytes.byteLength };
  const manifest = synthesizeManifest(
    config,
    layers.map(({ blob }) => blob),
  );
  const documents = { manifest, config: { descriptor: config, bytes: configBytes } };
  return { name, source: path, platform, ...documents, imageConfig, layers };
}

/** The order of members is part of the digest: equal images must get equal manifests, whoever reads them. */
function synthesizeManifest(config: Descriptor, layers: readonly Descriptor[]): StoredDocument {
  const plain = ({ mediaType, digest, size }: Descriptor): Descriptor => ({ mediaType, digest, size });
  const manifest = { schemaVersion: 2, mediaType: OCI_MANIFEST, config: plain(config), layers: layers.map(plain) };
  const bytes = Buffer.from(JSON.stringify(manifest));
  return { descriptor: { mediaType: OCI_MANIFEST, digest: digestOf(bytes), size: bytes.byteLength }, bytes };
}
