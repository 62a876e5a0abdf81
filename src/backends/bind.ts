/** bind: the one directory that is the image, bound read-only; every root filesystem of the image shares it. O(1). */
import { join } from "node:path";
import { type Backend, type Plan, propagation } from "./backend.ts";
import { needsPrivilege } from "./privilege.ts";

export const bind: Backend = {
  name: "bind",

  support(probe) {
    if (probe.bind.ok) return { ok: true, reason: "bind mounts work" };
    return (
      needsPrivilege(probe, "bind", probe.bind.reason) ?? {
        ok: false,
        code: "backend-unsupported",
        reason: probe.bind.reason,
      }
    );
  },

  refuses({ facts }) {
    if (facts.notStackable !== undefined) return { ok: false, code: "backend-unsupported", reason: facts.notStackable };
    if (facts.notOneDirectory === undefined) return undefined;
    return {
      ok: false,
      code: "backend-layers",
      reason: `bind shows exactly one directory, and ${facts.notOneDirectory}`,
      hint: "use --backend overlay, or copy where overlayfs is not to be had",
    };
  },

  plan(stack, directory): Plan {
    const target = join(directory, "rootfs");
    const layer = stack.facts.oneDirectory === "fix-up" ? undefined : stack.layers[stack.facts.cut];
    const source = (layer ?? stack.fixUp).fsPath;
    return {
      rootfsPath: target,
      readOnly: true,
      directories: [{ path: target }],
      mounts: [{ op: "bind", source, target, readonly: true }, propagation(target)],
      copy: false,
    };
  },
};
