/** From a name to the digest that it stands for now, as Aurora's binding of images wants it: `name@digest`. */
import type { Digest, Lease } from "../../store/index.ts";
import { AppError } from "../errors.ts";
import { formatReference, type ImageReference } from "../image/reference.ts";
import { tryCandidates } from "./candidates.ts";
import type { Call, ProvisionerContext } from "./context.ts";
import { findImage } from "./find-image.ts";
import { timed } from "./pull.ts";
import type { ImageRequest } from "./request.ts";
import { resolveContext } from "./resolve-context.ts";
import { verifyAccess } from "./verify-access.ts";

export interface BoundName {
  /** Canonical, with what it is bound to: `docker.io/library/busybox@sha256:…`. */
  readonly name: string;
  readonly digest: Digest;
  readonly source: string;
}

/**
 * Without a platform, the digest of what the name itself stands for, which may be an index; with one, of the manifest for
 * that platform. Under the policy `never` the store answers.
 */
export async function bindName(
  context: ProvisionerContext,
  request: ImageRequest,
  lease: Lease,
  call: Call,
): Promise<BoundName> {
  return await tryCandidates(context, request.reference, call, async (reference) => {
    const { digest, source } = await timed("resolve", call, () =>
      lookUp(context, { ...request, reference }, lease, call),
    );
    return { name: boundName(reference, digest), digest, source };
  });
}

async function lookUp(
  context: ProvisionerContext,
  request: ImageRequest,
  lease: Lease,
  call: Call,
): Promise<{ readonly digest: Digest; readonly source: string }> {
  const { reference, platform, policy = "always" } = request;
  const message = `policy ${policy}: ${policy === "always" ? "the store is not asked" : "the store is asked first"}`;
  call.emit({ type: "decision", topic: "policy", message });
  if (policy !== "always" && request.refresh !== true) {
    const image = findImage(context.store, reference, platform);
    if (image !== undefined) {
      if (policy === "always-verify") await verifyAccess(context, request, image, lease, call);
      return { digest: idOf(image), source: context.store.root };
    }
    if (policy === "never") {
      throw new AppError("image-not-cached", `Cannot resolve ${formatReference(reference)}: it is not in the store`, {
        hint: "the pull policy is never; allow the network with --pull-policy always",
      });
    }
  }
  const sources = await context.sources();
  await using resolving = resolveContext(context, request, lease, call);
  if (platform === undefined) {
    const named = await sources.resolveName(reference, resolving.context);
    if (named !== undefined) return named;
  }
  const resolved = await sources.resolve(reference, resolving.context);
  return { digest: resolved.imageId ?? resolved.manifest.descriptor.digest, source: resolved.source };
}

function idOf(image: { readonly imageId: Digest | undefined; readonly manifestDigest: Digest }): Digest {
  return image.imageId ?? image.manifestDigest;
}

/** A tag says nothing any more beside a digest, and other tools refuse the two together. */
function boundName(reference: ImageReference, digest: Digest): string {
  if (reference.kind === "docker") {
    const { tag: _tag, ...rest } = reference;
    return formatReference({ ...rest, digest });
  }
  if (reference.kind === "appc") return formatReference({ ...reference, imageId: digest });
  return formatReference({ ...reference, digest });
}
