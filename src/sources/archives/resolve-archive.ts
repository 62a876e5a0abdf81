/** One image of an archive or directory, resolved: open, list, choose, resolve. */
import type { ResolveContext, ResolvedImage } from "../source.ts";
import { chooseImage, type Wanted } from "./choose-image.ts";
import type { ImageFiles } from "./image-files.ts";
import { type Layout, listImages } from "./list-images.ts";
import { requireDigest } from "./prove-digest.ts";

export interface ArchiveRequest {
  /** Canonical name that the image gets. */
  readonly name: string;
  /** Which image; nothing said: the only one. */
  readonly wanted: Wanted;
  /** What the archive may be; anything unless said. */
  readonly layouts?: readonly Layout[];
}

/**
 * Only while the files are open. Throws AppErrors `archive-invalid`, `archive-ambiguous`, `image-unknown`,
 * `manifest-invalid`, `blob-corrupt`, `platform-unknown`, `media-type-unsupported`.
 */
export async function resolveArchive(
  files: ImageFiles,
  { name, wanted, layouts }: ArchiveRequest,
  context: ResolveContext,
): Promise<ResolvedImage> {
  const { platform, emit } = context;
  const held = await listImages(files, context, layouts);
  const image = await chooseImage(held, wanted, { what: files.what, platform, emit });
  emit({ type: "resolve", reference: name, source: files.path });
  return requireDigest(await image.resolve(name), wanted.digest);
}
