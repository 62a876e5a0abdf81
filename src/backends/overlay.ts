/**
 * overlay: the layers stacked by overlayfs, with a private upper directory, or read-only without one. O(1) in the size
 * of the image. The only place where the order is top first, since that is what overlayfs wants.
 */
import { join } from "node:path";
import type { Operation } from "../../native/index.ts";
import { type Backend, type Plan, propagation, type Stack } from "./backend.ts";
import { needsPrivilege } from "./privilege.ts";

export const overlay: Backend = {
  name: "overlay",

  support(probe) {
    if (probe.overlay.ok) return { ok: true, reason: `overlayfs works on ${probe.filesystem.type}` };
    return (
      needsPrivilege(probe, "overlay", probe.overlay.reason) ?? {
        ok: false,
        code: "backend-unsupported",
        reason: probe.overlay.reason,
      }
    );
  },

  refuses(stack) {
    const reason = stack.facts.notStackable;
    return reason === undefined ? undefined : { ok: false, code: "backend-unsupported", reason };
  },

  plan(stack, directory, { readOnly }): Plan {
    const target = join(directory, "rootfs");
    const upper = join(directory, "upper");
    const work = join(directory, "work");
    const lower = lowerTopFirst(stack);
    const mount: Operation = readOnly
      ? // overlayfs without an upper wants two lower directories; an image without layers has but one
        { op: "overlay", target, lower: lower.length === 1 ? [...lower, upper] : lower, readonly: true }
      : { op: "overlay", target, lower, upper, work };
    return {
      rootfsPath: target,
      readOnly,
      directories: [{ path: target }, { path: upper, like: stack.fixUp.fsPath }, { path: work }],
      mounts: [mount, propagation(target)],
      copy: false,
    };
  },
};

function lowerTopFirst(stack: Stack): string[] {
  const visible = stack.layers.slice(stack.facts.cut).map((layer) => layer.fsPath);
  // overlayfs takes a directory only once; of a layer that is there twice, the upper one shows all that the lower would
  const once = visible.filter((path, at) => visible.lastIndexOf(path) === at);
  return [...once, stack.fixUp.fsPath].reverse();
}
