/**
 * Node's cache of compiled code, which makes the program start several times faster. Whoever can write there has us run
 * his code, so it is used only where this user alone can: below his home, through directories that are his own.
 */
import { lstatSync, mkdirSync, type Stats, statSync } from "node:fs";
import { enableCompileCache } from "node:module";
import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";

const BELOW_HOME = [".cache", "rootwright", "node"];
const GROUP_OR_OTHERS_WRITE = 0o022;

/** Without a safe place for it the program only starts more slowly. */
export function useCompileCache(): void {
  const directory = compileCacheDirectory(homeOrNothing());
  if (directory !== undefined) enableCompileCache(directory);
}

/** The directory, made if it was missing; undefined when it cannot be, or would not be ours alone. */
export function compileCacheDirectory(home: string): string | undefined {
  // HOME may be empty or relative: then anybody's current directory would be it
  if (!isAbsolute(home)) return undefined;
  try {
    // home may be a link, which only those above it can change; what is below must be what it says
    if (!isOursAlone(statSync(home))) return undefined;
    let directory = home;
    for (const name of BELOW_HOME) {
      directory = join(directory, name);
      ensureDirectory(directory);
      if (!isOursAlone(lstatSync(directory))) return undefined;
    }
    return directory;
  } catch {
    return undefined;
  }
}

/** Only the last name: Node 24's `recursive` never ends where nothing can be made, as in /proc. */
function ensureDirectory(path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
}

function isOursAlone(stats: Stats): boolean {
  return stats.isDirectory() && stats.uid === process.geteuid?.() && (stats.mode & GROUP_OR_OTHERS_WRITE) === 0;
}

/** `homedir` throws for a user whom the system does not know. */
function homeOrNothing(): string {
  try {
    return homedir();
  } catch {
    return "";
  }
}
