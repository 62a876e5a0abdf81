/**
 * What the type flags of tar headers mean (POSIX pax, "ustar Interchange Format"; GNU tar, "Standard Archive Format").
 *
 * POSIX would have an unknown flag taken for a file. A tool that makes a root filesystem does better to say that it does
 * not know what was meant, as container engines do.
 */

export type TarType = "file" | "directory" | "symlink" | "hardlink" | "character" | "block" | "fifo";

export const SPARSE_FLAG = code("S");
export const DUMPDIR_FLAG = code("D");

const TYPES: readonly (TarType | undefined)[] = table({
  "\0": "file",
  0: "file",
  1: "hardlink",
  2: "symlink",
  3: "character",
  4: "block",
  5: "directory",
  6: "fifo",
  // a file for which contiguous room was asked for
  7: "file",
  // GNU: with the names that the directory had as its body, for incremental restores; an image has no use for them
  D: "directory",
  // GNU: without its holes (tar-sparse.ts)
  S: "file",
});

/** Of what else there is: why it is refused. */
const REFUSED: readonly (string | undefined)[] = table({
  A: "a Solaris access control list",
  E: "a Solaris extended attribute",
  I: "an inode without content",
  M: "a file that began on another volume",
  N: "a list of names in an obsolete GNU format",
  V: "a volume label",
});

export type Extension = "pax" | "global" | "long-name" | "long-link";

/** Headers that are about the next one, or all. */
const EXTENSIONS: readonly (Extension | undefined)[] = table({
  x: "pax",
  // Solaris, before POSIX had it
  X: "pax",
  g: "global",
  L: "long-name",
  K: "long-link",
});

export function extensionOf(flag: number): Extension | undefined {
  return EXTENSIONS[flag];
}

/** V7 had no directories: a slash at the end of a file's name made one. Undefined: no type that can be unpacked. */
export function typeOf(flag: number, path: string): TarType | undefined {
  return flag === 0 && path.endsWith("/") ? "directory" : TYPES[flag];
}

/** Why `typeOf` gives nothing, for a message. */
export function describeFlag(flag: number): string {
  return REFUSED[flag] ?? `something of an unknown type (0x${flag.toString(16).padStart(2, "0")})`;
}

export function isDevice(flag: number): boolean {
  return TYPES[flag] === "character" || TYPES[flag] === "block";
}

function table<T>(entries: Readonly<Record<string, T>>): readonly (T | undefined)[] {
  const values = Array.from({ length: 0x100 }, (): T | undefined => undefined);
  for (const [flag, value] of Object.entries(entries)) values[code(flag)] = value;
  return values;
}

function code(flag: string): number {
  return flag.charCodeAt(0);
}
