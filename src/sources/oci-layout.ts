/** The sources of `oci` and `oci-archive` references: an OCI image layout in a directory, and in a tar. */
import type { OciArchiveReference, OciLayoutReference } from "../image/reference.ts";
import { resolveReferenced } from "./archives/resolve-referenced.ts";
import type { ImageSource } from "./source.ts";

export function createOciLayoutSource(): ImageSource<OciLayoutReference> {
  return { kind: "oci", resolve: resolveReferenced };
}

export function createOciArchiveSource(): ImageSource<OciArchiveReference> {
  return { kind: "oci-archive", resolve: resolveReferenced };
}
