/** What is wanted: an image, for a platform, and how far what is cached may be believed. */
import type { Platform } from "../image/platform.ts";
import type { ImageReference } from "../image/reference.ts";

/**
 * | policy | an image that is here | one that is not |
 * | --- | --- | --- |
 * | `cached` | is used as it is | is pulled |
 * | `always` | is looked up again; only what is new is fetched | is pulled |
 * | `never` | is used as it is | is an error; there is no network |
 * | `always-verify` | is used if its registry lets the request's credentials read it | is pulled |
 *
 * A reference with a digest cannot mean anything else tomorrow: under `always`, too, what is here is used.
 */
export type PullPolicy = "cached" | "always" | "never" | "always-verify";

export interface ImageRequest {
  readonly reference: ImageReference;
  /** This machine's when absent. */
  readonly platform?: Platform;
  readonly policy?: PullPolicy;
  /** Whoever names the image wants it looked up again, as under `always`; what else the policy asks still holds. */
  readonly refresh?: boolean;
  /** The content of a Docker config.json: the credentials of this request, instead of the configured ones. */
  readonly dockerConfig?: string;
}
