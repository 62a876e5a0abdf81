/**
 * From a reference to the manifest for a platform: what the tag or digest names and, as long as that is an index, what is
 * in it for the platform. Each document is verified against the digest that led to it, and asked of all places in turn.
 */
import { isDigest } from "../../../store/index.ts";
import { AppError } from "../../errors.ts";
import type { Descriptor } from "../../image/descriptor.ts";
import { type Manifest, parseAnyManifest } from "../../image/manifest.ts";
import { isIndex } from "../../image/media-types.ts";
import { describePick, pickPlatform } from "../../image/pick-platform.ts";
import type { Platform } from "../../image/platform.ts";
import type { DockerReference } from "../../image/reference.ts";
import type { Schema1Manifest } from "../../image/schema1.ts";
import { inlineData } from "../inline-data.ts";
import type { StoredDocument } from "../source.ts";
import { askInOrder } from "./fall-back.ts";
import type { Place, Places } from "./places.ts";
import type { FetchedManifest, Inquiry, RegistryClient } from "./registry-client.ts";

/** An index may name another index; more than this deep is no image but a maze. */
const MAX_INDEX_DEPTH = 3;

export interface FoundManifest {
  readonly document: StoredDocument;
  readonly manifest: Manifest | Schema1Manifest;
  readonly index?: StoredDocument;
  /** The platform for which the index offers it. */
  readonly indexPlatform?: Platform;
  /** Who gave the manifest. */
  readonly place: Place;
}

type Fetched = FetchedManifest & {
  readonly parsed: ReturnType<typeof parseAnyManifest>;
  readonly place: Place | undefined;
};

export async function findManifest(
  client: RegistryClient,
  places: Places,
  inquiry: Inquiry,
  reference: DockerReference,
  platform: Platform,
): Promise<FoundManifest> {
  const { what } = inquiry;
  let version: string = reference.digest ?? reference.tag ?? "latest";
  let expected: Descriptor | undefined;
  let index: StoredDocument | undefined;
  let place: Place | undefined;
  for (let depth = 0; depth <= MAX_INDEX_DEPTH; depth += 1) {
    const fetched = await fetch(client, places, inquiry, version, expected);
    const { parsed } = fetched;
    place = fetched.place ?? place;
    if (expected !== undefined && isIndex(expected.mediaType) !== (parsed.kind === "index")) {
      throw new AppError("manifest-invalid", `Cannot use ${what}: its index takes a ${parsed.kind} for something else`);
    }
    const descriptor = { mediaType: parsed.mediaType, digest: fetched.digest, size: fetched.bytes.byteLength };
    const document = { descriptor, bytes: fetched.bytes };
    if (parsed.kind !== "index") {
      if (place === undefined) throw new RangeError("an inlined manifest without an index around it");
      const indexPlatform = expected?.platform;
      return {
        document,
        manifest: parsed,
        place,
        ...(index !== undefined && { index }),
        ...(indexPlatform !== undefined && { indexPlatform }),
      };
    }
    index ??= document;
    expected = pickPlatform(parsed.manifests, platform, what);
    version = expected.digest;
    const message = describePick(expected, parsed.manifests, platform);
    inquiry.emit({ type: "decision", topic: "platform", message });
  }
  throw new AppError(
    "manifest-invalid",
    `Cannot use ${what}: its indexes are nested more than ${MAX_INDEX_DEPTH} deep`,
  );
}

/** Parsed here, so that a mirror that has something else under a tag is passed over like one that has nothing. */
async function fetch(
  client: RegistryClient,
  places: Places,
  inquiry: Inquiry,
  version: string,
  expected: Descriptor | undefined,
): Promise<Fetched> {
  const parse = (fetched: FetchedManifest): Fetched["parsed"] => {
    const { contentType } = fetched;
    return parseAnyManifest(fetched.bytes, {
      what: inquiry.what,
      ...(contentType !== undefined && { contentType }),
    });
  };
  const inline = expected && inlineData(expected, `a manifest of ${inquiry.what}`);
  if (expected !== undefined && inline !== undefined) {
    const fetched = { bytes: inline, digest: expected.digest, contentType: undefined };
    return { ...fetched, parsed: parse(fetched), place: undefined };
  }
  const byDigest = isDigest(version);
  const { what, emit, signal } = inquiry;
  const context = {
    item: byDigest ? `manifest ${version}` : `tag ${version}`,
    what,
    emit,
    ...(signal !== undefined && { signal }),
  };
  const { place, answer } = await askInOrder(places.list(byDigest ? "digest" : "tag"), context, async (asked) => {
    const fetched = await client.fetchManifest(asked, inquiry, version, expected);
    return { ...fetched, parsed: parse(fetched) };
  });
  places.answered(place);
  return { ...answer, place };
}
