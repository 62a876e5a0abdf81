/** Kept seeds: `fixtures/fuzz-seeds/TARGET/NAME`, one quirk or former fault a file; the fixtures' README says which. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { AppError } from "../../src/errors.ts";
import type { Seed } from "./engine.ts";

const FOLDER = join(import.meta.dirname, "../../fixtures/fuzz-seeds");

export function keptSeeds(target: string): Seed[] {
  const folder = join(FOLDER, target);
  if (!existsSync(folder)) return [];
  const names = readdirSync(folder).sort();
  return names.map((name) => ({ name, bytes: readFileSync(join(folder, name)) }));
}

/** Whether `action` succeeds. What it throws must be an AppError of one of these codes. */
export function succeeds(action: () => void, codes: readonly string[]): boolean {
  try {
    action();
    return true;
  } catch (error) {
    if (error instanceof AppError && codes.includes(error.code)) return false;
    throw error;
  }
}
