/** What is mounted: /proc/self/mountinfo (proc_pid_mountinfo(5)). */
import { readFileSync } from "node:fs";

export interface MountEntry {
  readonly id: number;
  readonly parentId: number;
  /** `major:minor` of the file system. */
  readonly device: string;
  /** Which directory of the file system is mounted. */
  readonly root: string;
  readonly mountPoint: string;
  /** Of this mount: `ro`, `nosuid`, `relatime`… */
  readonly options: readonly string[];
  /** Peer group of a shared mount; peer group that a slave receives from. */
  readonly shared?: number;
  readonly master?: number;
  readonly unbindable: boolean;
  readonly type: string;
  readonly source: string;
  /** Of the file system. */
  readonly superOptions: readonly string[];
}

/** The kernel writes space, tab, newline, backslash and # as \ooo. Input is latin1, so that bytes stay bytes. */
function unescapeField(field: string): string {
  const bytes = field.replace(/\\([0-3][0-7]{2})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
  return Buffer.from(bytes, "latin1").toString("utf8");
}

function peerGroup(optional: readonly string[], name: string): number | undefined {
  const field = optional.find((text) => text.startsWith(`${name}:`));
  return field === undefined ? undefined : Number(field.slice(name.length + 1));
}

function parseLine(line: string): MountEntry | undefined {
  const fields = line.split(" ");
  const dash = fields.indexOf("-", 6);
  const [id, parentId, device, root, mountPoint, options] = fields;
  const [type, source, superOptions] = fields.slice(dash + 1);
  if (dash < 0 || id === undefined || parentId === undefined || device === undefined || root === undefined) return;
  if (mountPoint === undefined || options === undefined || type === undefined) return;
  const optional = fields.slice(6, dash);
  const shared = peerGroup(optional, "shared");
  const master = peerGroup(optional, "master");
  return {
    id: Number(id),
    parentId: Number(parentId),
    device,
    root: unescapeField(root),
    mountPoint: unescapeField(mountPoint),
    options: options.split(","),
    ...(shared === undefined ? {} : { shared }),
    ...(master === undefined ? {} : { master }),
    unbindable: optional.includes("unbindable"),
    type,
    source: unescapeField(source ?? ""),
    superOptions: (superOptions ?? "").split(",").map(unescapeField),
  };
}

/** Entries in the kernel's order: of two at one place, the later is on top. `text` is read as latin1. */
export function parseMountInfo(text: string): MountEntry[] {
  return text.split("\n").flatMap((line) => parseLine(line) ?? []);
}

/** Parents before their children, otherwise in the kernel's order, which lists a mount that was moved where it was born. */
function parentsFirst(entries: readonly MountEntry[]): MountEntry[] {
  const ids = new Set(entries.map(({ id }) => id));
  const children = Map.groupBy(entries, ({ parentId }) => parentId);
  const ordered: MountEntry[] = [];
  const pending = entries.filter(({ parentId, id }) => !ids.has(parentId) || parentId === id).reverse();
  for (let entry = pending.pop(); entry !== undefined; entry = pending.pop()) {
    const { id } = entry;
    ordered.push(entry);
    pending.push(...(children.get(id) ?? []).filter((child) => child.id !== id).reverse());
  }
  return ordered;
}

/**
 * Mounts at `path` or beneath it, parents before their children; reversed, they can be unmounted one after another.
 * `path` is compared as it is: pass what realpath prints.
 */
export function mountsBelow(path: string): MountEntry[] {
  const beneath = path.endsWith("/") ? path : `${path}/`;
  const entries = parseMountInfo(readFileSync("/proc/self/mountinfo", "latin1"));
  return parentsFirst(entries.filter((entry) => entry.mountPoint === path || entry.mountPoint.startsWith(beneath)));
}
