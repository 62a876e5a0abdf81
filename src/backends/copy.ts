/** copy: a private, writable directory; works everywhere and for everybody, and costs what the image weighs. */
import { join } from "node:path";
import type { Operation } from "../../native/index.ts";
import { type Backend, type Plan, propagation } from "./backend.ts";

export const copy: Backend = {
  name: "copy",

  support(probe) {
    const how = probe.reflink.ok ? "files are cloned by reflink" : "files are copied";
    return { ok: true, reason: `always works; ${how} on ${probe.filesystem.type}` };
  },

  refuses(_stack, { readOnly }, probe) {
    if (!readOnly || probe.bind.ok) return undefined;
    return {
      ok: false,
      code: "backend-denied",
      reason: "a copy is made read-only by a mount, and this process may not mount",
      hint: "run as root, or leave out --read-only",
    };
  },

  plan(_stack, directory, { readOnly }): Plan {
    const target = join(directory, "rootfs");
    // mounts come after the copy: the directory is bound over itself, read-only
    const mounts: Operation[] = readOnly
      ? [{ op: "bind", source: target, target, readonly: true }, propagation(target)]
      : [];
    return { rootfsPath: target, readOnly, directories: [{ path: target }], mounts, copy: true };
  },
};
