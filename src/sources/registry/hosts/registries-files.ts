/**
 * Which registries.conf files count, in the order in which they are read: one main file, drop-in files sorted by name
 * whatever their directory, and one that is read last (containers-registries.conf(5)). Later ones override earlier ones.
 */
import { basename, join } from "node:path";
import { configInvalid } from "./config-document.ts";
import type { Lookup } from "./file-cache.ts";
import { REGISTRIES_CONF, type RegistriesConf } from "./registries-conf.ts";

export interface RegistriesConfPaths {
  /** Candidates for the main file; the first that is there counts. */
  readonly registriesConf: readonly string[];
  /** Somebody has named the main file: one of the candidates must be there. Default: false. */
  readonly registriesConfRequired?: boolean;
  /** Directories of drop-in files (`*.conf`), those of least weight first: of files with one name, the last counts. */
  readonly registriesConfDirs: readonly string[];
  /** Read after all others. It must be there. */
  readonly registriesConfOverride?: string;
}

/** In the order in which they are read. Throws AppError `config-invalid`. */
export async function readRegistriesConfs(
  lookup: Lookup,
  paths: RegistriesConfPaths,
): Promise<readonly RegistriesConf[]> {
  const { registriesConf, registriesConfOverride: override, registriesConfRequired = false } = paths;
  const main = await firstOf(lookup, registriesConf);
  const [named] = registriesConf;
  if (main === undefined && registriesConfRequired && named !== undefined) throw missing(named);
  const dropIns = await dropInPaths(lookup, paths.registriesConfDirs);
  const others = await Promise.all(dropIns.map((path) => lookup.read(path, REGISTRIES_CONF)));
  const last = override === undefined ? undefined : await lookup.read(override, REGISTRIES_CONF);
  if (override !== undefined && last === undefined) throw missing(override);
  return [main, ...others, last].filter((file) => file !== undefined);
}

async function firstOf(lookup: Lookup, candidates: readonly string[]): Promise<RegistriesConf | undefined> {
  for (const path of candidates) {
    const file = await lookup.read(path, REGISTRIES_CONF);
    if (file !== undefined) return file;
  }
  return undefined;
}

async function dropInPaths(lookup: Lookup, directories: readonly string[]): Promise<readonly string[]> {
  const listed = await Promise.all(
    directories.map(async (directory) =>
      (await lookup.list(directory))
        .filter(({ name, isDirectory }) => name.endsWith(".conf") && !isDirectory)
        .map(({ name }) => join(directory, name)),
    ),
  );
  const byName = new Map(listed.flat().map((path) => [basename(path), path]));
  return [...byName].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, path]) => path);
}

function missing(path: string): Error {
  return configInvalid(
    path,
    "it is not there",
    "a flag, a variable or a setting names it: name another file there, or none",
  );
}
