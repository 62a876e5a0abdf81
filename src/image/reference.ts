/**
 * ImageReference: what a user may call an image. Parsing is pure: nothing is looked up, nothing is touched.
 *
 * | form | kind |
 * | --- | --- |
 * | `[HOST[:PORT]/]REPOSITORY[:TAG][@DIGEST]` | docker, normalised as `docker pull` does |
 * | `docker://HOST/REPOSITORY…`, `docker:///REPOSITORY…` | docker; the host is what stands before the slash, if anything |
 * | `docker-archive:PATH[:REFERENCE\|:@N][@DIGEST]` | docker-archive |
 * | `oci:DIR[:NAME\|:@N][@DIGEST]`, `oci-archive:FILE[…]` | oci, oci-archive |
 * | `appc:NAME[:VERSION][,LABEL=VALUE…][@sha512-HEX]`, `appc:sha512-HEX` | appc |
 */
import type { Digest } from "../../store/index.ts";
import { type AppcReference, formatAppcReference, parseAppcReference } from "./appc-reference.ts";
import {
  type DockerArchiveReference,
  formatDockerArchiveReference,
  parseDockerArchiveReference,
} from "./archive-reference.ts";
import {
  type DockerReference,
  formatDockerReference,
  parseDockerReference,
  parseDockerUrl,
} from "./docker-reference.ts";
import {
  formatOciReference,
  type OciArchiveReference,
  type OciLayoutReference,
  parseOciReference,
} from "./oci-reference.ts";
import { referenceInvalid } from "./reference-invalid.ts";

export type { AppcReference } from "./appc-reference.ts";
export type { DockerArchiveReference } from "./archive-reference.ts";
export type { DockerReference } from "./docker-reference.ts";
export type { OciArchiveReference, OciLayoutReference } from "./oci-reference.ts";

export type ImageReference =
  | DockerReference
  | DockerArchiveReference
  | OciLayoutReference
  | OciArchiveReference
  | AppcReference;
export type ReferenceKind = ImageReference["kind"];

/**
 * Parses any form. With `cwd`, the path of an archive is made absolute against it, so that its canonical name means the
 * same from everywhere. Throws AppError `reference-invalid` that says which part is wrong and what to write instead.
 */
export function parseReference(text: string, cwd?: string): ImageReference {
  if (text.startsWith("docker-archive:")) return parseDockerArchiveReference(text, cwd);
  if (/^oci(?:-archive)?:/.test(text)) return parseOciReference(text, cwd);
  if (text.startsWith("appc:")) return parseAppcReference(text);
  if (text.startsWith("docker://")) return parseDockerUrl(text);
  if (/^https?:\/\//.test(text)) {
    throw referenceInvalid(text, "an image reference has no scheme", `try ${text.replace(/^https?:\/\//, "")}`);
  }
  // these are also lawful repository names, but nobody who writes `oci:path` wants one from Docker Hub
  const scheme = /^(containers-storage|docker-daemon):/.exec(text)?.[1];
  if (scheme !== undefined) {
    throw referenceInvalid(
      text,
      `there is no source for ${scheme}: references`,
      "docker://, docker-archive:, oci-archive:, oci: and appc: are known",
    );
  }
  if (/^\.{0,2}\//.test(text)) {
    throw referenceInvalid(
      text,
      "it is a path",
      `to read an archive, write docker-archive:${text} or oci-archive:${text}; a directory, oci:${text}`,
    );
  }
  return parseDockerReference(text);
}

/** The canonical name: the same for every spelling of a reference, and the name under which its image is listed. */
export function formatReference(reference: ImageReference): string {
  if (reference.kind === "docker") return formatDockerReference(reference);
  if (reference.kind === "docker-archive") return formatDockerArchiveReference(reference);
  if (reference.kind === "appc") return formatAppcReference(reference);
  return formatOciReference(reference);
}

/** The digest that a reference pins its image to, if it does. */
export function pinnedDigest(reference: ImageReference): Digest | undefined {
  return reference.kind === "appc" ? reference.imageId : reference.digest;
}
