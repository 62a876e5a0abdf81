/** From a request to an image in the store, as the pull policy has it. */
import type { Image, Lease } from "../../store/index.ts";
import { AppError, toAppError } from "../errors.ts";
import { formatPlatform, hostPlatform, type Platform } from "../image/platform.ts";
import { formatReference, type ImageReference, parseReference, pinnedDigest } from "../image/reference.ts";
import { cachedImage } from "./cached.ts";
import { tryCandidates } from "./candidates.ts";
import type { Call, ProvisionerContext } from "./context.ts";
import { findImage } from "./find-image.ts";
import { isUnchanged } from "./is-unchanged.ts";
import { type PulledImage, pullImage } from "./pull.ts";
import type { ImageRequest } from "./request.ts";
import { verifyAccess } from "./verify-access.ts";

export async function obtain(
  context: ProvisionerContext,
  request: ImageRequest,
  lease: Lease,
  call: Call,
): Promise<PulledImage> {
  return await tryCandidates(context, request.reference, call, (reference) =>
    obtainOne(context, { ...request, reference }, lease, call),
  );
}

async function obtainOne(
  context: ProvisionerContext,
  request: ImageRequest,
  lease: Lease,
  call: Call,
): Promise<PulledImage> {
  const { reference, platform, policy = "cached", refresh = false } = request;
  const decide = (message: string): void => call.emit({ type: "decision", topic: "policy", message });
  const name = formatReference(reference);
  const image = findImage(context.store, reference, platform);
  const lookAgain = policy === "always" || (refresh && policy !== "never");
  const why = refresh ? "it is asked for anew" : `policy ${policy}`;
  const useCached = async (reason: string): Promise<PulledImage | undefined> => {
    const cached = image && (await intact(context, image, lease, call));
    if (image === undefined || cached === undefined) return undefined;
    if (policy === "always-verify") await verifyAccess(context, request, image, lease, call);
    decide(reason);
    return cached;
  };
  if (!lookAgain || pinnedDigest(reference) !== undefined) {
    const reason = lookAgain ? "a digest never changes its meaning" : why;
    const cached = await useCached(`${name} is in the store (${reason})`);
    if (cached !== undefined) return cached;
  }
  if (policy === "never") throw notCached(name, platform ?? hostPlatform(), image !== undefined);
  decide(image === undefined ? `${name} is not in the store: pulling it` : `${why}: looking ${name} up again`);
  if (image !== undefined && lookAgain && (await isUnchanged(context, request, image, lease, call))) {
    const cached = await useCached(`${name} still is what is in the store`);
    if (cached !== undefined) return cached;
  }
  return await pullImage(context, { ...request, reference: discoverable(reference, image) }, lease, call);
}

/** An image that is listed but incomplete is fetched again under its own name: its ID alone says what, and not where. */
function discoverable(reference: ImageReference, image: Image | undefined): ImageReference {
  if (reference.kind !== "appc" || reference.name !== undefined || image === undefined) return reference;
  const own = parseReference(image.name);
  return own.kind === "appc" && reference.imageId !== undefined ? { ...own, imageId: reference.imageId } : reference;
}

/** Undefined when something of it is lost or damaged that only its source can replace. */
async function intact(
  context: ProvisionerContext,
  image: Image,
  lease: Lease,
  call: Call,
): Promise<PulledImage | undefined> {
  try {
    return await cachedImage(context, image, lease, call);
  } catch (thrown) {
    const error = toAppError(thrown);
    // a damaged record is dropped by provisionOrRepair; a damaged blob is found out, and replaced, by pulling
    if (error.kind !== "integrity" || error.code === "layer-corrupt") throw error;
    call.emit({ type: "warning", message: `the cached image is damaged and fetched again: ${error.message}` });
    return undefined;
  }
}

function notCached(name: string, platform: Platform, damaged: boolean): AppError {
  const why = damaged
    ? "what the store has of it is incomplete"
    : `it is not in the store for ${formatPlatform(platform)}`;
  return new AppError("image-not-cached", `Cannot use ${name}: ${why}, and the pull policy is never`, {
    hint: "pull or import it first, or allow the network with --pull-policy cached",
    details: { name, platform: formatPlatform(platform) },
  });
}
