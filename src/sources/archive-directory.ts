/**
 * The source of `docker` references where `dockerRegistry` is a directory of archives: each image in a file of its own
 * that bears its name, `busybox:latest.tar`, saved by Docker of any age or an OCI archive, compressed or not.
 */
import { AppError } from "../errors.ts";
import { DOCKER_HUB } from "../image/docker-reference.ts";
import { type DockerReference, formatReference } from "../image/reference.ts";
import { ENDINGS, findArchives, findTagged } from "./archives/find-archives.ts";
import { openImageFiles } from "./archives/open-image-files.ts";
import { resolveArchive } from "./archives/resolve-archive.ts";
import type { ImageSource, ResolveContext, ResolvedImage } from "./source.ts";

export function createArchiveDirectorySource(directory: string): ImageSource<DockerReference> {
  return {
    kind: "docker",
    async resolve(reference, context) {
      const paths = await findNamed(directory, reference);
      if (paths.length === 0) throw missing(directory, reference);
      let missed: unknown;
      for (const path of paths) {
        const message = `${formatReference(reference)} is looked for in ${directory}: ${path} has its name`;
        context.emit({ type: "decision", topic: "archive", message });
        try {
          return await resolveNamedArchive({ path }, reference, context);
        } catch (error) {
          if (!isOther(error, reference) || paths.length === 1) throw error;
          context.emit({ type: "decision", topic: "archive", message: `${path} is not it: ${error.message}` });
          missed ??= error;
        }
      }
      throw missed;
    },
  };
}

export interface NamedArchive {
  /** Absolute. */
  readonly path: string;
  /** What people call it, where that is not the path. */
  readonly shown?: string;
}

/**
 * The image of an archive that bears its name. A digest must hold: it may be that of a manifest, which only an OCI layout
 * has, or of a configuration. Docker from 25 on saves both.
 */
export async function resolveNamedArchive(
  { path, shown = path }: NamedArchive,
  reference: DockerReference,
  context: ResolveContext,
): Promise<ResolvedImage> {
  const { tag, digest } = reference;
  const name = formatReference(reference);
  const byFileName = tag === undefined ? {} : { tag };
  await using files = await openImageFiles(path, context, shown);
  if (digest === undefined) return await resolveArchive(files, { name, wanted: { name, byFileName } }, context);
  try {
    return await resolveArchive(files, { name, wanted: { digest }, layouts: ["layout"] }, context);
  } catch (error) {
    const goesOn = error instanceof AppError && ["image-unknown", "archive-invalid"].includes(error.code);
    if (!goesOn) throw error;
    return await resolveArchive(files, { name, wanted: { digest, byFileName } }, context);
  }
}

/** A name without its tag is that of many archives, and the digest says which of them is meant. */
function isOther(error: unknown, { digest }: DockerReference): error is AppError {
  if (digest === undefined || !(error instanceof AppError)) return false;
  return ["image-unknown", "archive-invalid", "platform-unknown"].includes(error.code);
}

/**
 * File names under which an archive is looked for, best first, all without their ending: as typed, then canonical
 * spellings, from the shortest to the full one, each with slashes as sub-directories and with `_` for what some file
 * systems do not like. Beside a digest, which has to hold anyway, a tag alone may be the name.
 */
export function archiveFileNames(reference: DockerReference): readonly string[] {
  const { tag = "latest", digest, asTyped } = reference;
  const pinned = digest === undefined ? [] : [`@${digest}`];
  const versions = [...pinned, `:${tag}`, ...(tag === "latest" ? [""] : [])];
  const names = namesOf(reference);
  const spelled = [asTyped, ...versions.flatMap((version) => names.map((name) => `${name}${version}`))];
  return [...new Set(spelled.flatMap(writtenAs))];
}

/** From the shortest to the full one. */
function namesOf({ host, repository }: DockerReference): readonly string[] {
  const familiar = host === DOCKER_HUB ? [repository.replace(/^library\//, ""), repository] : [];
  return [...new Set([...familiar, `${host}/${repository}`])];
}

function writtenAs(text: string): readonly string[] {
  const flat = (name: string): string => name.replaceAll("/", "_");
  const plain = text.replaceAll(":", "_");
  return [...new Set([text, flat(text), plain, flat(plain)])];
}

/** Paths of archives that may be meant, best first: one, or with a digest, which tells, all. */
async function findNamed(directory: string, reference: DockerReference): Promise<readonly string[]> {
  const { tag, digest } = reference;
  const names = archiveFileNames(reference);
  if (digest === undefined) return (await findArchives(directory, names)).slice(0, 1);
  const tagged = tag === undefined ? await findTagged(directory, namesOf(reference).flatMap(writtenAs)) : [];
  return await findArchives(directory, [...new Set([...names, ...tagged])]);
}

/** The names that say the most in the fewest words: without a digest, and without what `_` may stand for. */
function missing(directory: string, { asTyped, tag = "latest", digest, ...rest }: DockerReference): AppError {
  const reference = { ...rest, tag, asTyped: asTyped.replace(/@.*$/, "") };
  const plain = archiveFileNames(reference).filter((name) => !reference.asTyped.includes(":") || name.includes(":"));
  const names = plain.slice(0, 4).map((name) => `${name}.tar`);
  const besides = digest === undefined ? "" : `, with @${digest} behind the name`;
  const why = `none of these files is in ${directory}: ${names.join(", ")}; nor is one with _ for a colon${besides}, or that ends in ${ENDINGS.slice(1).join(", ")}`;
  const what = formatReference({ ...rest, tag, asTyped, ...(digest !== undefined && { digest }) });
  return new AppError("archive-missing", `Cannot find an archive of ${what}: ${why}`, {
    hint: `docker save -o ${directory}/${names[0]} ${reference.asTyped}`,
    details: { directory, names },
  });
}
