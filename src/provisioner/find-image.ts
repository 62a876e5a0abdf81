/** Which image of the store a reference means. */
import type { Image, Store } from "../../store/index.ts";
import { wantedPlatform } from "../image/appc-platform.ts";
import { type AppcReference, appcMatches } from "../image/appc-reference.ts";
import { formatPlatform, hostPlatform, type Platform, parsePlatform, platformDistance } from "../image/platform.ts";
import { formatReference, type ImageReference, parseReference } from "../image/reference.ts";

/** The image that a request for `platform` (this machine's when absent) would be given without asking anybody. */
export function findImage(store: Store, reference: ImageReference, platform?: Platform): Image | undefined {
  if (reference.kind !== "appc")
    return store.images.get(formatReference(reference), formatPlatform(platform ?? hostPlatform()));
  return findAppcImages(store, reference, platform, platform ?? hostPlatform())[0];
}

/** All images that a reference may mean, best first; of all platforms where none is said. */
export function findImages(store: Store, reference: ImageReference, platform?: Platform): readonly Image[] {
  if (reference.kind === "appc") return findAppcImages(store, reference, platform, undefined);
  const image = store.images.get(formatReference(reference), platform && formatPlatform(platform));
  return image === undefined ? [] : [image];
}

/**
 * Appc images are found by their ID, or by name and whatever labels were given: an image has them all and may have more.
 * Of several, the one to which just this reference led last; then the one with the fewest labels that nobody asked for,
 * then the latest. An ID is that of one image, whatever it is for; labels say what a name is for.
 */
function findAppcImages(
  store: Store,
  reference: AppcReference,
  asked: Platform | undefined,
  fallback: Platform | undefined,
): readonly Image[] {
  const { images } = store;
  const byId = reference.imageId !== undefined;
  const named = byId ? images.findByDigest(reference.imageId) : images.findByPrefix(`appc:${reference.name ?? ""}`);
  const platform = asked ?? (byId || fallback === undefined ? undefined : wantedPlatform(reference.labels, fallback));
  const last = images.getAsked(formatReference(reference));
  const rank = ({ image, own }: { image: Image; own: AppcReference }): readonly number[] => [
    last?.name === image.name && last.platform === image.platform ? 0 : 1,
    Object.keys(own.labels).length,
    -image.updatedAt,
  ];
  return named
    .flatMap((image) => {
      const own = ownReference(image);
      const fits = own !== undefined && appcMatches(reference, own, image.imageId) && serves(image, platform);
      return fits ? [{ image, own }] : [];
    })
    .sort((a, b) => compare(rank(a), rank(b)))
    .map(({ image }) => image);
}

/** Appc images are listed under their own names, with all their labels. */
function ownReference(image: Image): AppcReference | undefined {
  if (!image.name.startsWith("appc:")) return undefined;
  const own = parseReference(image.name);
  return own.kind === "appc" ? own : undefined;
}

function serves(image: Image, platform: Platform | undefined): boolean {
  return platform === undefined || platformDistance(platform, parsePlatform(image.platform)) !== undefined;
}

function compare(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((value, index) => value !== b[index]);
  return at < 0 ? 0 : (a[at] ?? 0) - (b[at] ?? 0);
}
