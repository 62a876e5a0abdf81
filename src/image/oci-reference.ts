/**
 * OciReference: an image of an OCI image layout (image-spec, image-layout.md), as skopeo names it:
 * `oci:DIR[:NAME|:@N][@DIGEST]` for a directory, `oci-archive:FILE[:NAME|:@N][@DIGEST]` for a tar of one.
 *
 * NAME is what index.json calls the image: a tag, or a whole reference, which has colons and slashes of its own. Without
 * looking at the disk, the path ends
 *  1. before `@sha256:…` or `@sha512:…` at the end;
 *  2. at the last slash that stands before a colon or at the end: `oci:/images/busybox:latest/:1` has a colon in its path,
 *     and this is how such a path is said to be one (no name has a slash there);
 *  3. for oci-archive, at the ending of an archive: `oci-archive:busybox:latest.tar:1`;
 *  4. otherwise at the first colon, as skopeo has it.
 */
import type { Digest } from "../../store/index.ts";
import {
  endAtColon,
  endAtSlash,
  endOfArchivePath,
  formatArchive,
  formatArchivePath,
  parseArchivePath,
  parsePosition,
  splitDigest,
} from "./archive-reference.ts";
import { referenceInvalid } from "./reference-invalid.ts";

interface OciChoice {
  readonly path: string;
  /** As written in index.json. Absent, as are `position` and `digest`: the only image. */
  readonly name?: string;
  /** Of a manifest or an index. Holds besides what else is said. */
  readonly digest?: Digest;
  /** Among the manifests of index.json, counted from 0. */
  readonly position?: number;
  readonly asTyped: string;
}

export interface OciLayoutReference extends OciChoice {
  readonly kind: "oci";
}

export interface OciArchiveReference extends OciChoice {
  readonly kind: "oci-archive";
}

/** What image-spec, annotations.md, allows for `org.opencontainers.image.ref.name`, and tags that start with `_`. */
const NAME = /^(?!.*\/:)[A-Za-z0-9_](?:[A-Za-z0-9._:@+/-]{0,510}[A-Za-z0-9._+-])?$/;

/** A relative path is resolved against `cwd` when that is given. */
export function parseOciReference(text: string, cwd?: string): OciLayoutReference | OciArchiveReference {
  const kind = text.startsWith("oci:") ? "oci" : "oci-archive";
  const whole = text.slice(kind.length + 1);
  const usage = `${kind}:${kind === "oci" ? "DIR" : "FILE"}[:TAG]`;
  const { rest, digest } = splitDigest(text, whole);
  const end = endOfPath(kind, rest);
  const path = parseArchivePath(text, rest.slice(0, end), cwd, usage);
  const layout = { kind, path, ...(digest !== undefined && { digest }), asTyped: text } as const;
  if (end === rest.length) return layout;
  const asked = rest.slice(end + 1);
  if (asked === "") throw referenceInvalid(text, "the name after the path is empty", "leave out the last colon");
  if (asked.startsWith("@")) return { ...layout, position: parsePosition(text, asked) };
  if (NAME.test(asked)) return { ...layout, name: asked };
  throw referenceInvalid(
    text,
    `${JSON.stringify(asked.slice(0, 100))} is neither a tag nor a reference`,
    `write ${usage}; a path that has colons ends in a slash: ${kind}:PATH/:TAG`,
  );
}

export function formatOciReference(reference: OciLayoutReference | OciArchiveReference): string {
  const { kind, path, name, digest, position } = reference;
  const shown = formatArchivePath(path, (rest) => endOfPath(kind, rest));
  return formatArchive(kind, shown, position === undefined ? name : `@${position}`, digest);
}

/** Length of the path with which `rest` begins. */
function endOfPath(kind: "oci" | "oci-archive", rest: string): number {
  return kind === "oci" ? (endAtSlash(rest) ?? endAtColon(rest)) : endOfArchivePath(rest);
}
