/**
 * Docker's manifests of schema 1 (2014 to 2016; distribution: "Image Manifest Version 2, Schema 1"): one document that is
 * manifest and configuration at once, newest layer first, and knows neither sizes nor DiffIDs.
 *
 * The ids in it are names that its author chose; they are not read. What is verified is the manifest's digest and the
 * digests of the layers; the signatures prove nothing, since any key will do for them.
 */
import { z } from "zod";
import type { Digest } from "../../store/index.ts";
import { AppError } from "../errors.ts";
import { listOf } from "./bounded.ts";
import { digestSchema } from "./descriptor.ts";
import { MAX_CONFIG_BYTES } from "./image-config.ts";
import { countJsonValues, MAX_JSON_VALUES, parseJson, parseJsonDocument } from "./json-document.ts";
import { contentMediaType, DOCKER_MANIFEST_V1, isSchema1 } from "./media-types.ts";
import { configOfV1, type V1Layer, v1LayerSchema } from "./v1-image.ts";

export interface Schema1Manifest {
  readonly kind: "schema1";
  readonly mediaType: typeof DOCKER_MANIFEST_V1;
  /** Base first. A layer may occur several times; those that only changed the configuration are left out. */
  readonly blobSums: readonly Digest[];
  /** What was said of each layer, base first, those without one included. */
  readonly layers: readonly V1Layer[];
  /** For images whose newest layer does not say. */
  readonly architecture: string;
}

const manifestSchema = z.object({
  architecture: z.string().default(""),
  fsLayers: some(z.object({ blobSum: digestSchema })),
  history: some(z.object({ v1Compatibility: z.string() })),
});

function some<T>(member: z.ZodType<T>): z.ZodType<T[]> {
  return listOf(member).refine((members) => members.length > 0, { error: "is empty" });
}

/** Parses the payload. Throws AppError `manifest-invalid`. */
export function parseSchema1(bytes: Uint8Array, image: string): Schema1Manifest {
  const what = `the manifest of ${image}`;
  const document = parseJsonDocument(bytes, { schema: manifestSchema, what, maxBytes: bytes.byteLength });
  const { fsLayers, history, architecture } = document;
  if (fsLayers.length !== history.length) {
    throw invalid(what, `it has ${fsLayers.length} layers, but the history of ${history.length}`);
  }
  const documents = history.map(({ v1Compatibility }) => Buffer.from(v1Compatibility));
  // documents within a document: as many small ones are as much work as a large one
  if (documents.reduce((sum, each) => sum + countJsonValues(each), 0) > MAX_JSON_VALUES) {
    throw invalid(what, `its history has more than the limit of ${MAX_JSON_VALUES} values`);
  }
  const layers = documents.map((each, at) =>
    parseJsonDocument(each, {
      schema: v1LayerSchema,
      what: `layer ${history.length - at} in ${what}`,
      maxBytes: MAX_CONFIG_BYTES,
    }),
  );
  const kept = fsLayers.filter((_, at) => layers[at]?.throwaway !== true);
  return {
    kind: "schema1",
    mediaType: DOCKER_MANIFEST_V1,
    architecture,
    blobSums: kept.map(({ blobSum }) => blobSum).reverse(),
    layers: layers.toReversed(),
  };
}

/** The image configuration that says the same. */
export function schema1Config({ layers, architecture }: Schema1Manifest, diffIds: readonly Digest[]): Uint8Array {
  return configOfV1(layers, diffIds, architecture);
}

const signedSchema = z.object({
  schemaVersion: z.literal(1),
  signatures: z
    .array(z.object({ protected: z.string().max(8192) }))
    .min(1)
    .max(100),
});
const protectedSchema = z.object({ formatLength: z.int().positive(), formatTail: z.string().max(8192) });

/**
 * What a signed manifest was before it was signed, which is what its digest is the digest of: its first `formatLength`
 * bytes and then `formatTail`, as every signature's protected header tells (JWS in "pretty" form, libtrust).
 * Undefined for any other document. Throws AppError `manifest-invalid` where the headers do not fit.
 */
export function signedPayload(bytes: Uint8Array, contentType: string | undefined, image: string): Buffer | undefined {
  const served = contentMediaType(contentType);
  if (served !== undefined && !isSchema1(served)) return undefined;
  const what = `the manifest of ${image}`;
  const signatures = readSignatures(bytes, what);
  if (signatures === undefined) return undefined;
  const headers = signatures.map(({ protected: header }) =>
    parseJsonDocument(Buffer.from(header, "base64url"), {
      schema: protectedSchema,
      what: `a signature of ${what}`,
      maxBytes: 8192,
    }),
  );
  const [first] = headers;
  const agreed = headers.every((header) => JSON.stringify(header) === JSON.stringify(first));
  if (first === undefined || !agreed) throw invalid(what, "its signatures are for different documents");
  if (first.formatLength > bytes.byteLength) throw invalid(what, "its signature is for a longer document");
  return Buffer.concat([bytes.subarray(0, first.formatLength), Buffer.from(first.formatTail, "base64url")]);
}

/** Undefined when it has none: a document that is no JSON at all is told so by who reads it next. */
function readSignatures(bytes: Uint8Array, what: string): z.output<typeof signedSchema>["signatures"] | undefined {
  // most documents are of today; signers write that name as it is
  if (!Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).includes('"signatures"')) return undefined;
  try {
    return signedSchema.safeParse(parseJson(bytes, { what, maxBytes: bytes.byteLength })).data?.signatures;
  } catch {
    return undefined;
  }
}

function invalid(what: string, why: string): AppError {
  return new AppError("manifest-invalid", `Cannot use ${what}: ${why}`);
}
