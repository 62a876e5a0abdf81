/** Which manifest of an index fits a platform: exact first, then what serves it as well, as containerd does. */
import { AppError } from "../errors.ts";
import type { Descriptor } from "./descriptor.ts";
import { isConfig, isIndex, isManifest } from "./media-types.ts";
import { formatPlatform, type Platform, platformDistance, platformUnknown } from "./platform.ts";
import { listed } from "./remote-text.ts";

/**
 * Picks among the manifests of an index; `what` names the image for the message. Of equals the first counts.
 * An entry without a platform serves only when no entry with one does: its configuration says later what it is.
 * Throws AppError `platform-unknown` that lists what there is, or says that there is no image.
 */
export function pickPlatform(manifests: readonly Descriptor[], wanted: Platform, what: string): Descriptor {
  const images = manifests.filter(isImage);
  if (images.length === 0) throw noImages(manifests, wanted, what);
  let best: { readonly descriptor: Descriptor; readonly distance: number } | undefined;
  for (const descriptor of images) {
    const distance = saysPlatform(descriptor) ? platformDistance(wanted, descriptor.platform) : undefined;
    if (distance !== undefined && (best === undefined || distance < best.distance)) best = { descriptor, distance };
  }
  const picked = best?.descriptor ?? images.find((descriptor) => !saysPlatform(descriptor));
  if (picked !== undefined) return picked;
  throw platformUnknown(
    what,
    wanted,
    images.flatMap((descriptor) => descriptor.platform ?? []),
  );
}

function noImages(manifests: readonly Descriptor[], wanted: Platform, what: string): AppError {
  const why =
    manifests.length === 0
      ? "its index is empty"
      : `its index has no image, only things about images (${manifests.length}), such as attestations and signatures`;
  return new AppError("platform-unknown", `Cannot use ${what}: ${why}`, {
    hint: "check the tag; if it is right, the image was never pushed, or was deleted: push it again",
    details: { wanted: formatPlatform(wanted), offered: [] },
  });
}

/** Why `picked` was, in words for `--explain`. */
export function describePick(picked: Descriptor, manifests: readonly Descriptor[], wanted: Platform): string {
  const offered = manifests.filter(isImage).filter(saysPlatform);
  const names = [...new Set(offered.map(({ platform }) => formatPlatform(platform)))];
  const asked = formatPlatform(wanted);
  if (!saysPlatform(picked)) {
    return `no entry of the index is said to be for ${asked}; trying ${picked.digest}, which does not say`;
  }
  const taken = formatPlatform(picked.platform);
  const why = taken === asked ? `${asked} is in the index` : `there is no ${asked}, but it runs ${taken}`;
  return `${why} (of ${listed(names)}): ${picked.digest}`;
}

export function saysPlatform(descriptor: Descriptor): descriptor is Descriptor & { readonly platform: Platform } {
  return descriptor.platform !== undefined && formatPlatform(descriptor.platform) !== "";
}

/** Build attestations and other artifacts sit in indexes beside the images; nothing can be unpacked from them. */
export function isImage(descriptor: Descriptor): boolean {
  if (!isManifest(descriptor.mediaType) && !isIndex(descriptor.mediaType)) return false;
  if (descriptor.annotations?.["vnd.docker.reference.type"] !== undefined) return false;
  if (descriptor.artifactType !== undefined && !isConfig(descriptor.artifactType)) return false;
  return !(descriptor.platform?.os === "unknown" && descriptor.platform.architecture === "unknown");
}
