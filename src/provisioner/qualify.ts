/**
 * Before anything is looked up: is this type of image taken here at all, and what may the name mean? `docker` stands for
 * every image of Docker's and OCI's kinds, as for the Mesos agent's --image_providers.
 */
import { AppError } from "../errors.ts";
import { type Emit, silent } from "../events.ts";
import { formatReference, type ImageReference } from "../image/reference.ts";
import type { ProvisionerContext } from "./context.ts";

export interface QualifyOptions {
  readonly imageProviders: readonly ("docker" | "appc")[];
  /** What names without a host mean, where that is not Docker Hub; read when first needed. */
  readonly shortNames?: (reference: ImageReference, emit: Emit) => Promise<readonly ImageReference[]>;
}

/** Throws AppErrors `provider-disabled`, `reference-invalid`. */
export function createQualify({ imageProviders, shortNames }: QualifyOptions): ProvisionerContext["qualify"] {
  return async (reference, emit = silent) => {
    const provider = reference.kind === "appc" ? "appc" : "docker";
    if (!imageProviders.includes(provider)) throw disabled(reference, provider, imageProviders);
    if (shortNames === undefined || reference.kind !== "docker") return [reference];
    return await shortNames(reference, emit);
  };
}

function disabled(reference: ImageReference, provider: string, taken: readonly string[]): AppError {
  const name = formatReference(reference);
  const why = `images of type ${provider} are not taken here, only ${taken.join(", ") || "none"}`;
  return new AppError("provider-disabled", `Cannot use ${name}: ${why}`, {
    hint: `add ${provider} to image_providers`,
    details: { provider, taken },
  });
}
