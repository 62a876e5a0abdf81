/** What a source is given to resolve an image with; disposing takes back what was lent, temporary files included. */
import type { Lease } from "../../store/index.ts";
import { hostPlatform } from "../image/platform.ts";
import { openWorkshop } from "../layers/workshop.ts";
import type { ResolveContext } from "../sources/source.ts";
import type { Call, ProvisionerContext } from "./context.ts";
import type { ImageRequest } from "./request.ts";

export interface Resolving extends AsyncDisposable {
  readonly context: ResolveContext;
}

export function resolveContext(
  context: ProvisionerContext,
  { platform, dockerConfig }: Omit<ImageRequest, "reference">,
  lease: Lease,
  { emit, signal }: Call,
): Resolving {
  const { store, pool, limits } = context;
  const workshop = openWorkshop({ store, pool, lease, emit, signal, limits });
  return {
    context: {
      platform: platform ?? hostPlatform(),
      emit,
      signal,
      workshop,
      ...(dockerConfig !== undefined && { dockerConfig }),
    },
    [Symbol.asyncDispose]: () => workshop[Symbol.asyncDispose](),
  };
}
