/**
 * The media types of container images, Docker's and OCI's, and how the former map onto the latter.
 *
 * Descriptors inside a parsed manifest carry OCI names only (design §4), so the rest of the program knows one
 * vocabulary. The bytes that are stored keep whatever name they were written with.
 */

export const OCI_INDEX = "application/vnd.oci.image.index.v1+json";
export const OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json";
export const OCI_CONFIG = "application/vnd.oci.image.config.v1+json";
export const OCI_LAYER_TAR = "application/vnd.oci.image.layer.v1.tar";
export const OCI_LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip";
export const OCI_LAYER_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd";
export const OCI_FOREIGN_TAR = "application/vnd.oci.image.layer.nondistributable.v1.tar";
export const OCI_FOREIGN_GZIP = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";
export const OCI_FOREIGN_ZSTD = "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd";
export const OCI_ARTIFACT_MANIFEST = "application/vnd.oci.artifact.manifest.v1+json";

export const DOCKER_MANIFEST_LIST = "application/vnd.docker.distribution.manifest.list.v2+json";
export const DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json";
export const DOCKER_MANIFEST_V1 = "application/vnd.docker.distribution.manifest.v1+json";
export const DOCKER_MANIFEST_V1_SIGNED = "application/vnd.docker.distribution.manifest.v1+prettyjws";
export const DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json";
export const DOCKER_LAYER_TAR = "application/vnd.docker.image.rootfs.diff.tar";
export const DOCKER_LAYER_GZIP = "application/vnd.docker.image.rootfs.diff.tar.gzip";
export const DOCKER_LAYER_ZSTD = "application/vnd.docker.image.rootfs.diff.tar.zstd";
export const DOCKER_FOREIGN_TAR = "application/vnd.docker.image.rootfs.foreign.diff.tar";
export const DOCKER_FOREIGN_GZIP = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";

const OCI_NAMES: Readonly<Record<string, string>> = {
  [DOCKER_MANIFEST_LIST]: OCI_INDEX,
  [DOCKER_MANIFEST]: OCI_MANIFEST,
  [DOCKER_CONFIG]: OCI_CONFIG,
  [DOCKER_LAYER_TAR]: OCI_LAYER_TAR,
  [DOCKER_LAYER_GZIP]: OCI_LAYER_GZIP,
  [DOCKER_LAYER_ZSTD]: OCI_LAYER_ZSTD,
  [DOCKER_FOREIGN_TAR]: OCI_FOREIGN_TAR,
  [DOCKER_FOREIGN_GZIP]: OCI_FOREIGN_GZIP,
  // buildah wrote this mix of the two vocabularies for a while
  "application/vnd.docker.image.rootfs.diff.tar+gzip": OCI_LAYER_GZIP,
};

const FOREIGN_LAYERS: ReadonlySet<string> = new Set([OCI_FOREIGN_TAR, OCI_FOREIGN_GZIP, OCI_FOREIGN_ZSTD]);
const LAYERS: ReadonlySet<string> = new Set([OCI_LAYER_TAR, OCI_LAYER_GZIP, OCI_LAYER_ZSTD, ...FOREIGN_LAYERS]);

/** The OCI name of a Docker media type; any other name is returned as it is. */
export function toOciMediaType(mediaType: string): string {
  return Object.hasOwn(OCI_NAMES, mediaType) ? (OCI_NAMES[mediaType] as string) : mediaType;
}

export function isIndex(mediaType: string): boolean {
  return toOciMediaType(mediaType) === OCI_INDEX;
}

export function isManifest(mediaType: string): boolean {
  return toOciMediaType(mediaType) === OCI_MANIFEST;
}

/** Docker schema 1, signed or not: one document that is manifest and configuration at once. */
export function isSchema1(mediaType: string): boolean {
  return mediaType === DOCKER_MANIFEST_V1 || mediaType === DOCKER_MANIFEST_V1_SIGNED;
}

export function isConfig(mediaType: string): boolean {
  return toOciMediaType(mediaType) === OCI_CONFIG;
}

export function isLayer(mediaType: string): boolean {
  return LAYERS.has(toOciMediaType(mediaType));
}

/** A layer that its registry need not have, because its licence forbids to pass it on (image-spec, media-types.md). */
export function isForeignLayer(mediaType: string): boolean {
  return FOREIGN_LAYERS.has(toOciMediaType(mediaType));
}

/** Content-Type without parameters, lower case; undefined where a server only says "some bytes" or "some JSON". */
export function contentMediaType(contentType: string | undefined): string | undefined {
  const mediaType = contentType?.split(";", 1)[0]?.trim().toLowerCase();
  if (mediaType === undefined || mediaType === "") return undefined;
  const vague = ["application/json", "application/octet-stream", "text/plain", "binary/octet-stream"];
  return vague.includes(mediaType) ? undefined : mediaType;
}
