/** The answer of every mounting backend to a process that may not mount. */
import type { Probe } from "../../native/index.ts";
import type { BackendName, Support } from "./backend.ts";

export function needsPrivilege(
  probe: Probe,
  name: BackendName,
  reason: string,
): Extract<Support, { ok: false }> | undefined {
  if (probe.capSysAdmin) return undefined;
  return {
    ok: false,
    code: "backend-denied",
    reason: `${name} mounts, and this process (uid ${probe.euid}) may not: ${reason}`,
    hint: "run as root, or use --backend copy, which needs no privilege",
  };
}
