/**
 * One layer of an archive as a Descriptor and a range of a file. What its name says is not believed: a manifest is made of
 * these digests, and where the layer is unpacked already, nobody would read it and find out.
 */
import { type Digest, parseDigest } from "../../../store/index.ts";
import { AppError } from "../../errors.ts";
import { type Compression, compressionOf, MAGIC_BYTES } from "../../image/compression.ts";
import { OCI_LAYER_GZIP, OCI_LAYER_TAR, OCI_LAYER_ZSTD } from "../../image/media-types.ts";
import type { FileRange, ResolvedLayer } from "../source.ts";
import { DAMAGED, type ImageFiles, shownName } from "./image-files.ts";
import { digestOfRange, readStart } from "./read-range.ts";

const MEDIA_TYPES: Readonly<Record<Compression, string>> = {
  gzip: OCI_LAYER_GZIP,
  zstd: OCI_LAYER_ZSTD,
  // no media type exists for these two; the extractor knows them, and says so if it does not
  xz: OCI_LAYER_TAR,
  bzip2: OCI_LAYER_TAR,
  none: OCI_LAYER_TAR,
};

/** Names of files that state the digest of what is in them: Docker ≥ 25, crane. */
const NAMED_BY_DIGEST = /^(?:blobs\/sha256\/([0-9a-f]{64})|(?:sha256:)?([0-9a-f]{64})\.tar\.(?:gz|zst))$/;

/** Describes the layer in the file `name`. Throws AppErrors `archive-invalid`, `blob-corrupt`. */
export type DescribeLayer = (name: string, diffId: Digest) => Promise<ResolvedLayer>;

/** Each compressed layer is read once, however many images have it. */
export function layerDescriber(files: ImageFiles, signal: AbortSignal | undefined): DescribeLayer {
  const known = new Map<string, Promise<Digest>>();
  const digestOf = (file: FileRange): Promise<Digest> => {
    const key = `${file.offset} ${file.path}`;
    const digest = known.get(key) ?? digestOfRange(file, signal);
    known.set(key, digest);
    return digest;
  };
  return async (name, diffId) => {
    const file = await files.range(name);
    const compression = await layerCompression(file);
    // uncompressed, the layer is the tar that the DiffID names
    const digest = compression === "none" ? diffId : await digestOf(file);
    const claimed = compression === "none" ? undefined : digestInName(name);
    if (claimed === undefined || claimed === digest) return layerOf(file, digest, diffId, compression);
    const message = `Cannot use ${shownName(name)} of ${files.what}: its digest is ${digest} instead of ${claimed}`;
    throw new AppError("blob-corrupt", message, { hint: DAMAGED, details: { expected: claimed, found: digest } });
  };
}

export function layerOf(file: FileRange, digest: Digest, diffId: Digest, compression: Compression): ResolvedLayer {
  const mediaType = MEDIA_TYPES[compression];
  return { blob: { mediaType, digest, size: file.sizeBytes }, diffId, keepBlob: false, bytes: { file } };
}

export async function layerCompression(file: FileRange): Promise<Compression> {
  return compressionOf(await readStart(file, MAGIC_BYTES));
}

function digestInName(name: string): Digest | undefined {
  const [, blob, file] = NAMED_BY_DIGEST.exec(name) ?? [];
  const hex = blob ?? file;
  return hex === undefined ? undefined : parseDigest(`sha256:${hex}`);
}
