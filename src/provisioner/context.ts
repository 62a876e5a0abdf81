/** What every hop of the provisioner works with. Made by compose.ts, once a process. */
import type { Probe } from "../../native/index.ts";
import type { Store } from "../../store/index.ts";
import type { Emit } from "../events.ts";
import type { ImageReference } from "../image/reference.ts";
import type { LayerLimits } from "../layers/limits.ts";
import type { WorkerPool } from "../layers/worker-pool.ts";
import type { Sources } from "../sources/index.ts";

export interface ProvisionerContext {
  readonly store: Store;
  readonly pool: WorkerPool;
  /** The sources, loaded when first needed: what is cached needs no HTTP client. */
  readonly sources: () => Promise<Sources>;
  /** What a name without a host may mean, best first; usually the reference as it is. */
  readonly qualify: (reference: ImageReference, emit?: Emit) => Promise<readonly ImageReference[]>;
  readonly limits: LayerLimits;
  /** Whether layers get real owners, devices and markers: root. */
  readonly privileged: boolean;
  /** What this machine can do for the store's file system; tried once, when first asked. */
  readonly probe: () => Promise<Probe>;
}

/** What one call brings along. */
export interface CallOptions {
  readonly emit?: Emit;
  readonly signal?: AbortSignal;
}

export interface Call {
  readonly emit: Emit;
  readonly signal: AbortSignal;
}
