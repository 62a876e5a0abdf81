/**
 * From a tree of ACIs to a ResolvedImage. An ACI has neither an OCI configuration nor an OCI manifest, so both are
 * synthesised. The configuration is determined by the images and the platform alone; the manifest also by the archives as
 * they came, since it names their digests and sizes: the same image, compressed anew, has another. The ACI's own manifest
 * is attached.
 */
import { digestOf } from "../../../store/index.ts";
import { ACI_MANIFEST_ANNOTATION, executionConfigOf } from "../../image/aci-config.ts";
import { formatAppcReference } from "../../image/appc-reference.ts";
import type { Descriptor } from "../../image/descriptor.ts";
import { parseImageConfig } from "../../image/image-config.ts";
import { OCI_CONFIG, OCI_MANIFEST } from "../../image/media-types.ts";
import type { Platform } from "../../image/platform.ts";
import type { ResolvedImage, ResolvedLayer, StoredDocument } from "../source.ts";
import type { AciNode } from "./dependencies.ts";
import type { Aci } from "./load-aci.ts";
import { renderLayers } from "./render.ts";

export const ACI_MANIFEST_MEDIA_TYPE = "application/vnd.appc.image-manifest+json";

/** `platform` is the one that the top image is for. */
export function resolvedAci(node: AciNode, platform: Platform): ResolvedImage {
  const { aci } = node;
  const { name, labels } = aci.manifest;
  const layers = renderLayers(node);
  const config = document(OCI_CONFIG, configOf(aci, platform, layers));
  const attachment = withDescriptor(ACI_MANIFEST_MEDIA_TYPE, aci.manifestBytes);
  const manifest = document(OCI_MANIFEST, {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: config.descriptor,
    layers: layers.map(({ blob }) => blob),
    annotations: { [ACI_MANIFEST_ANNOTATION]: attachment.descriptor.digest },
  });
  const listedAs = formatAppcReference({ kind: "appc", name, labels });
  return {
    imageId: aci.imageId,
    attachments: [attachment],
    name: listedAs,
    source: aci.where,
    platform,
    manifest,
    config,
    imageConfig: parseImageConfig(config.bytes, listedAs),
    layers,
  };
}

/** What runs is the top image's app: execution details of dependencies are ignored (aci.md, "Image Manifest"). */
function configOf({ manifest }: Aci, platform: Platform, layers: readonly ResolvedLayer[]): object {
  const { created, authors } = manifest.annotations;
  return {
    ...(created !== undefined && !Number.isNaN(Date.parse(created)) && { created }),
    ...(authors !== undefined && { author: authors }),
    architecture: platform.architecture,
    os: platform.os,
    ...(platform.variant !== undefined && { variant: platform.variant }),
    config: executionConfigOf(manifest),
    // of each layer only a part is the tree; its key is what stands for it in the store
    rootfs: { type: "layers", diff_ids: layers.map(({ part, diffId }) => part?.key ?? diffId) },
  };
}

function document(mediaType: string, value: object): StoredDocument {
  return withDescriptor(mediaType, Buffer.from(JSON.stringify(value)));
}

function withDescriptor(mediaType: string, bytes: Uint8Array): StoredDocument {
  const descriptor: Descriptor = { mediaType, digest: digestOf(bytes), size: bytes.byteLength };
  return { descriptor, bytes };
}
