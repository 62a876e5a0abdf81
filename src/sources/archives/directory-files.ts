/**
 * The files of a directory that holds what an archive would: an OCI image layout, or an archive that was unpacked.
 *
 * The directory may be somebody else's, and be changed while it is read. A name is therefore resolved, found to lie
 * inside, to be a regular file, and then, once it is open, asked for its place again: nothing but a regular file is ever
 * opened on purpose, and nothing outside is ever read.
 */
import { constants } from "node:fs";
import { type FileHandle, lstat, open, opendir, readlink, realpath } from "node:fs/promises";
import { join, sep } from "node:path";
import { archiveInvalid, type ImageFiles, MAX_ENTRIES, missingFile, nameInside, shownName } from "./image-files.ts";

/** `path` is absolute and a directory. Throws AppError `archive-invalid`. */
export async function openDirectoryFiles(path: string): Promise<ImageFiles> {
  const directory = { root: await realpath(path), what: `directory ${path}` };
  return {
    what: directory.what,
    path,
    topLevel: await namesIn(directory),
    async has(name) {
      const inside = nameInside(name);
      return inside !== undefined && (await lstat(join(directory.root, inside)).catch(() => undefined)) !== undefined;
    },
    async range(name) {
      await using opened = await openInside(directory, name);
      return { path: opened.path, offset: 0, sizeBytes: opened.sizeBytes };
    },
    async read(name, maxBytes) {
      await using opened = await openInside(directory, name);
      const { sizeBytes, file } = opened;
      if (sizeBytes > maxBytes) {
        throw archiveInvalid(directory.what, `${shownName(name)} is larger than ${maxBytes} bytes`);
      }
      const buffer = Buffer.alloc(sizeBytes);
      let done = 0;
      while (done < sizeBytes) {
        const { bytesRead } = await file.read(buffer, done, sizeBytes - done, done);
        if (bytesRead === 0)
          throw archiveInvalid(directory.what, `${shownName(name)} became shorter while it was read`);
        done += bytesRead;
      }
      return buffer;
    },
    // every file is closed where it was read
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

interface Directory {
  /** Without any link in it. */
  readonly root: string;
  readonly what: string;
}

interface OpenedFile extends AsyncDisposable {
  readonly file: FileHandle;
  /** Without any link in it. */
  readonly path: string;
  readonly sizeBytes: number;
}

async function openInside(directory: Directory, name: string): Promise<OpenedFile> {
  const { root, what } = directory;
  const inside = nameInside(name);
  if (inside === undefined) throw archiveInvalid(what, `${shownName(name)} leads out of it`);
  const path = await resolveLinks(directory, inside);
  await using undo = new AsyncDisposableStack();
  // a FIFO or device that is put here now does not hold us, and a link is not followed
  const file = undo.use(await openFile(directory, path, name));
  const opened = await readlink(`/proc/self/fd/${file.fd}`);
  if (!isBelow(root, opened)) throw archiveInvalid(what, `${shownName(name)} leads out of it`);
  const stat = await file.stat();
  if (!stat.isFile()) throw archiveInvalid(what, `${shownName(name)} in it is no file`);
  const kept = undo.move();
  return { file, path, sizeBytes: stat.size, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

/** The path of a regular file inside. */
async function resolveLinks({ root, what }: Directory, inside: string): Promise<string> {
  const path = await realpath(join(root, inside)).catch((error: unknown) => {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") throw missingFile(what, inside);
    const why = code === "ELOOP" ? "is a link to itself" : `cannot be opened (${code})`;
    throw archiveInvalid(what, `${shownName(inside)} in it ${why}`, { cause: error });
  });
  if (!isBelow(root, path)) throw archiveInvalid(what, `${shownName(inside)} leads out of it`);
  if (!(await lstat(path).catch(() => undefined))?.isFile()) {
    throw archiveInvalid(what, `${shownName(inside)} in it is no file`);
  }
  return path;
}

async function openFile({ what }: Directory, path: string, name: string): Promise<FileHandle> {
  try {
    return await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw archiveInvalid(what, `${shownName(name)} in it cannot be opened (${code})`, { cause: error });
  }
}

function isBelow(root: string, path: string): boolean {
  return path.startsWith(root.endsWith(sep) ? root : root + sep);
}

async function namesIn({ root, what }: Directory): Promise<readonly string[]> {
  const names: string[] = [];
  // the loop closes the directory, also when it is left early
  for await (const { name } of await opendir(root)) {
    if (names.length >= MAX_ENTRIES) throw archiveInvalid(what, `it has more than ${MAX_ENTRIES} entries`);
    names.push(name);
  }
  return names.sort();
}
