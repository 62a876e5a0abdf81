/**
 * Whether whoever asks may have an image that is here (policy `always-verify`): what another user's credentials brought is
 * not handed out. Layers that two images share by content are one, whoever names them.
 */
import type { Image, Lease } from "../../store/index.ts";
import type { Call, ProvisionerContext } from "./context.ts";
import type { ImageRequest } from "./request.ts";
import { resolveContext } from "./resolve-context.ts";

/** Throws as a pull would, also when the registry cannot be asked. */
export async function verifyAccess(
  context: ProvisionerContext,
  request: ImageRequest,
  image: Image,
  lease: Lease,
  call: Call,
): Promise<void> {
  const sources = await context.sources();
  await using resolving = resolveContext(context, request, lease, call);
  // a manifest that was converted is unknown to its registry, which knows what it was converted from
  await sources.checkAccess(request.reference, image.imageId ?? image.manifestDigest, resolving.context);
}
