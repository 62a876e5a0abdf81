/** The source of `docker-archive` references: a file that `docker save` or skopeo wrote, read in place. */
import { resolve } from "node:path";
import { type DockerArchiveReference, formatReference } from "../image/reference.ts";
import { resolveArchive } from "./docker-archive/resolve-archive.ts";
import type { ImageSource } from "./source.ts";

export function createDockerArchiveSource(): ImageSource<DockerArchiveReference> {
  return {
    kind: "docker-archive",
    resolve(reference, context) {
      const path = resolve(reference.path);
      const name = formatReference({ ...reference, path });
      return resolveArchive({ path, asked: reference.reference, lenient: false, name }, context);
    },
  };
}
