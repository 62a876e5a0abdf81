/** What `doctor` tells: what was tried on this machine, and what each backend makes of it. */
import type { Probe } from "../../native/index.ts";
import type { Usage } from "../../store/index.ts";
import { BACKENDS, type BackendName, judge, type Support } from "../backends/index.ts";

export interface Diagnosis {
  readonly probe: Probe;
  readonly backends: readonly { readonly name: BackendName; readonly support: Support }[];
  /** The backend that `auto` would take for an image without peculiarities. */
  readonly auto: BackendName;
  /** Undefined where there is no store yet: looking does not make one. */
  readonly usage: Usage | undefined;
}

export function diagnose(probe: Probe, usage: Usage | undefined): Diagnosis {
  const backends = Object.values(BACKENDS).map((backend) => ({ name: backend.name, support: judge(backend, probe) }));
  const auto = backends.find(({ name, support }) => name !== "bind" && support.ok)?.name ?? "copy";
  return { probe, backends, auto, usage };
}
