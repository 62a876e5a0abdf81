/**
 * The source of `docker` references where `dockerRegistry` is a directory of `docker save` archives: each image in a file
 * of its own that bears its name, `busybox:latest.tar`.
 */
import { stat } from "node:fs/promises";
import { resolve, sep } from "node:path";
import { AppError } from "../errors.ts";
import { DOCKER_HUB } from "../image/docker-reference.ts";
import { type DockerReference, formatReference } from "../image/reference.ts";
import { resolveArchive } from "./docker-archive/resolve-archive.ts";
import type { ImageSource, ResolvedImage } from "./source.ts";

export function createArchiveDirectorySource(directory: string): ImageSource<DockerReference> {
  return {
    kind: "docker",
    async resolve(reference, context) {
      const name = formatReference(reference);
      const path = await findArchive(directory, reference);
      const asked = reference.digest === undefined ? reference : undefined;
      return requirePinned(reference, await resolveArchive({ path, asked, lenient: true, name }, context));
    },
  };
}

/**
 * File names under which an archive is looked for, best first: as typed, then canonical spellings, from the shortest to the
 * full one, each with slashes as sub-directories and with `_` for what some file systems do not like.
 */
export function archiveFileNames(reference: DockerReference): readonly string[] {
  const { host, repository, tag, digest, asTyped } = reference;
  const familiar = host === DOCKER_HUB ? [repository.replace(/^library\//, ""), repository] : [];
  const names = [...familiar, `${host}/${repository}`];
  const version = digest === undefined ? `:${tag ?? "latest"}` : `@${digest}`;
  const spelled = [asTyped, ...names.map((name) => `${name}${version}`), ...(version === ":latest" ? names : [])];
  const flat = (text: string): string => text.replaceAll("/", "_");
  const plain = (text: string): string => text.replaceAll(":", "_");
  const variants = spelled.flatMap((text) => [text, flat(text), plain(text), flat(plain(text))]);
  return [...new Set(variants)].map((text) => `${text}.tar`);
}

async function findArchive(directory: string, reference: DockerReference): Promise<string> {
  const names = archiveFileNames(reference);
  for (const name of names) {
    const path = resolve(directory, name);
    // references cannot spell `..`, and even if they could it would not lead out of here
    if (!path.startsWith(directory.endsWith(sep) ? directory : directory + sep)) continue;
    if ((await stat(path).catch(() => undefined))?.isFile()) return path;
  }
  const exists = (await stat(directory).catch(() => undefined))?.isDirectory();
  const why = exists
    ? `none of these files is in ${directory}: ${names.join(", ")}`
    : `there is no directory ${directory}`;
  throw new AppError("archive-missing", `Cannot find an archive of ${formatReference(reference)}: ${why}`, {
    hint: `docker save -o ${directory}/${names[0]} ${reference.asTyped}`,
    details: { directory, names },
  });
}

/** A digest must hold: saved archives keep the image ID (digest of the configuration), seldom the registry's manifest. */
function requirePinned(reference: DockerReference, image: ResolvedImage): ResolvedImage {
  const { digest } = reference;
  const known = [image.manifest.descriptor.digest, image.config.descriptor.digest];
  if (digest === undefined || known.includes(digest)) return image;
  throw new AppError("image-unknown", `Cannot use ${image.source}: nothing in it proves to be ${digest}`, {
    hint: "docker save does not keep manifest digests; name the image by tag, or by its image ID as digest",
    details: { wanted: digest, found: known },
  });
}
