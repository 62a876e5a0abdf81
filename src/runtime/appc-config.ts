/**
 * AppcRuntimeConfig: what an ACI's manifest says about running its app, with what an OCI image configuration has no words
 * for. Only the image itself counts: execution details of its dependencies are ignored (appc/spec aci.md).
 */
import { executionConfigOf } from "../image/aci-config.ts";
import type { AciApp, AciManifest } from "../image/aci-manifest.ts";
import { type RuntimeConfig, runtimeConfigOf } from "./runtime-config.ts";

export interface AppcRuntimeConfig extends RuntimeConfig {
  /** Group IDs besides the one in `user`. */
  readonly supplementaryGids: readonly number[];
  /** Programs to run before the app starts and after it has ended. */
  readonly eventHandlers: AciApp["eventHandlers"];
  /** Limits and restrictions, as the manifest writes them. */
  readonly isolators: AciApp["isolators"];
  /** The volumes by the names under which an executor binds something to them. */
  readonly mountPoints: AciApp["mountPoints"];
}

/** An image without an app gives the defaults of every format: no program, root, `/`. */
export function appcRuntimeConfigOf(manifest: AciManifest): AppcRuntimeConfig {
  const { app } = manifest;
  return {
    ...runtimeConfigOf({ config: executionConfigOf(manifest) }),
    supplementaryGids: app?.supplementaryGIDs ?? [],
    eventHandlers: app?.eventHandlers ?? [],
    isolators: app?.isolators ?? [],
    mountPoints: app?.mountPoints ?? [],
  };
}
