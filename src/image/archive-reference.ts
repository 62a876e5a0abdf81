/**
 * DockerArchiveReference: `docker-archive:PATH[:REFERENCE|:@N][@DIGEST]`, a file that `docker save` or skopeo wrote, or a
 * directory with what such a file holds.
 *
 * PATH may hold colons itself, as in `busybox:latest.tar`. Without looking at the disk, it ends
 *  1. before `@sha256:…` or `@sha512:…` at the end;
 *  2. at the last slash that stands before a colon or at the end: `docker-archive:/saved/a:b/:app` has a colon in its path,
 *     and this is how such a path is said to be one (no reference has a slash there);
 *  3. at the first `.tar` (also .tar.gz, .tgz, .tar.zst, .tar.xz, .tar.bz2) that stands before a colon or at the end;
 *  4. otherwise at the first colon, as skopeo has it.
 */
import { resolve } from "node:path/posix";
import { type Digest, parseDigest } from "../../store/index.ts";
import { type DockerReference, formatDockerReference, parseDockerReference } from "./docker-reference.ts";
import { referenceInvalid } from "./reference-invalid.ts";

export interface DockerArchiveReference {
  readonly kind: "docker-archive";
  readonly path: string;
  /** Which image of the archive, never with a digest; absent, as is `position`: the only one. */
  readonly reference?: DockerReference;
  /** Which image of the archive, counted from 0 (containers-transports(5), "source-index"). */
  readonly position?: number;
  /** That of its configuration, or of its manifest, which is made where there is none. Holds besides what else is said. */
  readonly digest?: Digest;
  readonly asTyped: string;
}

/** `text` is the whole reference; a relative PATH is resolved against `cwd` when that is given. */
export function parseDockerArchiveReference(text: string, cwd?: string): DockerArchiveReference {
  const { rest, digest } = splitDigest(text, text.slice("docker-archive:".length));
  const end = endOfArchivePath(rest);
  const path = parseArchivePath(text, rest.slice(0, end), cwd, "docker-archive:PATH[:REFERENCE]");
  const archive = { kind: "docker-archive", path, ...(digest !== undefined && { digest }), asTyped: text } as const;
  if (end === rest.length) return archive;
  const asked = rest.slice(end + 1);
  if (asked.startsWith("@")) return { ...archive, position: parsePosition(text, asked) };
  if (asked === "") throw referenceInvalid(text, "the reference after the path is empty", "leave out the last colon");
  return { ...archive, reference: parseDockerReference(asked) };
}

export function formatDockerArchiveReference(archive: DockerArchiveReference): string {
  const { path, reference, position, digest } = archive;
  const asked = position === undefined ? reference && formatDockerReference(reference) : `@${position}`;
  return formatArchive("docker-archive", formatArchivePath(path, endOfArchivePath), asked, digest);
}

/** `KIND:PATH[:ASKED][@DIGEST]` */
export function formatArchive(
  kind: string,
  path: string,
  asked: string | undefined,
  digest: Digest | undefined,
): string {
  const image = asked === undefined ? "" : `:${asked}`;
  return `${kind}:${path}${image}${digest === undefined ? "" : `@${digest}`}`;
}

/** With a slash at its end where it would be taken to end before. */
export function formatArchivePath(path: string, endOf: (rest: string) => number): string {
  return endOf(path) < path.length ? `${path}/` : path;
}

/** Length of the path with which `rest` begins, where it is that of a file or a directory. */
export function endOfArchivePath(rest: string): number {
  return endAtSlash(rest) ?? endOfArchiveName(rest) ?? endAtColon(rest);
}

export function endAtSlash(rest: string): number | undefined {
  const slash = rest.endsWith("/") ? rest.length - 1 : rest.lastIndexOf("/:");
  return slash < 0 ? undefined : slash + 1;
}

/** Where the path in `rest` ends if it has the ending of an archive; undefined when it has none. */
function endOfArchiveName(rest: string): number | undefined {
  const ending = /\.(?:tar(?:\.(?:gz|zst|xz|bz2))?|tgz)(?=:|$)/.exec(rest);
  return ending === null ? undefined : ending.index + ending[0].length;
}

export function endAtColon(rest: string): number {
  const colon = rest.indexOf(":");
  return colon < 0 ? rest.length : colon;
}

/** What stands before a digest at the end of `whole`, if there is one; one in the name of a file is none. */
export function splitDigest(text: string, whole: string): { readonly rest: string; readonly digest?: Digest } {
  const [pinned = "", digest] = /@(sha(?:256|512):[^/.]*)$/.exec(whole) ?? [];
  if (digest === undefined) return { rest: whole };
  try {
    return { rest: whole.slice(0, -pinned.length), digest: parseDigest(digest) };
  } catch {
    throw referenceInvalid(
      text,
      "its digest is malformed",
      "a digest is sha256: and 64, or sha512: and 128, lower-case hex digits",
    );
  }
}

/** `usage` is the form to write instead, for the hint. A slash at the end of a path only says where it ends. */
export function parseArchivePath(text: string, path: string, cwd: string | undefined, usage: string): string {
  if (path === "") throw referenceInvalid(text, "the path is empty", `write ${usage}`);
  if (path.includes("\0")) throw referenceInvalid(text, "the path has a NUL character");
  const plain = path.replace(/(?<=.)\/+$/s, "");
  return cwd === undefined ? plain : resolve(cwd, plain);
}

/** `@N`, without leading zeros, so that one image has one name. */
export function parsePosition(text: string, asked: string): number {
  if (/^@(?:0|[1-9][0-9]{0,5})$/.test(asked)) return Number(asked.slice(1));
  throw referenceInvalid(
    text,
    `${JSON.stringify(asked)} is not the position of an image`,
    "images are counted from 0, behind a colon and an @",
  );
}
