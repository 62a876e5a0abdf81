/**
 * The source of `docker` references where `dockerRegistry` is a directory in HDFS: archives as in a local directory, each
 * brought into the store while it is read. HDFS takes no colons in names, so `busybox:1` is `busybox_1.tar` there.
 */
import { AppError } from "../errors.ts";
import { type DockerReference, formatReference } from "../image/reference.ts";
import type { FoundAci, Search } from "./appc/found-aci.ts";
import { createHdfsPlace, type HdfsParts, type HdfsPrefix } from "./appc/hdfs-place.ts";
import { parseHdfsUrl } from "./appc/prefix.ts";
import { archiveFileNames, resolveNamedArchive } from "./archive-directory.ts";
import type { ImageSource, ResolveContext } from "./source.ts";

/** `url` is `hdfs://HOST[:PORT]/PATH`. Throws AppError `config-invalid`. */
export function createHdfsArchivesSource(url: string, parts: HdfsParts): ImageSource<DockerReference> {
  const place = parseHdfsUrl(url);
  if (place === undefined) {
    throw new AppError("config-invalid", "Cannot use the configured docker registry: it names no directory in HDFS", {
      hint: "for example hdfs://namenode:8020/images/docker",
    });
  }
  const directory = { ...place, path: place.path.replace(/\/*$/, "/") };
  const find = createHdfsPlace(parts);
  return {
    kind: "docker",
    async resolve(reference, context) {
      const found = await findArchive(
        directory,
        reference,
        (path, search) => find(directory, candidate(path), search),
        context,
      );
      if ("file" in found.bytes) throw new RangeError("nothing in HDFS is a local file");
      const { where, sizeBytes, bytes } = found;
      const size = sizeBytes === undefined ? {} : { sizeBytes };
      const { file } = await context.workshop.keep({ ...bytes, ...size, what: where });
      return await resolveNamedArchive({ path: file.path, shown: where }, reference, context);
    },
  };
}

function candidate(path: string): { readonly path: string; readonly encoded: string } {
  return { path, encoded: path };
}

async function findArchive(
  { authority, path: directory }: HdfsPrefix,
  reference: DockerReference,
  find: (path: string, search: Search) => Promise<FoundAci | undefined>,
  { emit, signal }: ResolveContext,
): Promise<FoundAci> {
  const what = formatReference(reference);
  const names = archiveFileNames(reference).filter((name) => !name.includes(":"));
  const paths = names.map((name) => `${name}.tar`);
  for (const path of paths) {
    const found = await find(path, { what, pinned: false, emit, ...(signal !== undefined && { signal }) });
    if (found !== undefined) return found;
  }
  const why = `none of these files is in hdfs://${authority}${directory}: ${paths.join(", ")}`;
  throw new AppError("archive-missing", `Cannot find an archive of ${what}: ${why}`, {
    hint: `hadoop fs -put FILE hdfs://${authority}${directory}${paths[0] ?? ""}`,
    details: { names: paths },
  });
}
