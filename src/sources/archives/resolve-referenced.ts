/** What references to archives and layouts say: where it is, what it may be, and which of its images is meant. */
import { resolve } from "node:path";
import { AppError } from "../../errors.ts";
import {
  type DockerArchiveReference,
  formatReference,
  type OciArchiveReference,
  type OciLayoutReference,
} from "../../image/reference.ts";
import type { ResolveContext, ResolvedImage } from "../source.ts";
import type { Wanted } from "./choose-image.ts";
import type { ImageFiles } from "./image-files.ts";
import type { Layout } from "./list-images.ts";
import { openImageFiles } from "./open-image-files.ts";
import { resolveArchive } from "./resolve-archive.ts";

export type ArchiveReference = DockerArchiveReference | OciLayoutReference | OciArchiveReference;

/** Throws what `openReferenced` and `resolveArchive` throw. */
export async function resolveReferenced(reference: ArchiveReference, context: ResolveContext): Promise<ResolvedImage> {
  await using files = await openReferenced(reference, context);
  const name = formatReference({ ...reference, path: resolve(reference.path) });
  return await resolveArchive(files, { name, wanted: wantedBy(reference), layouts: layoutsOf(reference) }, context);
}

/**
 * A file in the place of a directory, or the other way round, is read all the same: there is no doubt about what is meant.
 * Throws AppErrors `archive-missing`, `archive-invalid`, and what the workshop throws.
 */
export async function openReferenced(reference: ArchiveReference, context: ResolveContext): Promise<ImageFiles> {
  try {
    return await openImageFiles(resolve(reference.path), context);
  } catch (error) {
    const hint = colonHint(reference);
    if (!(error instanceof AppError) || error.code !== "archive-missing" || hint === undefined) throw error;
    throw new AppError(error.code, error.message, { hint, details: error.details, cause: error.cause });
  }
}

export function wantedBy(reference: ArchiveReference): Wanted {
  const { position, digest } = reference;
  const name = nameIn(reference);
  return {
    ...(name !== undefined && { name }),
    ...(digest !== undefined && { digest }),
    ...(position !== undefined && { position }),
  };
}

export function layoutsOf({ kind }: ArchiveReference): readonly Layout[] {
  return kind === "docker-archive" ? ["saved", "legacy", "copied"] : ["layout"];
}

function nameIn(reference: ArchiveReference): string | undefined {
  if (reference.kind !== "docker-archive") return reference.name;
  return reference.reference === undefined ? undefined : formatReference(reference.reference);
}

/** `docker-archive:/x/busybox:latest` may well be meant for a file of that name. */
function colonHint(reference: ArchiveReference): string | undefined {
  const { kind, path, asTyped } = reference;
  const asked = asTyped.startsWith(`${kind}:`) ? asTyped.slice(kind.length + 1).replace(/@sha[^/.]*$/, "") : "";
  if (nameIn(reference) === undefined || asked.includes("/:")) return undefined;
  return `the path was taken to end at a colon, after ${path}; if it goes on, write a slash behind it: ${kind}:${asked}/`;
}
