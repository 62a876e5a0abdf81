/**
 * Undoes a root filesystem, whatever state it is in: what is mounted below its directory is asked of mountinfo, never of
 * memory; mounts go first, deepest first, then the directory, then the row. Every step may be repeated.
 */
import { mountsBelow, type Operation, runOperations } from "../../native/index.ts";
import type { Rootfs } from "../../store/index.ts";
import { toAppError } from "../errors.ts";
import type { Emit } from "../events.ts";
import type { ProvisionerContext } from "./context.ts";

/** False when there is no rootfs of that id. */
export async function destroyRootfs(context: ProvisionerContext, id: string): Promise<boolean> {
  const rootfs = context.store.rootfs.destroying(id);
  if (rootfs === undefined) return false;
  await unmountAll(context, rootfs);
  context.store.rootfs.removed(id);
  return true;
}

async function unmountAll(context: ProvisionerContext, rootfs: Rootfs): Promise<void> {
  const targets = mountsBelow(rootfs.directory).map((mount) => mount.mountPoint);
  if (targets.length === 0) return;
  const operations: Operation[] = targets.toReversed().map((target) => ({ op: "unmount", target, detach: true }));
  // no signal of the caller's: work that is undone must be undone to the end
  await runOperations(operations, { allow: [context.store.root] });
}

/** What processes that died left half made or half destroyed. What fails is told, stays, and is tried the next time. */
export async function healAbandoned(context: ProvisionerContext, emit: Emit): Promise<string[]> {
  const healed: string[] = [];
  for (const { id } of context.store.rootfs.abandoned()) {
    try {
      if (await destroyRootfs(context, id)) healed.push(id);
    } catch (error) {
      emit({
        type: "warning",
        message: `cannot clean up ${id}, which an earlier process left: ${toAppError(error).message}`,
      });
    }
  }
  return healed;
}
