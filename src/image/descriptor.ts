/**
 * Descriptor: a content's media type, digest and size, as manifests, indexes and archives refer to it
 * (image-spec, descriptor.md). Parsed once here, trusted everywhere else.
 */
import { z } from "zod";
import { type Digest, isDigest, parseDigest } from "../../store/index.ts";
import { listOf, recordOf } from "./bounded.ts";
import { toOciMediaType } from "./media-types.ts";
import { type Platform, platformSchema } from "./platform.ts";

export interface Descriptor {
  /** OCI name; Docker's names are normalised. */
  readonly mediaType: string;
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
  /** Other places to get the content from (foreign layers), at most 32. Only followed where that is allowed. */
  readonly urls?: readonly string[];
  /** The content itself, base64, when it was small enough to be inlined. Never trusted without its digest. */
  readonly data?: string;
  readonly platform?: Platform;
  readonly artifactType?: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** A digest in a JSON document. */
export const digestSchema = z
  .string()
  .refine(isDigest, { error: "is not sha256:<64 hex> or sha512:<128 hex>" })
  .transform((text): Digest => parseDigest(text));

export const annotationsSchema = recordOf(z.string());

export const descriptorSchema: z.ZodType<Descriptor> = z.object({
  mediaType: z.string().min(1).max(255).transform(toOciMediaType),
  digest: digestSchema,
  size: z.int().nonnegative(),
  urls: listOf(z.string().max(8192), 32).exactOptional(),
  data: z.string().exactOptional(),
  platform: platformSchema.exactOptional(),
  artifactType: z.string().max(255).exactOptional(),
  annotations: annotationsSchema.exactOptional(),
});
