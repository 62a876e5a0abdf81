/**
 * A ResolvedImage of a configuration and layers. Such archives have no manifest of the registry's kind, so one is
 * synthesised: OCI, its bytes determined by configuration and layers alone.
 */
import { digestOf } from "../../../store/index.ts";
import type { Descriptor } from "../../image/descriptor.ts";
import { parseImageConfig, requirePlatform } from "../../image/image-config.ts";
import { OCI_CONFIG, OCI_MANIFEST } from "../../image/media-types.ts";
import type { Platform } from "../../image/platform.ts";
import type { ResolvedImage, ResolvedLayer, StoredDocument } from "../source.ts";

export interface ImageParts {
  /** Canonical name that the image gets. */
  readonly name: string;
  readonly source: string;
  readonly configBytes: Uint8Array;
  /** Base first. */
  readonly layers: readonly ResolvedLayer[];
}

/** Throws AppErrors `manifest-invalid`, `platform-unknown`. */
export function assembleImage({ name, source, configBytes, layers }: ImageParts, wanted: Platform): ResolvedImage {
  const imageConfig = parseImageConfig(configBytes, name);
  const platform = requirePlatform(imageConfig, wanted, name);
  const config = { mediaType: OCI_CONFIG, digest: digestOf(configBytes), size: configBytes.byteLength };
  const manifest = synthesizeManifest(
    config,
    layers.map(({ blob }) => blob),
  );
  return { name, source, platform, manifest, config: { descriptor: config, bytes: configBytes }, imageConfig, layers };
}

/** The order of members is part of the digest: equal images must get equal manifests, whoever reads them. */
function synthesizeManifest(config: Descriptor, layers: readonly Descriptor[]): StoredDocument {
  const plain = ({ mediaType, digest, size }: Descriptor): Descriptor => ({ mediaType, digest, size });
  const manifest = { schemaVersion: 2, mediaType: OCI_MANIFEST, config: plain(config), layers: layers.map(plain) };
  const bytes = Buffer.from(JSON.stringify(manifest));
  return { descriptor: { mediaType: OCI_MANIFEST, digest: digestOf(bytes), size: bytes.byteLength }, bytes };
}
