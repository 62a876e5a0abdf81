/** Directories that are named after hosts: `<dir>/registry.example.com_5000_/`, `<dir>/registry.example.com:5000/`. */
import { join } from "node:path";
import { DOCKER_HUB } from "../../../image/docker-reference.ts";
import { DOCKER_HUB_API } from "../endpoint.ts";
import { configInvalid } from "./config-document.ts";
import type { Lookup } from "./file-cache.ts";

/** containerd's name for hosts that have no directory of their own. */
const DEFAULT = "_default";

/**
 * Those directories of `host` in `directory` that are there, the preferred spelling first: the one without a colon, as
 * containerd has it. Host names are the same in upper and lower case, and so are these; names are taken from the
 * directory's own list, so that no host can lead anywhere else.
 */
export function directoriesOf(lookup: Lookup, directory: string, host: string): Promise<readonly string[]> {
  return present(lookup, directory, host === DEFAULT ? [] : spellings(host));
}

/** The `_default` directory, unless `host` has one of its own beside it. */
export async function defaultDirectoryFor(lookup: Lookup, directory: string, host: string): Promise<readonly string[]> {
  const own = await directoriesOf(lookup, directory, host);
  return own.length > 0 ? [] : present(lookup, directory, [DEFAULT]);
}

/** Throws AppError `config-invalid` for the first that is not there: mirrors would be missed, and nobody be told. */
export async function requireDirectories(lookup: Lookup, directories: readonly string[]): Promise<void> {
  for (const directory of directories) {
    if (await lookup.isDirectory(directory)) continue;
    throw configInvalid(
      directory,
      "there is no such directory, or this user may not look into it",
      "hosts_dirs names it: create it, or name others",
    );
  }
}

/** Docker Hub's API host is found under the name that references have, too. */
function spellings(host: string): readonly string[] {
  const [, name, port] = /^(.+):([0-9]+)$/.exec(host) ?? [];
  if (name !== undefined && port !== undefined) return [`${name}_${port}_`, host];
  return host === DOCKER_HUB_API ? [host, DOCKER_HUB] : [host];
}

async function present(lookup: Lookup, directory: string, wanted: readonly string[]): Promise<readonly string[]> {
  const entries = await lookup.list(directory);
  return wanted.flatMap((name) => {
    const exact = entries.find((entry) => entry.name === name);
    const found = exact ?? entries.find((entry) => entry.name.toLowerCase() === name.toLowerCase());
    return found === undefined ? [] : [join(directory, found.name)];
  });
}
