/**
 * manifest.json of `docker save` (Docker 1.10 and later, also beside an OCI layout), skopeo, crane, podman and buildah:
 * which images are inside.
 */
import { z } from "zod";
import { listOf } from "../../image/bounded.ts";
import { listed, printable } from "../../image/remote-text.ts";
import type { ResolveContext } from "../source.ts";
import { layerDescriber } from "./describe-layer.ts";
import { canonicalNames, type HeldImage, type HeldImages } from "./held-image.ts";
import { archiveInvalid, type ImageFiles, MAX_LIST_BYTES } from "./image-files.ts";
import { findByDigest } from "./prove-digest.ts";
import { parseDocument } from "./read-document.ts";
import { digestClaimed, resolveSavedImage } from "./saved-image.ts";

const listSchema = listOf(
  z.object({
    Config: z.string().min(1),
    RepoTags: listOf(z.string()).default([]),
    Layers: listOf(z.string().min(1)).default([]),
  }),
);

/** `bytes` are those of manifest.json. Throws AppError `archive-invalid`. */
export function listSavedImages(bytes: Uint8Array, files: ImageFiles, context: ResolveContext): HeldImages {
  const list = parseDocument(bytes, files, "manifest.json", listSchema, MAX_LIST_BYTES);
  if (list.length === 0) throw archiveInvalid(files.what, "its manifest.json lists no image");
  const describeLayer = layerDescriber(files, context.signal);
  const images = list.map(({ Config, RepoTags, Layers }, position): HeldImage => {
    const saved = { config: Config, layers: Layers };
    const digest = digestClaimed(Config);
    return {
      names: canonicalNames(RepoTags),
      written: RepoTags,
      digests: digest === undefined ? [] : [digest],
      positions: [position],
      describe: RepoTags.length === 0 ? `an untagged image (${printable(Config)})` : listed(RepoTags, 5),
      resolve: (name) => resolveSavedImage(saved, files, describeLayer, name, context),
    };
  });
  return { images, byDigest: (digest, among = images) => findByDigest(among, digest) };
}
