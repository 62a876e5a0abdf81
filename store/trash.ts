/**
 * Trees on their way out: first renamed into `staging/`, where nobody takes them for content, then removed. A crash in
 * between leaves `staging/trash-<session>-…`, which `heal` finishes once that session is dead.
 */
import { renameSync } from "node:fs";
import { join } from "node:path";
import { fileWork, type StoreContext } from "./context.ts";
import { errnoOf } from "./errors.ts";
import { quietly } from "./quietly.ts";
import { removeTree } from "./remove-tree.ts";
import { randomShortId } from "./short-id.ts";

const TRASH = /^trash-([0-9]+)-/;

/** Takes the name away; returns where the tree is now, undefined when there was none. Call it inside the transaction. */
export function moveToTrash(context: StoreContext, path: string, session: number): string | undefined {
  const to = join(context.paths.staging, `trash-${session}-${randomShortId(10)}`);
  return fileWork(context, `remove ${path}`, path, () => {
    try {
      renameSync(path, to);
      return to;
    } catch (error) {
      if (errnoOf(error) === "ENOENT") return undefined;
      throw error;
    }
  });
}

export function removeTrash(context: StoreContext, path: string): void {
  fileWork(context, `remove ${path}`, path, () => removeTree(path));
}

/** Removes a tree that nothing refers to any more. Its removal was committed: what cannot be removed now is left to `heal`. */
export function removeTrashQuietly(context: StoreContext, path: string | undefined): void {
  if (path !== undefined) quietly(() => removeTrash(context, path));
}

/** The session that moved it to the trash; undefined for other names. */
export function trashOwner(name: string): number | undefined {
  const id = TRASH.exec(name)?.[1];
  return id === undefined ? undefined : Number(id);
}
