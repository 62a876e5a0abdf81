/**
 * The source of `docker` references: a registry. Resolving fetches index, manifest and configuration, each verified
 * against the digest that led to it, and leaves the layers to be opened when their turn comes.
 */
import { AppError } from "../../errors.ts";
import type { Descriptor } from "../../image/descriptor.ts";
import { DOCKER_HUB } from "../../image/docker-reference.ts";
import { diffIdsFor, MAX_CONFIG_BYTES, parseImageConfig, requirePlatform } from "../../image/image-config.ts";
import { type Manifest, parseManifestOrIndex } from "../../image/manifest.ts";
import { isIndex } from "../../image/media-types.ts";
import { pickPlatform } from "../../image/pick-platform.ts";
import type { Platform } from "../../image/platform.ts";
import { type DockerReference, formatReference } from "../../image/reference.ts";
import { inlineData } from "../inline-data.ts";
import type {
  ByteStream,
  ImageSource,
  ResolveContext,
  ResolvedImage,
  ResolvedLayer,
  StoredDocument,
} from "../source.ts";
import { DOCKER_HUB_API, type Endpoint } from "./endpoint.ts";
import type { RegistryClient, Repository } from "./registry-client.ts";

/** An index may name another index; more than this deep is no image but a maze. */
const MAX_INDEX_DEPTH = 3;

export interface RegistrySourceParts {
  readonly client: RegistryClient;
  /** Throws where the host may not be spoken to. */
  readonly endpointFor: (host: string) => Endpoint;
}

export function createRegistrySource(parts: RegistrySourceParts): ImageSource<DockerReference> {
  return {
    kind: "docker",
    async resolve(reference, context) {
      const endpoint = parts.endpointFor(reference.host);
      const [first, second] = repositoryNames(reference, endpoint);
      const resolveAs = (name: string): Promise<ResolvedImage> => {
        const what = formatReference(reference);
        context.emit({ type: "resolve", reference: what, source: endpoint.host });
        return resolveFrom(parts.client, reference, { endpoint, name, what, ...context });
      };
      try {
        return await resolveAs(first);
      } catch (error) {
        if (second === undefined || !isUnknown(error)) throw error;
        return await resolveAs(second).catch((again: unknown) => {
          throw isUnknown(again) ? error : again;
        });
      }
    },
  };
}

function isUnknown(error: unknown): boolean {
  return error instanceof AppError && error.code === "image-unknown";
}

/**
 * Usually one. Where docker.io is served by a registry of the operator's own, `busybox` may be kept there as Docker Hub
 * has it (library/busybox: a mirror) or as it was written (busybox: their own image), and both are looked for.
 */
function repositoryNames(reference: DockerReference, endpoint: Endpoint): readonly [string, string?] {
  const { host, repository, asTyped } = reference;
  const own = host === DOCKER_HUB && endpoint.host !== DOCKER_HUB_API;
  if (!own || !repository.startsWith("library/") || asTyped.includes("library/")) return [repository];
  return [repository, repository.slice("library/".length)];
}

type Pull = Repository & ResolveContext;

async function resolveFrom(client: RegistryClient, reference: DockerReference, pull: Pull): Promise<ResolvedImage> {
  const { document, manifest, index, indexPlatform } = await findManifest(client, reference, pull);
  const configBytes =
    inlineData(manifest.config, `the configuration of ${pull.what}`) ??
    (await client.fetchBlob(pull, manifest.config, MAX_CONFIG_BYTES));
  const imageConfig = parseImageConfig(configBytes, pull.what);
  // what an index says of a manifest counts: configurations of cross-built images are often those of the build machine
  const platform = indexPlatform ?? requirePlatform(imageConfig, pull.platform, pull.what);
  const diffIds = diffIdsFor(imageConfig, manifest.layers.length, pull.what);
  const layers = manifest.layers.map((blob, position): ResolvedLayer => {
    const diffId = diffIds[position];
    if (diffId === undefined) throw new RangeError("diffIdsFor returned fewer DiffIDs than layers");
    return { blob, diffId, keepBlob: true, bytes: { open: layerOpener(client, pull, blob) } };
  });
  return {
    name: pull.what,
    source: pull.endpoint.host,
    platform,
    manifest: document,
    ...(index !== undefined && { index }),
    config: { descriptor: manifest.config, bytes: configBytes },
    imageConfig,
    layers,
  };
}

interface FoundManifest {
  readonly document: StoredDocument;
  readonly manifest: Manifest;
  readonly index?: StoredDocument;
  /** The platform for which the index offers it. */
  readonly indexPlatform?: Platform;
}

/** Fetches what the reference names and, as long as that is an index, the manifest for the platform in it. */
async function findManifest(client: RegistryClient, reference: DockerReference, pull: Pull): Promise<FoundManifest> {
  let version: string = reference.digest ?? reference.tag ?? "latest";
  let expected: Descriptor | undefined;
  let index: StoredDocument | undefined;
  for (let depth = 0; depth <= MAX_INDEX_DEPTH; depth += 1) {
    const fetched = await fetchOrInline(client, pull, version, expected);
    const { contentType } = fetched;
    const parsed = parseManifestOrIndex(fetched.bytes, {
      what: pull.what,
      ...(contentType !== undefined && { contentType }),
    });
    if (expected !== undefined && isIndex(expected.mediaType) !== (parsed.kind === "index")) {
      throw new AppError(
        "manifest-invalid",
        `Cannot use ${pull.what}: its index takes a ${parsed.kind} for something else`,
      );
    }
    const descriptor = { mediaType: parsed.mediaType, digest: fetched.digest, size: fetched.bytes.byteLength };
    const document = { descriptor, bytes: fetched.bytes };
    if (parsed.kind === "manifest") {
      const indexPlatform = expected?.platform;
      return {
        document,
        manifest: parsed,
        ...(index !== undefined && { index }),
        ...(indexPlatform !== undefined && { indexPlatform }),
      };
    }
    index ??= document;
    expected = pickPlatform(parsed.manifests, pull.platform, pull.what);
    version = expected.digest;
  }
  throw new AppError(
    "manifest-invalid",
    `Cannot use ${pull.what}: its indexes are nested more than ${MAX_INDEX_DEPTH} deep`,
  );
}

async function fetchOrInline(
  client: RegistryClient,
  pull: Pull,
  version: string,
  expected: Descriptor | undefined,
): ReturnType<RegistryClient["fetchManifest"]> {
  const inline = expected && inlineData(expected, `a manifest of ${pull.what}`);
  if (expected === undefined || inline === undefined) return client.fetchManifest(pull, version, expected);
  return { bytes: inline, digest: expected.digest, contentType: undefined };
}

function layerOpener(
  client: RegistryClient,
  pull: Pull,
  blob: Descriptor,
): (offset: number, signal: AbortSignal) => Promise<ByteStream> {
  return async (offset, signal) => {
    const inline = inlineData(blob, `a layer of ${pull.what}`);
    if (inline === undefined) return client.openBlob(pull, blob, offset, signal);
    return { offset, body: once(inline.subarray(offset)) };
  };
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  if (bytes.byteLength > 0) yield bytes;
}
