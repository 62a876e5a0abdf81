/** What is wrong with an archive as a whole, seen from whoever imports it. */
import { AppError } from "../errors.ts";
import { type Platform, platformUnknown } from "../image/platform.ts";
import { listed } from "../image/remote-text.ts";
import type { ImportedImage } from "../sources/index.ts";

export function noneServes(what: string, images: readonly ImportedImage[], wanted: Platform): AppError {
  return platformUnknown(
    what,
    wanted,
    images.flatMap(({ platform }) => platform ?? []),
  );
}

/** Names are given, and it is not said to which image. */
export function ambiguous(what: string, images: readonly ImportedImage[]): AppError {
  const why = `it holds ${images.length} images: ${inside(images)}`;
  const leaveOut = images.every(({ names }) => names.length > 0) ? "leave out --name to keep their own names, or " : "";
  return new AppError("archive-ambiguous", `Cannot give a name to what is in ${what}: ${why}`, {
    hint: `${leaveOut}${oneByOne(images[0])}`,
    details: { inside: descriptions(images) },
  });
}

/** `unnamed` of `images` have no name, and none is given. */
export function nameless(what: string, unnamed: readonly ImportedImage[], images: readonly ImportedImage[]): AppError {
  const many = unnamed.length > 1;
  const why = many ? `${unnamed.length} have no name there` : "it has no name there";
  const hint = images.length === 1 ? "say which name it is to get: --name REPOSITORY:TAG" : oneByOne(unnamed[0]);
  return new AppError("archive-ambiguous", `Cannot import ${inside(unnamed)} from ${what}: ${why}`, {
    hint,
    details: { inside: descriptions(images), unnamed: descriptions(unnamed) },
  });
}

export function tooManyNames(what: string, count: number, most: number, images: readonly ImportedImage[]): AppError {
  const why = `its images have ${count} names, more than ${most}`;
  return new AppError("archive-invalid", `Cannot import ${what}: ${why}`, { hint: oneByOne(images[0]) });
}

export function tooMuch(what: string, mostBytes: number, image: ImportedImage): AppError {
  const why = `manifests and configurations of its images are more than ${mostBytes} bytes together`;
  return new AppError("archive-invalid", `Cannot import ${what}: ${why}`, { hint: oneByOne(image) });
}

/** A command for one of several. */
function oneByOne(image: ImportedImage | undefined): string {
  const reference = image?.reference;
  return reference === undefined
    ? "write it to a file, FILE, and import one image at a time: rootwright import docker-archive:FILE:@0 --name REPOSITORY:TAG"
    : `import one image at a time: rootwright import ${reference} --name REPOSITORY:TAG`;
}

function inside(images: readonly ImportedImage[]): string {
  return listed(descriptions(images), 20);
}

function descriptions(images: readonly ImportedImage[]): readonly string[] {
  return images.slice(0, 100).map(({ describe }) => describe);
}
