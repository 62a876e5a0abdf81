/** One layer of an archive as a Descriptor and a range of the file: its digest is known, implied, or computed. */
import { createReadStream } from "node:fs";
import { createHasher, type Digest, parseDigest } from "../../../store/index.ts";
import { OCI_LAYER_GZIP, OCI_LAYER_TAR, OCI_LAYER_ZSTD } from "../../image/media-types.ts";
import type { FileRange, ResolvedLayer } from "../source.ts";
import type { ArchiveIndex } from "./archive-index.ts";

/** What a layer is by its first bytes, whatever its name says: archives are not to be believed here. */
const MAGIC: readonly (readonly [string, string])[] = [
  ["1f8b", OCI_LAYER_GZIP],
  ["28b52ffd", OCI_LAYER_ZSTD],
  // no media type exists for these two; the extractor knows them, and says so if it does not
  ["fd377a585a00", OCI_LAYER_TAR],
  ["425a68", OCI_LAYER_TAR],
];

/** Names of entries that state the digest of what is in them: Docker ≥ 25, crane. */
const NAMED_BY_DIGEST = /^(?:blobs\/sha256\/([0-9a-f]{64})|(?:sha256:)?([0-9a-f]{64})\.tar\.(?:gz|zst))$/;

export async function describeLayer(
  archive: ArchiveIndex,
  name: string,
  diffId: Digest,
  signal?: AbortSignal,
): Promise<ResolvedLayer> {
  const file = archive.range(name);
  const start = (await archive.readStart(file, 6)).toString("hex");
  const compression = MAGIC.find(([magic]) => start.startsWith(magic));
  // uncompressed, the layer is the tar that the DiffID names
  const digest = compression === undefined ? diffId : (digestInName(name) ?? (await digestOfRange(file, signal)));
  const mediaType = compression?.[1] ?? OCI_LAYER_TAR;
  return { blob: { mediaType, digest, size: file.sizeBytes }, diffId, keepBlob: false, bytes: { file } };
}

/** Not proof: whoever reads the layer verifies it. */
export function digestInName(name: string): Digest | undefined {
  const [, blob, file] = NAMED_BY_DIGEST.exec(name) ?? [];
  const hex = blob ?? file;
  return hex === undefined ? undefined : parseDigest(`sha256:${hex}`);
}

async function digestOfRange({ path, offset, sizeBytes }: FileRange, signal?: AbortSignal): Promise<Digest> {
  const hasher = createHasher("sha256");
  if (sizeBytes === 0) return hasher.digest();
  const stream = createReadStream(path, {
    start: offset,
    end: offset + sizeBytes - 1,
    highWaterMark: 1024 * 1024,
    signal,
  });
  for await (const chunk of stream) hasher.update(chunk as Buffer);
  return hasher.digest();
}
