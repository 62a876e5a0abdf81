/**
 * The source of `docker` references: registries. Resolving walks the image's route, mirrors first; fetches index, manifest
 * and configuration, each verified against the digest that led to it; and leaves the layers to be opened when their turn
 * comes.
 */
import { type Digest, isDigest } from "../../../store/index.ts";
import { diffIdsFor, MAX_CONFIG_BYTES, parseImageConfig, requirePlatform } from "../../image/image-config.ts";
import type { Manifest } from "../../image/manifest.ts";
import { type DockerReference, formatReference } from "../../image/reference.ts";
import { inlineData } from "../inline-data.ts";
import type { ImageSource, RemoteBytes, ResolveContext, ResolvedImage, ResolvedLayer } from "../source.ts";
import { createRequestCredentials } from "./credentials.ts";
import { askInOrder } from "./fall-back.ts";
import { type FoundManifest, findManifest } from "./find-manifest.ts";
import type { HostTable } from "./hosts/route.ts";
import type { OpenAddress } from "./layer-address.ts";
import { layerBytes } from "./layer-bytes.ts";
import { lookUp, lookUpDigest } from "./look-up.ts";
import { describePlaces, openPlaces, type Places } from "./places.ts";
import type { Inquiry, RegistryClient } from "./registry-client.ts";
import { estimateSchema1 } from "./schema1-estimate.ts";
import { convertSchema1, schema1Platform } from "./schema1-image.ts";

export interface RegistrySourceParts {
  readonly client: RegistryClient;
  readonly hosts: HostTable;
  readonly openAddress: OpenAddress;
  /** Whether layers that no registry gives are fetched from the addresses in the manifest. */
  readonly foreignLayers: boolean;
}

export function createRegistrySource(parts: RegistrySourceParts): Required<ImageSource<DockerReference>> {
  /** A plan asks for an estimate, and resolves what gives none: with the same context, for which it was found already. */
  const found = new WeakMap<ResolveContext, { readonly reference: DockerReference; readonly image: Found }>();

  const find = async (reference: DockerReference, context: ResolveContext): Promise<Found> => {
    const known = found.get(context);
    if (known?.reference === reference) return known.image;
    const begun = await begin(parts, reference, context);
    const { places, inquiry } = begun;
    return { ...begun, ...(await findManifest(parts.client, places, inquiry, reference, context.platform)) };
  };

  return {
    kind: "docker",
    async resolve(reference, context) {
      const { places, inquiry, document, manifest, place, index, indexPlatform } = await find(reference, context);
      const remote = { ...parts, places, inquiry, manifestFrom: place.stop.endpoint.api };
      const name = inquiry.what;
      const source = place.host;
      if (manifest.kind === "schema1") {
        const bytesOf = (digest: Digest): RemoteBytes => layerBytes({ digest }, remote);
        return { name, source, ...(await convertSchema1(document, manifest, bytesOf, name, context)) };
      }
      const { config, imageConfig } = await fetchConfig(parts.client, places, inquiry, manifest);
      // what an index says of a manifest counts: configurations of cross-built images are often those of the build machine
      const platform = indexPlatform ?? requirePlatform(imageConfig, context.platform, name);
      const diffIds = diffIdsFor(imageConfig, manifest.layers.length, name);
      const layers = manifest.layers.map((blob, position): ResolvedLayer => {
        const diffId = diffIds[position];
        if (diffId === undefined) throw new RangeError("diffIdsFor returned fewer DiffIDs than layers");
        const what = `layer ${blob.digest} of ${name} from ${source}`;
        return { blob, diffId, keepBlob: true, bytes: layerBytes(blob, remote), what };
      });
      const documents = { manifest: document, ...(index !== undefined && { index }), config };
      return { name, source, platform, ...documents, imageConfig, layers };
    },

    /**
     * Asks origins alone, although the image may have come from a mirror: only the origin knows who may have it, and a
     * mirror serves everybody with what one user's credentials, or its own, once brought it. So the policy `always-verify`
     * needs a way to the origin; without one it fails, even where pulling anew from the mirror would not.
     */
    async checkAccess(reference, digest, context) {
      const { places, inquiry } = await begin(parts, reference, context);
      const all = places.list("digest");
      const origins = all.filter(({ role }) => role === "origin");
      await lookUpDigest(parts.client, origins.length > 0 ? origins : all, inquiry, digest);
    },

    async resolveName(reference, context, { anyKind = false } = {}) {
      const { places, inquiry } = await begin(parts, reference, context);
      const version = reference.digest ?? reference.tag ?? "latest";
      const asked = places.list(isDigest(version) ? "digest" : "tag");
      return (anyKind ? lookUpDigest : lookUp)(parts.client, asked, inquiry, version);
    },

    /** For schema 1 alone, whose layers resolving would fetch. What was found of any other image is there for `resolve`. */
    async estimate(reference, context) {
      const image = await find(reference, context);
      const { places, inquiry, manifest } = image;
      if (manifest.kind === "schema1") {
        schema1Platform(manifest, context.platform, inquiry.what);
        return estimateSchema1(parts.client, places, inquiry, manifest);
      }
      found.set(context, { reference, image });
      return undefined;
    },
  };
}

type Found = Begun & FoundManifest;

interface Begun {
  readonly places: Places;
  readonly inquiry: Inquiry;
}

async function begin(
  { hosts }: RegistrySourceParts,
  reference: DockerReference,
  context: ResolveContext,
): Promise<Begun> {
  const { emit, signal, dockerConfig } = context;
  const what = formatReference(reference);
  const route = await hosts.routeFor(reference);
  const places = openPlaces(route, reference);
  const asked = places.list(reference.digest === undefined ? "tag" : "digest");
  emit({ type: "resolve", reference: what, source: asked[0]?.host ?? reference.host });
  if (route.files.length > 0) {
    emit({
      type: "decision",
      topic: "configuration",
      message: `how ${reference.host} is reached: ${route.files.join(", ")}`,
    });
  }
  for (const message of route.warnings) emit({ type: "warning", message });
  emit({ type: "decision", topic: "mirror", message: describePlaces(asked) });
  const inquiry: Inquiry = {
    what,
    emit,
    warned: new Set(),
    ...(signal !== undefined && { signal }),
    ...(dockerConfig !== undefined && { credentials: createRequestCredentials(dockerConfig) }),
  };
  return { places, inquiry };
}

async function fetchConfig(
  client: RegistryClient,
  places: Places,
  inquiry: Inquiry,
  { config: descriptor }: Manifest,
): Promise<Pick<ResolvedImage, "config" | "imageConfig">> {
  const { what, emit, signal } = inquiry;
  const fetch = async (): Promise<Uint8Array> => {
    const context = { item: "the configuration", what, emit, ...(signal !== undefined && { signal }) };
    const { place, answer } = await askInOrder(places.list("digest"), context, (asked) =>
      client.fetchBlob(asked, inquiry, descriptor, MAX_CONFIG_BYTES),
    );
    places.answered(place);
    return answer;
  };
  const bytes = inlineData(descriptor, `the configuration of ${what}`) ?? (await fetch());
  return { config: { descriptor, bytes }, imageConfig: parseImageConfig(bytes, what) };
}
