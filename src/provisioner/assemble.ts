/** Carries out a backend's plan. The only place where root filesystems are made. */
import { mkdirSync } from "node:fs";
import { openTree, runOperations } from "../../native/index.ts";
import type { Plan, Stack } from "../backends/index.ts";
import type { Call, ProvisionerContext } from "./context.ts";

export async function assemble(context: ProvisionerContext, plan: Plan, stack: Stack, call: Call): Promise<void> {
  for (const { path, like } of plan.directories) {
    mkdirSync(path, { mode: 0o755 });
    if (like !== undefined) imitate(path, like);
  }
  if (plan.copy) {
    const layers = stack.layers.map(({ fsPath, indexPath }) => ({ fsPath, indexPath }));
    const task = { kind: "copy", layers, path: plan.rootfsPath, privileged: context.privileged } as const;
    await context.pool.run(task, { signal: call.signal });
  }
  if (plan.mounts.length > 0) {
    await runOperations(plan.mounts, { allow: [context.store.root], signal: call.signal });
  }
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
