/** Whether an image is the one that a digest names: only what was read and resolved can prove it. */
import type { Digest } from "../../../store/index.ts";
import { AppError, toAppError } from "../../errors.ts";
import type { ResolvedImage } from "../source.ts";
import type { HeldImage } from "./held-image.ts";

/** Returns the image. Throws AppError `image-unknown` unless the digest is one of its documents'. */
export function requireDigest(image: ResolvedImage, digest: Digest | undefined): ResolvedImage {
  if (digest === undefined || digestsOf(image).includes(digest)) return image;
  throw new AppError("image-unknown", `Cannot use ${image.source}: nothing in it proves to be ${digest}`, {
    hint: "docker save before 25 does not keep manifest digests; name the image by tag, or by its image ID as digest",
    details: { wanted: digest, found: digestsOf(image) },
  });
}

/**
 * The image of that digest among `images`; those that claim to be it are taken at their word, since whoever resolves them
 * finds out. Without one, each is resolved until it is found: manifests are made then, and some configurations, too.
 */
export async function findByDigest(images: readonly HeldImage[], digest: Digest): Promise<HeldImage | undefined> {
  const claiming = images.find(({ digests }) => digests.includes(digest));
  if (claiming !== undefined) return claiming;
  for (const image of images) {
    try {
      if (digestsOf(await image.resolve(image.names[0] ?? image.describe)).includes(digest)) return image;
    } catch (error) {
      // one that is for other platforms is not the one that is meant, unless there is no other
      if (images.length === 1 || toAppError(error).code !== "platform-unknown") throw error;
    }
  }
  return undefined;
}

function digestsOf({ manifest, config, index }: ResolvedImage): readonly Digest[] {
  return [manifest, config, ...(index === undefined ? [] : [index])].map(({ descriptor }) => descriptor.digest);
}
