/**
 * Manifest and ImageIndex, parsed from untrusted bytes. Docker schema 2 and manifest lists come out under OCI names,
 * schema 1 as what it is (schema1.ts).
 *
 * A document is taken for what both its body and the server's Content-Type say it is. One that could be read as two
 * things is refused: otherwise two programs could see two images behind one digest.
 */
import { z } from "zod";
import { AppError } from "../errors.ts";
import { artifactKind } from "./artifact-kinds.ts";
import { listOf } from "./bounded.ts";
import { annotationsSchema, type Descriptor, descriptorSchema } from "./descriptor.ts";
import { checkJson, type JsonOptions, parseJson } from "./json-document.ts";
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
import { quoted } from "./remote-text.ts";
import { parseSchema1, type Schema1Manifest } from "./schema1.ts";

/** Bytes; no manifest or index beyond this is read. The distribution specification asks for at least a quarter of it. */
export const MAX_MANIFEST_BYTES = 16 * 1024 * 1024;

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
  artifactType: z.string().max(255).exactOptional(),
  layers: listOf(descriptorSchema),
  annotations: annotationsSchema.default({}),
});
const indexSchema = z.object({
  manifests: listOf(descriptorSchema),
  annotations: annotationsSchema.default({}),
});

/**
 * Either kind. `subject` is passed over: what a manifest says about another changes nothing in its own image.
 * Throws AppError `manifest-invalid`, or `media-type-unsupported` for what is no container image.
 */
export function parseManifestOrIndex(bytes: Uint8Array, context: ManifestContext): Manifest | ImageIndex {
  return parseAs(bytes, context, () => {
    throw schema1Unsupported(context.what);
  });
}

/** As `parseManifestOrIndex`, with Docker schema 1 besides, unsigned or the payload of a signed one. */
export function parseAnyManifest(bytes: Uint8Array, context: ManifestContext): Manifest | ImageIndex | Schema1Manifest {
  return parseAs(bytes, context, () => parseSchema1(bytes, context.what));
}

function parseAs<S>(bytes: Uint8Array, context: ManifestContext, readSchema1: () => S): Manifest | ImageIndex | S {
  const options = jsonOptions(context);
  const document = parseJson(bytes, options);
  const body = checkJson(document, { ...options, schema: shape });
  if (isSchema1Body(body, context)) return readSchema1();
  const mediaType = decideMediaType(body, context);
  if (isIndex(mediaType)) {
    return { kind: "index", mediaType, ...checkJson(document, { ...options, schema: indexSchema }) };
  }
  const { artifactType, ...manifest } = checkJson(document, { ...options, schema: manifestSchema });
  return { kind: "manifest", mediaType, ...manifest, config: requireImage(manifest, artifactType, context.what) };
}

function jsonOptions({ what, contentType }: ManifestContext): JsonOptions {
  const options = { what: `the manifest of ${what}`, maxBytes: MAX_MANIFEST_BYTES };
  const served = contentMediaType(contentType);
  if (served === undefined) return options;
  const isPage = /html/.test(served);
  const hint = "a login page or a proxy answered in the registry's place: check the address, and the proxy settings";
  return { ...options, servedAs: quoted(served), ...(isPage && { hint }) };
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

/** By the server's word, or by the document's where the server only says "JSON"; never against either. */
function isSchema1Body(body: Readonly<Record<string, unknown>>, context: ManifestContext): boolean {
  const served = contentMediaType(context.contentType);
  const named = typeof body["mediaType"] === "string" ? body["mediaType"] : undefined;
  const claims = body["schemaVersion"] === 1 || isSchema1(named ?? "") || isSchema1(served ?? "");
  if (!claims) return false;
  const contradiction = [named, served].find((type) => type !== undefined && !isSchema1(type));
  if (contradiction !== undefined) {
    throw invalid(context.what, `it is of schema 1 in one place and ${quoted(contradiction)} in another`);
  }
  if (["config", "layers", "manifests"].some((member) => Object.hasOwn(body, member))) {
    throw invalid(context.what, "it claims to be of schema 1 and of schema 2 at once");
  }
  return true;
}

function decideMediaType(body: Readonly<Record<string, unknown>>, context: ManifestContext): string {
  const served = contentMediaType(context.contentType);
  const named = typeof body["mediaType"] === "string" ? body["mediaType"] : undefined;
  if (body["schemaVersion"] !== 2)
    throw invalid(context.what, `its schemaVersion is ${quoted(body["schemaVersion"])}, not 2`);
  if (named !== undefined && served !== undefined && named !== served) {
    throw invalid(context.what, `it calls itself ${quoted(named)} but was served as ${quoted(served)}`);
  }
  const hasManifests = Object.hasOwn(body, "manifests");
  const hasLayers = Object.hasOwn(body, "layers") || Object.hasOwn(body, "config");
  if (hasManifests && hasLayers) throw invalid(context.what, "it claims to be an index and a manifest at once");
  const mediaType = named ?? served ?? (hasManifests ? OCI_INDEX : OCI_MANIFEST);
  if (mediaType === OCI_ARTIFACT_MANIFEST || (!isIndex(mediaType) && !isManifest(mediaType))) {
    throw unsupported(context.what, `its manifest is ${described(mediaType)}`);
  }
  if (isIndex(mediaType) !== hasManifests) {
    throw invalid(
      context.what,
      `it calls itself ${quoted(mediaType)} but has no ${isIndex(mediaType) ? "manifests" : "layers"}`,
    );
  }
  return mediaType;
}

/** Returns the config descriptor under its OCI name; refuses artifacts (charts, signatures, plugins, …) by name. */
function requireImage(
  manifest: { readonly config: Descriptor; readonly layers: readonly Descriptor[] },
  artifactType: string | undefined,
  what: string,
): Descriptor {
  // early Docker registries served configurations as plain bytes
  const config =
    manifest.config.mediaType === "application/octet-stream"
      ? { ...manifest.config, mediaType: OCI_CONFIG }
      : manifest.config;
  if (artifactType !== undefined && !isConfig(artifactType)) {
    throw unsupported(what, `it is an artifact, ${described(artifactType)}`);
  }
  const strange = manifest.layers.findIndex((layer) => !isLayer(layer.mediaType));
  const strangeType = manifest.layers[strange]?.mediaType ?? "";
  if (!isConfig(config.mediaType)) {
    // many artifacts leave their configuration empty, and then only their content says what they are
    const type =
      artifactKind(config.mediaType) === undefined && artifactKind(strangeType) !== undefined
        ? strangeType
        : config.mediaType;
    throw unsupported(what, `it is an artifact, ${described(type)}`);
  }
  if (strange >= 0) throw unsupported(what, `layer ${strange + 1} is ${described(strangeType)}`);
  return config;
}

/** `a Helm chart ("application/…")` */
function described(mediaType: string): string {
  const kind = artifactKind(mediaType);
  return kind === undefined ? quoted(mediaType) : `${kind} (${quoted(mediaType)})`;
}

function schema1Unsupported(what: string): AppError {
  return new AppError("media-type-unsupported", `Cannot use ${what}: its manifest is Docker schema 1`, {
    hint: "only registries serve schema 1; push the image again with a Docker of 2016 or later, which writes schema 2",
  });
}

function unsupported(what: string, why: string): AppError {
  return new AppError("media-type-unsupported", `Cannot use ${what}: ${why}`, {
    hint: "only container images become root filesystems",
  });
}

function invalid(what: string, why: string): AppError {
  return new AppError("manifest-invalid", `Cannot use the manifest of ${what}: ${why}`);
}
