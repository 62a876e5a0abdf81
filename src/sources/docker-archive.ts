/**
 * The source of `docker-archive` references: what `docker save` of any age, podman, skopeo, crane or buildah wrote, as one
 * file or unpacked in a directory.
 */
import type { DockerArchiveReference } from "../image/reference.ts";
import { resolveReferenced } from "./archives/resolve-referenced.ts";
import type { ImageSource } from "./source.ts";

export function createDockerArchiveSource(): ImageSource<DockerArchiveReference> {
  return { kind: "docker-archive", resolve: resolveReferenced };
}
