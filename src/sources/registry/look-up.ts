/**
 * What a tag or digest stands for, and whether it may be read, with as little fetched as tells it: HEAD, which registries
 * count more lightly than GET, and whose digest is the registry's word. Where that is missing or says less than is asked
 * for, GET, and the digest of what comes.
 */
import { isDigest } from "../../../store/index.ts";
import { parseAnyManifest } from "../../image/manifest.ts";
import { isIndex, isManifest, isSchema1, OCI_MANIFEST } from "../../image/media-types.ts";
import type { ResolvedName } from "../source.ts";
import { askInOrder } from "./fall-back.ts";
import type { Place } from "./places.ts";
import type { Inquiry, RegistryClient } from "./registry-client.ts";

/**
 * Throws AppErrors as pulling it would: `image-unknown`, `registry-denied`, `media-type-unsupported`, … A chart or a
 * signature has the media type of an OCI manifest, as an image has; such a manifest is fetched to see which it is.
 */
export function lookUp(
  client: RegistryClient,
  places: readonly Place[],
  inquiry: Inquiry,
  version: string,
): Promise<ResolvedName> {
  return ask(client, places, inquiry, version, (mediaType) => isImage(mediaType) && mediaType !== OCI_MANIFEST);
}

/** As `lookUp`, for what is known to be an image, or is only compared: the media type of one will do. */
export function lookUpDigest(
  client: RegistryClient,
  places: readonly Place[],
  inquiry: Inquiry,
  version: string,
): Promise<ResolvedName> {
  return ask(client, places, inquiry, version, isImage);
}

/** `suffices`: whether no more than a manifest's media type needs to be known. */
async function ask(
  client: RegistryClient,
  places: readonly Place[],
  inquiry: Inquiry,
  version: string,
  suffices: (mediaType: string) => boolean,
): Promise<ResolvedName> {
  const { what, emit, signal } = inquiry;
  const item = isDigest(version) ? `manifest ${version}` : `tag ${version}`;
  const context = { item, what, emit, ...(signal !== undefined && { signal }) };
  const { place, answer } = await askInOrder(places, context, async (asked) => {
    const head = await client.headManifest(asked, inquiry, version);
    const clear = head !== "unclear" && suffices(head.mediaType) && (!isDigest(version) || head.digest === version);
    if (clear) return head;
    const { bytes, digest, contentType } = await client.fetchManifest(asked, inquiry, version);
    const parsed = parseAnyManifest(bytes, { what, ...(contentType !== undefined && { contentType }) });
    return { digest, mediaType: parsed.mediaType, size: bytes.byteLength };
  });
  return { ...answer, source: place.host };
}

function isImage(mediaType: string): boolean {
  return isManifest(mediaType) || isIndex(mediaType) || isSchema1(mediaType);
}
