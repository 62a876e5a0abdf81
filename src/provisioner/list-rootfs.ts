/** Root filesystems as they are: the store's rows, held against what is mounted. */
import { mountsBelow } from "../../native/index.ts";
import type { Rootfs, RootfsState, Store } from "../../store/index.ts";

/** `unmounted`: ready once, but its mount is gone, as after a reboot. Destroying it is all that can be done. */
export type ListedRootfs = Omit<Rootfs, "state"> & { readonly state: RootfsState | "unmounted" };

export function listRootfs(store: Store): ListedRootfs[] {
  const rows = store.rootfs.list();
  if (rows.length === 0) return [];
  const mounted = new Set(mountsBelow(store.root).map(({ mountPoint }) => mountPoint));
  return rows.map((row) => {
    const needsMount = row.backend !== "copy" || row.readOnly;
    const lost = row.state === "ready" && needsMount && row.rootfsPath !== undefined && !mounted.has(row.rootfsPath);
    return lost ? { ...row, state: "unmounted" } : row;
  });
}
