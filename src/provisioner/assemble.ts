/** Carries out a backend's plan. The only place where root filesystems are made. */
import { chmodSync, mkdirSync } from "node:fs";
import { openTree, runOperations } from "../../native/index.ts";
import type { Plan } from "../backends/index.ts";
import { copyLayers } from "../layers/copy-layers.ts";
import type { ImageStack } from "../layers/ensure-stack.ts";
import type { Call, ProvisionerContext } from "./context.ts";

export async function assemble(context: ProvisionerContext, plan: Plan, stack: ImageStack, call: Call): Promise<void> {
  for (const { path, like } of plan.directories) {
    makeDirectory(path);
    if (like !== undefined) imitate(path, like);
  }
  if (plan.copy) {
    const layers = stack.layers.map(({ fsPath, indexPath }) => ({ fsPath, indexPath }));
    const { entryCount, sizeBytes } = stack.facts;
    await copyLayers(context.pool, layers, {
      path: plan.rootfsPath,
      privileged: context.privileged,
      entryCount,
      sizeBytes,
      signal: call.signal,
    });
  }
  if (plan.mounts.length > 0) {
    await runOperations(plan.mounts, { allow: [context.store.root], signal: call.signal });
  }
}

/**
 * Open to all, whatever the umask, and without the ACLs that a directory gets from one with a default ACL: it would hand
 * them on to what is copied into it, or created in the overlay above it.
 */
function makeDirectory(path: string): void {
  mkdirSync(path, { mode: 0o755 });
  using tree = openTree(path);
  tree.dropAcls();
  chmodSync(path, 0o755);
}

/** An upper directory gives the merged root its metadata, so it must look like the image's own. */
function imitate(path: string, like: string): void {
  using model = openTree(like);
  using target = openTree(path);
  const stat = model.lstat(".");
  if (stat === undefined) return;
  const xattrs = model.xattrs(".").filter(([name]) => !name.startsWith("trusted.overlay."));
  const { mode, uid, gid, mtimeSec, mtimeNsec } = stat;
  target.setAttributes(".", { mode, uid, gid, mtimeSec, mtimeNsec, xattrs });
}
