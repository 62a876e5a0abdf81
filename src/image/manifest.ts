/**
 * Manifest and ImageIndex, parsed from untrusted bytes. Docker schema 2 and manifest lists come out under OCI names.
 *
 * A document is taken for what both its body and the server's Content-Type say it is. One that could be read as two
 * things is refused: otherwise two programs could see two images behind one digest.
 */
import { z } from "zod";
import { AppError } from "../errors.ts";
import { annotationsSchema, type Descriptor, descriptorSchema } from "./descriptor.ts";
import { parseJsonDocument } from "./json-document.ts";
import {
  contentMediaType,
  isConfig,
  isIndex,
  isLayer,
  isManifest,
  isSchema1,
  OCI_ARTIFACT_MANIFEST,
  OCI_CONFIG,
  OCI_INDEX,
  OCI_MANIFEST,
} from "./media-types.ts";

/** Bytes; no manifest or index beyond this is read. The distribution specification asks for at least this much. */
export const MAX_MANIFEST_BYTES = 4 * 1024 * 1024;

export interface Manifest {
  readonly kind: "manifest";
  /** As the document or the server names it: Docker's name for a Docker manifest. */
  readonly mediaType: string;
  readonly config: Descriptor;
  /** Base first. */
  readonly layers: readonly Descriptor[];
  readonly annotations: Readonly<Record<string, string>>;
}

export interface ImageIndex {
  readonly kind: "index";
  readonly mediaType: string;
  readonly manifests: readonly Descriptor[];
  readonly annotations: Readonly<Record<string, string>>;
}

export interface ManifestContext {
  /** What the bytes are, for messages: an image name or a path. */
  readonly what: string;
  /** Content-Type header, or the mediaType of the descriptor that led here. */
  readonly contentType?: string;
}

const shape = z.looseObject({ schemaVersion: z.unknown().optional(), mediaType: z.string().exactOptional() });
const manifestSchema = z.object({
  config: descriptorSchema,
  layers: z.array(descriptorSchema).max(10_000),
  annotations: annotationsSchema.default({}),
});
const indexSchema = z.object({
  manifests: z.array(descriptorSchema).max(10_000),
  annotations: annotationsSchema.default({}),
});

/** Either kind. Throws AppError `manifest-invalid`, or `media-type-unsupported` for what is no container image. */
export function parseManifestOrIndex(bytes: Uint8Array, context: ManifestContext): Manifest | ImageIndex {
  const what = `the manifest of ${context.what}`;
  const limits = { what, maxBytes: MAX_MANIFEST_BYTES };
  const body = parseJsonDocument(bytes, { ...limits, schema: shape });
  const mediaType = decideMediaType(body, context);
  if (isIndex(mediaType)) {
    return { kind: "index", mediaType, ...parseJsonDocument(bytes, { ...limits, schema: indexSchema }) };
  }
  const manifest = parseJsonDocument(bytes, { ...limits, schema: manifestSchema });
  return { kind: "manifest", mediaType, ...manifest, config: requireImage(manifest, context.what) };
}

/** As `parseManifestOrIndex`, where only a manifest will do. */
export function parseManifest(bytes: Uint8Array, context: ManifestContext): Manifest {
  const document = parseManifestOrIndex(bytes, context);
  if (document.kind === "manifest") return document;
  throw invalid(context.what, "it is an index where a manifest was promised");
}

/** As `parseManifestOrIndex`, where only an index will do. */
export function parseIndex(bytes: Uint8Array, context: ManifestContext): ImageIndex {
  const document = parseManifestOrIndex(bytes, context);
  if (document.kind === "index") return document;
  throw invalid(context.what, "it is a manifest where an index was promised");
}

function decideMediaType(body: Readonly<Record<string, unknown>>, context: ManifestContext): string {
  const served = contentMediaType(context.contentType);
  const named = typeof body["mediaType"] === "string" ? body["mediaType"] : undefined;
  if (body["schemaVersion"] === 1 || isSchema1(named ?? "") || (named === undefined && isSchema1(served ?? ""))) {
    throw schema1Unsupported(context.what);
  }
  if (body["schemaVersion"] !== 2)
    throw invalid(context.what, `its schemaVersion is ${printed(body["schemaVersion"])}, not 2`);
  if (named !== undefined && served !== undefined && named !== served) {
    throw invalid(context.what, `it calls itself ${printed(named)} but was served as ${printed(served)}`);
  }
  const hasManifests = Object.hasOwn(body, "manifests");
  const hasLayers = Object.hasOwn(body, "layers") || Object.hasOwn(body, "config");
  if (hasManifests && hasLayers) throw invalid(context.what, "it claims to be an index and a manifest at once");
  const mediaType = named ?? served ?? (hasManifests ? OCI_INDEX : OCI_MANIFEST);
  if (mediaType === OCI_ARTIFACT_MANIFEST || (!isIndex(mediaType) && !isManifest(mediaType))) {
    throw unsupported(context.what, `its manifest is ${printed(mediaType)}`);
  }
  if (isIndex(mediaType) !== hasManifests) {
    throw invalid(
      context.what,
      `it calls itself ${printed(mediaType)} but has no ${isIndex(mediaType) ? "manifests" : "layers"}`,
    );
  }
  return mediaType;
}

/** Returns the config descriptor under its OCI name; refuses artifacts (charts, signatures, plugins, …). */
function requireImage(manifest: { config: Descriptor; layers: readonly Descriptor[] }, what: string): Descriptor {
  // early Docker registries served configurations as plain bytes
  const config =
    manifest.config.mediaType === "application/octet-stream"
      ? { ...manifest.config, mediaType: OCI_CONFIG }
      : manifest.config;
  if (!isConfig(config.mediaType)) {
    throw unsupported(what, `it is an artifact with a configuration of type ${printed(config.mediaType)}`);
  }
  for (const [index, layer] of manifest.layers.entries()) {
    if (!isLayer(layer.mediaType)) throw unsupported(what, `layer ${index + 1} is ${printed(layer.mediaType)}`);
  }
  return config;
}

export function schema1Unsupported(what: string): AppError {
  return new AppError("media-type-unsupported", `Cannot use ${what}: its manifest is Docker schema 1`, {
    hint: "push the image again with a Docker of 2016 or later, which writes schema 2",
  });
}

function unsupported(what: string, why: string): AppError {
  return new AppError("media-type-unsupported", `Cannot use ${what}: ${why}`, {
    hint: "only container images (OCI, or Docker schema 2) become root filesystems",
  });
}

function invalid(what: string, why: string): AppError {
  return new AppError("manifest-invalid", `Cannot use the manifest of ${what}: ${why}`);
}

/** A remote string for a message: bounded, and without control characters that would reach a terminal. */
function printed(value: unknown): string {
  return (JSON.stringify(value) ?? "missing").slice(0, 120);
}
