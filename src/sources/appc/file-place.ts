/** ACIs in a directory of this machine: they are read where they are. */
import type { Stats } from "node:fs";
import { stat } from "node:fs/promises";
import { AppError } from "../../errors.ts";
import type { Candidate, FoundAci } from "./found-aci.ts";

const ABSENT = ["ENOENT", "ENOTDIR", "ENAMETOOLONG"];

export async function findFile(prefix: string, candidate: Candidate): Promise<FoundAci | undefined> {
  return await aciFile(await filePath(prefix, candidate));
}

/** `prefix` is used as it is, but for the slash that the name of a directory may lack. */
export async function filePath(prefix: string, { path }: Candidate): Promise<string> {
  const lacksSlash = !prefix.endsWith("/") && ((await statOf(prefix))?.isDirectory() ?? false);
  return `${prefix}${lacksSlash ? "/" : ""}${path}`;
}

/** A file as an ACI that was found; undefined when there is no regular file. */
export async function aciFile(path: string): Promise<FoundAci | undefined> {
  const stats = await statOf(path);
  if (stats?.isFile() !== true) return undefined;
  const file = { path, offset: 0, sizeBytes: stats.size };
  return { where: path, place: path, sizeBytes: stats.size, bytes: { file } };
}

async function statOf(path: string): Promise<Stats | undefined> {
  try {
    return await stat(path);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "";
    if (ABSENT.includes(code)) return undefined;
    throw new AppError(code === "EACCES" ? "privilege-missing" : "image-unknown", `Cannot read ${path}: ${code}`, {
      cause: error,
    });
  }
}
