/**
 * Short names: what `fedora` means where registries.conf files say it, by an alias or by a list of registries that are
 * searched (containers-registries.conf(5)). Where they say nothing, short names are Docker Hub's, as everywhere else.
 */

import { AppError } from "../../../errors.ts";
import { type DockerReference, parseDockerUrl } from "../../../image/docker-reference.ts";
import { createFileCache, type FileCache } from "./file-cache.ts";
import type { ShortNameMode } from "./registries-conf.ts";
import { type RegistriesConfPaths, readRegistriesConfs } from "./registries-files.ts";
import { isShort, nameOf } from "./short-name-entry.ts";

export interface ShortNames {
  /** Name as it is typed, without tag → full name, without tag. */
  readonly aliases: ReadonlyMap<string, string>;
  /** `host[:port]` of registries that are tried in turn; empty where none are configured. */
  readonly search: readonly string[];
  readonly mode: ShortNameMode;
  /** `credential-helpers`; undefined where they are not configured. */
  readonly credentialHelpers: readonly string[] | undefined;
  /** Files that were read. */
  readonly files: readonly string[];
}

/** Throws AppError `config-invalid`. With the cache of a host table, files that it has read are not read again. */
export async function readShortNames(
  paths: RegistriesConfPaths,
  cache: FileCache = createFileCache(),
): Promise<ShortNames> {
  const lookup = cache.lookUp();
  const files = await readRegistriesConfs(lookup, paths);
  const aliases = new Map(files.flatMap((file) => [...file.aliases]));
  return {
    aliases: new Map([...aliases].filter(([, value]) => value !== "")),
    search: files.findLast((file) => file.search !== undefined)?.search ?? [],
    mode: files.findLast((file) => file.shortNameMode !== undefined)?.shortNameMode ?? "permissive",
    credentialHelpers: files.findLast((file) => file.credentialHelpers !== undefined)?.credentialHelpers,
    files: [...lookup.files],
  };
}

/** For CredentialOptions: `credential-helpers` as the files have them when it is called. Throws AppError `config-invalid`. */
export function credentialHelpersIn(
  paths: RegistriesConfPaths,
  cache: FileCache = createFileCache(),
): () => Promise<readonly string[] | undefined> {
  return async () => (await readShortNames(paths, cache)).credentialHelpers;
}

/**
 * What may be meant, the most wanted first; the reference itself where a host was typed or nothing is configured. Tag and
 * digest stay. Throws AppError `reference-invalid` where several registries would be searched and the mode is `enforcing`.
 */
export function resolveShortName(reference: DockerReference, names: ShortNames): readonly DockerReference[] {
  if (!isShort(reference)) return [reference];
  const name = nameOf(reference);
  const version = reference.asTyped.slice(name.length);
  const alias = names.aliases.get(name);
  if (alias !== undefined) return [parseDockerUrl(`docker://${alias}${version}`)];
  if (names.search.length === 0) return [reference];
  const candidates = names.search.map((host) => `${host}/${name}${version}`);
  if (candidates.length > 1 && names.mode === "enforcing") {
    throw new AppError(
      "reference-invalid",
      `Cannot use image reference "${reference.asTyped}": it names no registry, and ${candidates.length} are configured`,
      { hint: `write one of ${candidates.join(", ")}`, details: { candidates, files: names.files } },
    );
  }
  return candidates.map((candidate) => parseDockerUrl(`docker://${candidate}`));
}
