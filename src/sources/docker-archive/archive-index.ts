/**
 * ArchiveIndex: an open image archive and where each of its entries lies, with links followed inside of it.
 */

import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { posix } from "node:path";
import { AppError } from "../../errors.ts";
import type { FileRange } from "../source.ts";
import { type ArchiveEntry, archiveInvalid, readExactly, walkTarHeaders } from "./tar-headers.ts";

const MAX_LINKS = 16;

export interface ArchiveIndex extends AsyncDisposable {
  /** Absolute. */
  readonly path: string;
  readonly names: readonly string[];
  has(name: string): boolean;
  /** Where the file `name` is; links are followed. Throws AppError `archive-invalid`. */
  range(name: string): FileRange;
  /** The content of a small file. Throws AppError `archive-invalid`, also where it is larger than `maxBytes`. */
  read(name: string, maxBytes: number): Promise<Buffer>;
  /** Up to `length` bytes from the start of a range. */
  readStart(range: FileRange, length: number): Promise<Buffer>;
}

/** Throws AppError `archive-missing`, or `archive-invalid` for what is no plain tar file. */
export async function openArchive(path: string, signal?: AbortSignal): Promise<ArchiveIndex> {
  await using undo = new AsyncDisposableStack();
  const file = undo.use(await openFile(path));
  const stat = await file.stat();
  if (!stat.isFile()) throw archiveInvalid(path, stat.isDirectory() ? "it is a directory" : "it is no regular file");
  if (stat.size === 0) throw archiveInvalid(path, "it is empty");
  await refuseCompressed(file, path, stat.size);
  const entries = new Map<string, ArchiveEntry>();
  for await (const entry of walkTarHeaders(file, path, stat.size, signal)) {
    const name = nameInside(entry.name);
    if (name === undefined) throw archiveInvalid(path, `its entry ${JSON.stringify(entry.name)} leads out of it`);
    // as tar would unpack it, the last of several entries of one name counts
    entries.set(name, entry);
  }
  const range = (name: string): FileRange => {
    const { offset, sizeBytes } = follow(entries, path, name);
    return { path, offset, sizeBytes };
  };
  const kept = undo.move();
  return {
    path,
    names: [...entries.keys()],
    has: (name) => entries.has(nameInside(name) ?? ""),
    range,
    async read(name, maxBytes) {
      const { offset, sizeBytes } = range(name);
      if (sizeBytes > maxBytes) throw archiveInvalid(path, `${JSON.stringify(name)} is larger than ${maxBytes} bytes`);
      return readExactly(file, path, offset, sizeBytes);
    },
    readStart: ({ offset, sizeBytes }, length) => readExactly(file, path, offset, Math.min(length, sizeBytes)),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

async function openFile(path: string): Promise<FileHandle> {
  try {
    // nonblocking, so that a FIFO put there does not hold us for ever
    return await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") {
      throw new AppError("archive-missing", `Cannot use archive ${path}: there is no such file`, { cause: error });
    }
    throw new AppError("archive-invalid", `Cannot use archive ${path}: it cannot be opened (${code})`, {
      cause: error,
    });
  }
}

/** Follows links to the file they mean. Directories that are links themselves occur in no known archive. */
function follow(entries: ReadonlyMap<string, ArchiveEntry>, path: string, start: string): ArchiveEntry {
  let name = nameInside(start);
  for (let count = 0; count <= MAX_LINKS; count += 1) {
    if (name === undefined) throw archiveInvalid(path, `${JSON.stringify(start)} leads out of it`);
    const entry = entries.get(name);
    if (entry === undefined)
      throw archiveInvalid(path, `it has no ${JSON.stringify(name)}, which its manifest.json names`);
    if (entry.type === "file") return entry;
    if (entry.type === "link") name = nameInside(entry.linkname);
    else if (entry.type === "symlink" && !entry.linkname.startsWith("/")) {
      name = nameInside(`${posix.dirname(name)}/${entry.linkname}`);
    } else throw archiveInvalid(path, `${JSON.stringify(name)} in it is no file`);
  }
  throw archiveInvalid(path, `${JSON.stringify(start)} in it is a link to itself`);
}

/** The one spelling of a name; undefined when it is absolute or climbs out of the archive. */
function nameInside(name: string): string | undefined {
  const normal = posix.normalize(name).replace(/\/+$/, "");
  return normal.startsWith("/") || normal === ".." || normal.startsWith("../") ? undefined : normal;
}

const COMPRESSIONS: readonly (readonly [string, string, string])[] = [
  ["1f8b", "gzip", "gunzip"],
  ["28b52ffd", "zstd", "unzstd"],
  ["fd377a585a00", "xz", "unxz"],
  ["425a68", "bzip2", "bunzip2"],
];

async function refuseCompressed(file: FileHandle, path: string, fileBytes: number): Promise<void> {
  const start = (await readExactly(file, path, 0, Math.min(6, fileBytes))).toString("hex");
  const [, format, program] = COMPRESSIONS.find(([magic]) => start.startsWith(magic)) ?? [];
  if (format === undefined) return;
  throw new AppError("archive-invalid", `Cannot use archive ${path}: it is compressed as a whole (${format})`, {
    hint: `decompress it first, with ${program}: archives are read in place, by seeking`,
  });
}
