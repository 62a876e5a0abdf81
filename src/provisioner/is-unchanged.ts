/**
 * Whether a name still stands for the manifest, or for an index with the manifest, that is in the store: one small question,
 * which registries with limits do not count, instead of three documents.
 */
import type { Image, Lease } from "../../store/index.ts";
import { AppError } from "../errors.ts";
import type { Call, ProvisionerContext } from "./context.ts";
import type { ImageRequest } from "./request.ts";
import { resolveContext } from "./resolve-context.ts";

/** What goes wrong is for the pull to tell; but who cannot be reached, after all retries, is not waited for twice. */
export async function isUnchanged(
  context: ProvisionerContext,
  request: ImageRequest,
  image: Image,
  lease: Lease,
  call: Call,
): Promise<boolean> {
  const sources = await context.sources();
  await using resolving = resolveContext(context, request, lease, call);
  try {
    const named = await sources.resolveName(request.reference, resolving.context, { anyKind: true });
    if (named === undefined) return false;
    const known = [image.manifestDigest, image.imageId];
    return known.includes(named.digest) || context.store.blobs.children(named.digest).includes(image.manifestDigest);
  } catch (error) {
    call.signal.throwIfAborted();
    if (!(error instanceof AppError) || error.code === "registry-unreachable") throw error;
    return false;
  }
}
