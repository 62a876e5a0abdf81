/** What `lstat` says about a name in a tree. */
export type FileType = "file" | "directory" | "symlink" | "character" | "block" | "fifo" | "socket";

export interface Stat {
  readonly type: FileType;
  /** Permission and set-id bits: 0 to 0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes. */
  readonly size: number;
  /** Seconds since 1970, negative before. */
  readonly mtimeSec: number;
  readonly mtimeNsec: number;
  readonly nlink: number;
  /** Decimal; inode numbers are 64 bits wide. With `dev` it tells hard links. */
  readonly ino: string;
  /** `major:minor` of the file system. */
  readonly dev: string;
  readonly rdevMajor: number;
  readonly rdevMinor: number;
  /** Allocated units of 512 bytes: fewer than `size` asks for in a file with holes. */
  readonly blocks: number;
}

/** How many numbers the addon fills in. */
export const STAT_NUMBERS = 16;

/** S_IFMT >> 12 → type. */
const TYPES: Readonly<Record<number, FileType>> = {
  1: "fifo",
  2: "character",
  4: "directory",
  6: "block",
  8: "file",
  10: "symlink",
  12: "socket",
};

/** The order is that of js_lstat in fsat-read.c. */
export function statFromNumbers(numbers: Float64Array): Stat {
  const at = (index: number): number => numbers[index] ?? 0;
  const high = at(8);
  return {
    type: TYPES[at(0)] ?? "file",
    mode: at(1),
    uid: at(2),
    gid: at(3),
    size: at(4),
    mtimeSec: at(5),
    mtimeNsec: at(6),
    nlink: at(7),
    ino: high < 0x200000 ? String(high * 0x100000000 + at(9)) : String(BigInt(high) * 0x100000000n + BigInt(at(9))),
    dev: `${at(10)}:${at(11)}`,
    rdevMajor: at(12),
    rdevMinor: at(13),
    blocks: at(14),
  };
}
