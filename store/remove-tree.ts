/**
 * Removes trees that strangers filled. Nothing in them is believed: links are removed, never followed; directories are
 * reached through their parent's descriptor, so that neither a swapped link nor a path of 100 000 bytes leads astray;
 * what is mounted inside stops everything before the first file is gone.
 */
import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  unlinkSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { errnoOf, StoreError } from "./errors.ts";
import { randomShortId } from "./short-id.ts";

/** Deeper directories are first moved up beside the tree: one descriptor is open for each level. */
const MAX_DEPTH = 64;

/**
 * Removes `path` and everything in it; a missing one is fine, and so is another process removing the same. Throws
 * StoreError `rootfs-mounted`; file-system errors as they are. `path` lies in a directory that only the store uses.
 */
export function removeTree(path: string): void {
  assertNothingMounted(path);
  const pending = [path];
  const moveUp = (from: Name) => {
    const to = join(dirname(path), `trash-deep-${randomShortId(10)}`);
    renameSync(from, to);
    pending.push(to);
  };
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) removeEntry(next, undefined, 0, moveUp);
}

/** Throws StoreError `rootfs-mounted` when something is mounted at or below `path`. */
export function assertNothingMounted(path: string): void {
  const inside = mountPoints().filter((point) => point === path || point.startsWith(`${path}/`));
  if (inside.length === 0) return;
  throw new StoreError("rootfs-mounted", `Cannot remove ${path}: ${inside.length} mounts are still in it`, {
    details: { path, mounts: inside },
    hint: `unmount ${inside[0]} first, and find out what keeps it busy`,
  });
}

/** Field 5 of mountinfo; space, tab, newline and backslash are written as octal there. */
function mountPoints(): string[] {
  return readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .flatMap((line) => line.split(" ")[4] ?? [])
    .map((field) =>
      field.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8))),
    );
}

type Name = string | Buffer;

/** `device` is the file system of the whole tree; another one below it is a mount that came after the look at mountinfo. */
function removeEntry(path: Name, device: number | undefined, depth: number, moveUp: (from: Name) => void): void {
  const stat = ignoring("ENOENT", () => lstatSync(path));
  if (stat === undefined) return;
  if (!stat.isDirectory()) {
    ignoring("ENOENT", () => unlinkSync(path));
    return;
  }
  if (device !== undefined && stat.dev !== device) {
    throw new StoreError("rootfs-mounted", `Cannot remove ${String(path)}: another file system is mounted there`, {
      details: { path: String(path) },
      hint: "unmount it first",
    });
  }
  const fd = openDirectory(path);
  if (fd === undefined) return;
  try {
    emptyDirectory(fd, depth, moveUp);
  } finally {
    closeSync(fd);
  }
  ignoring("ENOENT", () => rmdirSync(path));
}

function emptyDirectory(fd: number, depth: number, moveUp: (from: Name) => void): void {
  const { dev, mode } = fstatSync(fd);
  // as root permission bits do not matter; an ordinary user needs them to look in and to remove
  if ((mode & 0o700) !== 0o700) ignoring("EPERM", () => fchmodSync(fd, 0o700));
  const here = `/proc/self/fd/${fd}/`;
  // names are bytes: a layer may hold some that are no UTF-8
  for (const entry of readdirSync(here, { withFileTypes: true, encoding: "buffer" })) {
    const child = Buffer.concat([Buffer.from(here), entry.name]);
    if (depth + 1 < MAX_DEPTH || !entry.isDirectory()) removeEntry(child, dev, depth + 1, moveUp);
    else moveDirectoryUp(child, moveUp);
  }
}

function moveDirectoryUp(child: Buffer, moveUp: (from: Name) => void): void {
  // moving a directory changes its `..`, which takes write permission on it
  const fd = openDirectory(child); // by descriptor: a name could be a link by now
  if (fd === undefined) return;
  try {
    ignoring("EPERM", () => fchmodSync(fd, 0o700));
  } finally {
    closeSync(fd);
  }
  moveUp(child);
}

/** A descriptor of the directory; without read permission, its owner gives it to himself first. */
function openDirectory(path: Name): number | undefined {
  const open = () => openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  try {
    return ignoring("ENOENT", open);
  } catch (error) {
    if (errnoOf(error) !== "EACCES") throw error;
    chmodSync(path, 0o700);
    return open();
  }
}

function ignoring<T>(errno: string, action: () => T): T | undefined {
  try {
    return action();
  } catch (error) {
    if (errnoOf(error) === errno) return undefined;
    throw error;
  }
}
