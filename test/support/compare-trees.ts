/**
 * Says everything about a directory tree that a layer can set, and in which of it two trees differ.
 *
 * Paths are relative, without a leading slash; the root is ".". They are latin1 text, one character a byte, so that
 * names that are no UTF-8 survive.
 */
import { createHash } from "node:crypto";
import { closeSync, constants, lstatSync, openSync, readdirSync, readlinkSync, readSync } from "node:fs";
import { readXattrs } from "./xattrs.ts";

export interface EntryFacts {
  /** "ghost": a directory lists the name, but nothing is there, as overlayfs shows a whiteout that hides nothing. */
  readonly type: "file" | "dir" | "symlink" | "char" | "block" | "fifo" | "socket" | "ghost";
  /** Permission and set-id bits, e.g. 0o4755. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes; 0 for everything but files (a directory's size is the file system's affair). */
  readonly size: bigint;
  /** Nanoseconds since 1970. */
  readonly mtime: bigint;
  /** All paths of this tree that are the same inode, when there are several: sorted, joined by " = ". */
  readonly links: string;
  readonly target: string;
  /** major:minor of a device. */
  readonly device: string;
  /** name → hex, sorted by name. */
  readonly xattrs: string;
  /** sha256 of a file's contents, hex. */
  readonly content: string;
}

export type TreeFacts = Map<string, EntryFacts>;

const GHOST: EntryFacts = {
  type: "ghost",
  mode: 0,
  uid: 0,
  gid: 0,
  size: 0n,
  mtime: 0n,
  links: "",
  target: "",
  device: "",
  xattrs: "",
  content: "",
};

const TYPES = new Map<number, EntryFacts["type"]>([
  [constants.S_IFREG, "file"],
  [constants.S_IFDIR, "dir"],
  [constants.S_IFLNK, "symlink"],
  [constants.S_IFCHR, "char"],
  [constants.S_IFBLK, "block"],
  [constants.S_IFIFO, "fifo"],
  [constants.S_IFSOCK, "socket"],
]);

/** Reads the tree below `root`; nothing is followed, written or left open. */
export async function describeTree(root: string): Promise<TreeFacts> {
  const tree: TreeFacts = new Map();
  const xattrs = await readXattrs(root);
  const inodes = new Map<string, string[]>();
  const contents = new Map<string, string>();
  const visit = (path: string) => {
    const full = Buffer.from(path === "." ? Buffer.from(root) : Buffer.concat([Buffer.from(`${root}/`), bytes(path)]));
    const stat = lstatSync(full, { bigint: true, throwIfNoEntry: false });
    if (stat === undefined) {
      tree.set(path, GHOST);
      return;
    }
    const type = TYPES.get(Number(stat.mode) & constants.S_IFMT) ?? "file";
    const inode = `${stat.dev}:${stat.ino}`;
    if (type !== "dir") inodes.set(inode, [...(inodes.get(inode) ?? []), path]);
    if (type === "file" && !contents.has(inode)) contents.set(inode, hashFile(full));
    tree.set(path, {
      type,
      mode: Number(stat.mode) & 0o7777,
      uid: Number(stat.uid),
      gid: Number(stat.gid),
      size: type === "file" ? stat.size : 0n,
      mtime: stat.mtimeNs,
      links: inode,
      target: type === "symlink" ? readlinkSync(full, "buffer").toString("latin1") : "",
      device: type === "char" || type === "block" ? deviceNumbers(stat.rdev) : "",
      xattrs: xattrs.get(path) ?? "",
      content: type === "file" ? (contents.get(inode) ?? "") : "",
    });
    if (type !== "dir") return;
    for (const name of readdirSync(full, "buffer")) {
      const child = name.toString("latin1");
      visit(path === "." ? child : `${path}/${child}`);
    }
  };
  visit(".");
  for (const [path, facts] of tree) {
    const group = inodes.get(facts.links) ?? [];
    tree.set(path, { ...facts, links: group.length > 1 ? group.sort().join(" = ") : "" });
  }
  return tree;
}

export interface DiffOptions {
  /** Paths to leave out, with all below them. */
  readonly ignorePaths?: readonly string[];
  /** Facts that are not compared, e.g. "mtime". */
  readonly ignore?: readonly (keyof EntryFacts)[];
  /** Facts that are not compared for some entries. */
  readonly ignoreWhere?: (path: string, fact: keyof EntryFacts, expected: EntryFacts) => boolean;
  /** Differences that are listed; the rest is counted. Default: 40. */
  readonly limit?: number;
}

/** Readable differences; an empty list when the trees are the same. `a` is called expected, `b` found. */
export function diffTrees(a: TreeFacts, b: TreeFacts, options: DiffOptions = {}): string[] {
  const differences: string[] = [];
  const skipped = (path: string) =>
    (options.ignorePaths ?? []).some((ignored) => path === ignored || path.startsWith(`${ignored}/`));
  for (const path of [...new Set([...a.keys(), ...b.keys()])].sort()) {
    if (skipped(path)) continue;
    const [expected, found] = [a.get(path), b.get(path)];
    if (!expected || !found) {
      differences.push(
        expected ? `${show(path)}: missing (${expected.type})` : `${show(path)}: unexpected (${found?.type})`,
      );
      continue;
    }
    for (const fact of Object.keys(expected) as (keyof EntryFacts)[]) {
      if (expected[fact] === found[fact] || options.ignore?.includes(fact)) continue;
      if (options.ignoreWhere?.(path, fact, expected)) continue;
      differences.push(`${show(path)}: ${fact} ${showFact(fact, expected)} expected, ${showFact(fact, found)} found`);
    }
  }
  const limit = options.limit ?? 40;
  if (differences.length <= limit) return differences;
  return [...differences.slice(0, limit), `… and ${differences.length - limit} more differences`];
}

/** Shared by all reads: allocating one for each small file would cost more than hashing it. */
const chunk = Buffer.allocUnsafe(256 * 1024);

function hashFile(path: Buffer): string {
  const hash = createHash("sha256");
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    for (let count = readSync(descriptor, chunk); count > 0; count = readSync(descriptor, chunk)) {
      hash.update(chunk.subarray(0, count));
    }
  } finally {
    closeSync(descriptor);
  }
  return hash.digest("hex");
}

/** As glibc's gnu_dev_major and gnu_dev_minor. */
function deviceNumbers(rdev: bigint): string {
  const major = ((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & ~0xfffn);
  const minor = (rdev & 0xffn) | ((rdev >> 12n) & ~0xffn);
  return `${major}:${minor}`;
}

function bytes(path: string): Buffer {
  return Buffer.from(path, "latin1");
}

function show(path: string): string {
  const text = bytes(path).toString("utf8");
  return text.includes("\ufffd") ? JSON.stringify(path) : text;
}

function showFact(fact: keyof EntryFacts, facts: EntryFacts): string {
  if (fact === "mode") return facts.mode.toString(8).padStart(4, "0");
  return String(facts[fact]) || "none";
}
