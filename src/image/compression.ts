/**
 * What bytes are compressed with, by how they begin: names and media types, of layers as of archives, are not to be
 * believed here.
 */

export type Compression = "gzip" | "zstd" | "bzip2" | "xz" | "none";

/** Enough bytes to tell. */
export const MAGIC_BYTES = 6;

const MAGIC: readonly (readonly [RegExp, Compression])[] = [
  [/^1f8b/, "gzip"],
  // a zstd frame, or one of those that are to be skipped, which seekable formats begin with
  [/^(?:28b52ffd|5[0-9a-f]2a4d18)/, "zstd"],
  [/^425a683[1-9]/, "bzip2"],
  [/^fd377a585a00/, "xz"],
];

/** `none` for a plain tar, and for no archive at all. `head` is shorter than MAGIC_BYTES only if all the bytes are. */
export function compressionOf(head: Uint8Array): Compression {
  const hex = Buffer.from(head.subarray(0, MAGIC_BYTES)).toString("hex");
  return MAGIC.find(([pattern]) => pattern.test(hex))?.[1] ?? "none";
}
