/** Which manifest of an index fits a platform: exact first, then the nearest older CPU level, as containerd does. */
import type { Descriptor } from "./descriptor.ts";
import { isIndex, isManifest } from "./media-types.ts";
import { type Platform, platformDistance, platformUnknown } from "./platform.ts";

/**
 * Picks among the manifests of an index; `what` names the image for the message.
 * An entry without a platform serves only when no entry with one does: its configuration says later what it is.
 * Throws AppError `platform-unknown` that lists what there is.
 */
export function pickPlatform(manifests: readonly Descriptor[], wanted: Platform, what: string): Descriptor {
  const images = manifests.filter(isImage);
  let best: { readonly descriptor: Descriptor; readonly distance: number } | undefined;
  for (const descriptor of images) {
    const distance = descriptor.platform && platformDistance(wanted, descriptor.platform);
    if (distance !== undefined && (best === undefined || distance < best.distance)) best = { descriptor, distance };
  }
  const picked = best?.descriptor ?? images.find((descriptor) => descriptor.platform === undefined);
  if (picked !== undefined) return picked;
  throw platformUnknown(
    what,
    wanted,
    images.flatMap((descriptor) => descriptor.platform ?? []),
  );
}

/** Build attestations sit in indexes beside the images; nothing can be unpacked from them. */
function isImage(descriptor: Descriptor): boolean {
  if (!isManifest(descriptor.mediaType) && !isIndex(descriptor.mediaType)) return false;
  if (descriptor.annotations?.["vnd.docker.reference.type"] !== undefined) return false;
  return !(descriptor.platform?.os === "unknown" && descriptor.platform.architecture === "unknown");
}
