/** Archives in a directory, by the names of their files. */
import { opendir, stat } from "node:fs/promises";
import { basename, dirname, resolve, sep } from "node:path";
import { AppError } from "../../errors.ts";
import { archiveInvalid, MAX_ENTRIES } from "./image-files.ts";
import { unreadable } from "./open-regular.ts";

/** What the names of archives end in, plain ones first. What is in a file, its content says. */
export const ENDINGS = [".tar", ".tar.gz", ".tgz", ".tar.zst"];

/** With one name, so many archives are looked into for the one of a digest. */
const MAX_TAGGED = 100;

/** What a path says that leads nowhere, which is not worth a word while there are other names. */
const NOWHERE: readonly unknown[] = ["ENOENT", "ENOTDIR", "ENAMETOOLONG"];

/**
 * Paths of those of `names`, which lack their endings, that are there. `directory` is absolute. Throws AppErrors
 * `archive-missing` where there is no such directory, `archive-invalid` where nothing but what cannot be read has the name.
 */
export async function findArchives(directory: string, names: readonly string[]): Promise<readonly string[]> {
  const found: string[] = [];
  let obstacle: AppError | undefined;
  for (const name of names.flatMap((spelling) => ENDINGS.map((ending) => `${spelling}${ending}`))) {
    const path = resolve(directory, name);
    // references cannot spell `..`, and even if they could it would not lead out of here
    if (!path.startsWith(directory.endsWith(sep) ? directory : directory + sep)) continue;
    const stats = await lookAt(path);
    if (stats instanceof AppError) obstacle ??= stats;
    else if (stats?.isFile()) found.push(path);
    else if (stats !== undefined) obstacle ??= archiveInvalid(`archive ${path}`, "it is no regular file");
  }
  if (found.length > 0) return found;
  if (obstacle !== undefined) throw obstacle;
  const itself = await stat(directory).catch((error: unknown) => {
    throw NOWHERE.includes((error as NodeJS.ErrnoException).code)
      ? noDirectory(directory)
      : unreadable(directory, error);
  });
  if (!itself.isDirectory()) throw noDirectory(directory);
  return [];
}

/** `NAME:TAG`, or `NAME_TAG`, for every tag under which there is an archive of one of the names. */
export async function findTagged(directory: string, names: readonly string[]): Promise<readonly string[]> {
  const tagged = new Set<string>();
  for (const name of names) {
    for (const file of await filesIn(resolve(directory, dirname(name)))) {
      const plain = file.replace(/\.(?:tar(?:\.gz|\.zst)?|tgz)$/, "");
      const tag = plain.startsWith(basename(name)) ? plain.slice(basename(name).length) : "";
      if (plain !== file && /^[:_][A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/.test(tag)) tagged.add(`${name}${tag}`);
    }
  }
  return [...tagged].sort().slice(0, MAX_TAGGED);
}

/** Undefined where there is nothing. */
async function lookAt(path: string): Promise<Awaited<ReturnType<typeof stat>> | AppError | undefined> {
  try {
    return await stat(path);
  } catch (error) {
    return NOWHERE.includes((error as NodeJS.ErrnoException).code) ? undefined : unreadable(path, error);
  }
}

/** None where nobody can look; what cannot be listed may still have a file of the very name. */
async function filesIn(path: string): Promise<readonly string[]> {
  const names: string[] = [];
  try {
    for await (const { name } of await opendir(path)) if (names.push(name) >= MAX_ENTRIES) break;
  } catch {
    return [];
  }
  return names;
}

function noDirectory(directory: string): AppError {
  return new AppError("archive-missing", `Cannot find an archive: there is no directory ${directory}`, {
    hint: "docker_registry names it: check the path",
  });
}
