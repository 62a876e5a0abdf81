/**
 * FileCache: configuration files and directories as they are now. They are read and parsed again only when they have
 * changed, so that a long-running daemon sees edits and pays one stat for each question.
 */
import { type BigIntStats, constants } from "node:fs";
import { open, readdir, stat } from "node:fs/promises";
import { configInvalid } from "./config-document.ts";

/** What becomes of a file's bytes. */
export interface FileKind<T> {
  /** Keeps apart what is made of one file in several ways. */
  readonly name: string;
  readonly maxBytes: number;
  readonly parse: (bytes: Uint8Array, path: string) => T;
}

export interface DirectoryEntry {
  readonly name: string;
  readonly isDirectory: boolean;
}

/** One question that is answered from files, and what was met on the way. */
export interface Lookup {
  /**
   * Undefined when there is no such file, or when a directory above it is closed to this user.
   * Throws AppError `config-invalid` when it is there and cannot be read, is too large, or is not what it should be.
   */
  read<T>(path: string, kind: FileKind<T>): Promise<T | undefined>;
  /** False, too, when a directory above it is closed to this user. */
  isDirectory(path: string): Promise<boolean>;
  /** Sorted by name. Empty when there is no such directory, or when it is closed to this user. */
  list(path: string): Promise<readonly DirectoryEntry[]>;
  /** Files that were read, now or when they were last changed. */
  readonly files: Set<string>;
  /** For people: what was ignored. */
  readonly warnings: Set<string>;
}

export interface FileCache {
  lookUp(): Lookup;
}

interface Kept {
  readonly stamp: string;
  readonly value: unknown;
}

/** A change within one tick of the kernel's clock leaves no trace in a file's times: what is so young is not kept. */
const SETTLED_MS = 100;

export function createFileCache(): FileCache {
  const kept = new Map<string, Kept>();

  /** `load` returns what is to be kept, and what the file was like when it was read. */
  const current = async <T>(
    key: string,
    stats: BigIntStats,
    load: () => Promise<{ readonly value: T; readonly stats: BigIntStats }>,
  ): Promise<T> => {
    const known = kept.get(key);
    if (known?.stamp === stampOf(stats)) return known.value as T;
    const loaded = await load();
    if (isSettled(loaded.stats)) kept.set(key, { stamp: stampOf(loaded.stats), value: loaded.value });
    else kept.delete(key);
    return loaded.value;
  };

  return {
    lookUp() {
      const files = new Set<string>();
      const warnings = new Set<string>();
      const asked = new Map<string, Promise<unknown>>();
      /** One question sees every file once, as it was then. */
      const once = <T>(key: string, ask: () => Promise<T>): Promise<T> => {
        const answer = asked.get(key) ?? ask();
        asked.set(key, answer);
        return answer as Promise<T>;
      };
      return {
        files,
        warnings,
        read(path, kind) {
          const key = `${kind.name} ${path}`;
          return once(key, async () => {
            const stats = await statOf(path, warnings);
            if (stats === undefined) return void kept.delete(key);
            files.add(path);
            return current(key, stats, async () => {
              const read = await readBounded(path, kind.maxBytes);
              return { value: kind.parse(read.bytes, path), stats: read.stats };
            });
          });
        },
        isDirectory(path) {
          return once(`presence ${path}`, async () => (await statOf(path, warnings))?.isDirectory() ?? false);
        },
        list(path) {
          const key = `directory ${path}`;
          return once(key, async () => {
            const stats = await statOf(path, warnings);
            if (!stats?.isDirectory()) {
              kept.delete(key);
              return [];
            }
            const load = async () => ({ value: await entriesOf(path), stats });
            return current(key, stats, load).catch((error: unknown) => passOverClosed(error, path, warnings));
          });
        },
      };
    },
  };
}

async function statOf(path: string, warnings: Set<string>): Promise<BigIntStats | undefined> {
  try {
    return await stat(path, { bigint: true });
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === "ENOENT" || errno === "ENOTDIR") return undefined;
    if (errno !== "EACCES") throw unreadable(path, error);
    warnings.add(`${path} is passed over: a directory above it is closed to this user`);
    return undefined;
  }
}

async function entriesOf(path: string): Promise<readonly DirectoryEntry[]> {
  const entries = await readdir(path, { withFileTypes: true });
  return entries
    .map((entry) => ({ name: entry.name, isDirectory: entry.isDirectory() }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Other programs keep their directories to themselves; what cannot be listed by us was not written for us. */
function passOverClosed(error: unknown, path: string, warnings: Set<string>): readonly DirectoryEntry[] {
  if (errnoOf(error) !== "EACCES") throw unreadable(path, error);
  warnings.add(`${path} is passed over: this user may not list it`);
  return [];
}

/** /dev/null is an empty file, and the usual way to say that there is none. */
async function readBounded(
  path: string,
  maxBytes: number,
): Promise<{ readonly bytes: Buffer; readonly stats: BigIntStats }> {
  try {
    // without O_NONBLOCK, a FIFO would be waited for
    await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const stats = await file.stat({ bigint: true });
    if (!stats.isFile() && !stats.isCharacterDevice()) throw configInvalid(path, "it is no file");
    const chunks: Buffer[] = [];
    for await (const chunk of file.createReadStream({ end: maxBytes, autoClose: false })) chunks.push(chunk as Buffer);
    const bytes = Buffer.concat(chunks);
    if (bytes.byteLength <= maxBytes) return { bytes, stats };
  } catch (error) {
    throw unreadable(path, error);
  }
  throw configInvalid(path, `it is larger than the limit of ${maxBytes} bytes`);
}

function unreadable(path: string, error: unknown): unknown {
  const errno = errnoOf(error);
  if (errno === undefined || errno === "config-invalid") return error;
  const why = errno === "EACCES" ? "this user may not read it" : `reading it fails with ${errno}`;
  return configInvalid(path, why, "check who owns it and its mode");
}

function errnoOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException | null)?.code;
}

function stampOf(stats: BigIntStats): string {
  return `${stats.dev}:${stats.ino}:${stats.size}:${stats.mtimeNs}:${stats.ctimeNs}`;
}

function isSettled(stats: BigIntStats): boolean {
  return Date.now() - Number(stats.ctimeMs) > SETTLED_MS;
}
