/**
 * DockerArchiveReference: `docker-archive:PATH[:REFERENCE]`, a file that `docker save` or skopeo wrote.
 *
 * PATH may hold colons itself, as in `busybox:latest.tar`. Without looking at the disk, the rule is: the path ends at the
 * first `.tar` (also .tar.gz, .tgz, .tar.zst, .tar.xz, .tar.bz2) that stands before a colon or at the end; where there is
 * none, at the first colon, as skopeo has it.
 */
import { resolve } from "node:path/posix";
import { type DockerReference, parseDockerReference } from "./docker-reference.ts";
import { referenceInvalid } from "./reference-invalid.ts";

export interface DockerArchiveReference {
  readonly kind: "docker-archive";
  readonly path: string;
  /** Which image of the archive; absent: the only one. */
  readonly reference?: DockerReference;
  readonly asTyped: string;
}

/** `text` is the whole reference; a relative PATH is resolved against `cwd` when that is given. */
export function parseDockerArchiveReference(text: string, cwd?: string): DockerArchiveReference {
  const rest = text.slice("docker-archive:".length);
  const { path, asked } = splitPath(rest);
  if (path === "") throw referenceInvalid(text, "the path is empty", "write docker-archive:PATH[:REFERENCE]");
  if (path.includes("\0")) throw referenceInvalid(text, "the path has a NUL character");
  const absolute = cwd === undefined ? path : resolve(cwd, path);
  if (asked === undefined) return { kind: "docker-archive", path: absolute, asTyped: text };
  if (asked.startsWith("@")) {
    throw referenceInvalid(
      text,
      "images of an archive are chosen by name, not by number",
      "write a name, such as :busybox:latest",
    );
  }
  if (asked === "") throw referenceInvalid(text, "the reference after the path is empty", "leave out the last colon");
  const reference = parseDockerReference(asked);
  if (reference.digest !== undefined) {
    throw referenceInvalid(text, "archives list images by tag, not by digest", "leave out the @ and what follows");
  }
  return { kind: "docker-archive", path: absolute, reference, asTyped: text };
}

function splitPath(rest: string): { readonly path: string; readonly asked: string | undefined } {
  const ending = /\.(?:tar(?:\.(?:gz|zst|xz|bz2))?|tgz)(?=:|$)/.exec(rest);
  const end = ending === null ? rest.indexOf(":") : ending.index + ending[0].length;
  if (end < 0 || end === rest.length) return { path: rest, asked: undefined };
  return { path: rest.slice(0, end), asked: rest.slice(end + 1) };
}
