/**
 * Clears up after processes that died, by the crash table in README.md. Runs on every open, so it looks at two small
 * directories and one small table, and takes the write lock only when there is something to do. Blobs and layers without
 * a row are no danger to anyone: they are adopted when asked for, or swept by collection.
 */
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileWork, type StoreContext } from "./context.ts";
import type { HealReport } from "./model.ts";
import { removeTrashQuietly, trashOwner } from "./trash.ts";

export function heal(context: StoreContext): HealReport {
  // trees first, for which no row is written: on a full disk they make the room that the rest needs
  const staging = removeStaleStaging(context);
  const deadOwners = context.sessions.reap();
  return { deadOwners, removedPaths: [...removeStaleIngests(context), ...staging] };
}

/**
 * Files in `ingest/` without a row: what an interrupted `put`, or a removal between row and file, left behind. Rows that are
 * nobody's any more and that nobody can resume go first.
 */
function removeStaleIngests(context: StoreContext): string[] {
  const { database, paths } = context;
  const lost = "anonymous = 1 AND session_id IS NULL";
  if (database.get(`SELECT 1 FROM ingest WHERE ${lost}`) !== undefined)
    database.run(`DELETE FROM ingest WHERE ${lost}`);
  const known = () => new Set(database.all<{ id: string }>("SELECT id FROM ingest").map(({ id }) => id));
  const unknown = () => difference(list(context, paths.ingest), known());
  if (unknown().length === 0) return [];
  // looked at again as the only writer: a claim or a put of another process is either not begun or complete
  return database.write(() =>
    unknown().map((name) => {
      const path = join(paths.ingest, name);
      fileWork(context, `remove ${path}`, path, () => rmSync(path, { recursive: true, force: true }));
      return join("ingest", name);
    }),
  );
}

/**
 * Layers in progress whose maker died, and trash whose remover died. Their names are never used again, so they are removed
 * where they are, and it does no harm when another process does the same.
 */
function removeStaleStaging(context: StoreContext): string[] {
  const { database, paths, sessions } = context;
  const candidates = () => {
    const names = list(context, paths.staging);
    if (names.length === 0) return [];
    const alive = sessions.alive();
    const rows = database.all<{ id: string; sessionId: number }>("SELECT id, session_id AS sessionId FROM staging");
    const claimed = new Set(rows.filter(({ sessionId }) => alive.has(sessionId)).map(({ id }) => id));
    return names.filter((name) => !claimed.has(name) && !alive.has(trashOwner(name) ?? -1));
  };
  if (candidates().length === 0) return [];
  // looked at again as the only writer: a claim of another process is either not begun or complete
  const stale = database.write(candidates);
  for (const name of stale) removeTrashQuietly(context, join(paths.staging, name));
  return stale.map((name) => join("staging", name));
}

function list(context: StoreContext, directory: string): string[] {
  return fileWork(context, `look into ${directory}`, directory, () => readdirSync(directory));
}

function difference(names: readonly string[], known: ReadonlySet<string>): string[] {
  return names.filter((name) => !known.has(name));
}
