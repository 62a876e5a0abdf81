/**
 * What skopeo's `dir:` and `podman save --format docker-dir` write: manifest.json is the image's own manifest, and every
 * blob lies beside it under the hex digits of its digest (containers-transports(5), "dir").
 */
import { digestOf, encodedOf } from "../../../store/index.ts";
import type { Descriptor } from "../../image/descriptor.ts";
import { parseManifestOrIndex } from "../../image/manifest.ts";
import { isIndex, isManifest } from "../../image/media-types.ts";
import type { ResolveContext } from "../source.ts";
import { openBlobFiles } from "./blob-files.ts";
import type { HeldImage, HeldImages } from "./held-image.ts";
import type { ImageFiles } from "./image-files.ts";
import { resolveLayoutImage } from "./layout-image.ts";
import { findByDigest } from "./prove-digest.ts";

/** `bytes` are those of manifest.json. Throws AppErrors `manifest-invalid`, `media-type-unsupported`. */
export function listCopiedImage(bytes: Uint8Array, files: ImageFiles, context: ResolveContext): HeldImages {
  const { mediaType } = parseManifestOrIndex(bytes, { what: files.what });
  const blobs = openBlobFiles(files, ({ digest, mediaType: type }) =>
    isManifest(type) || isIndex(type) ? `${encodedOf(digest)}.manifest.json` : encodedOf(digest),
  );
  const data = Buffer.from(bytes).toString("base64");
  const descriptor: Descriptor = { mediaType, digest: digestOf(bytes), size: bytes.byteLength, data };
  const image: HeldImage = {
    names: [],
    written: [],
    digests: [descriptor.digest],
    positions: [0],
    describe: `an untagged image (${descriptor.digest.slice(0, 19)})`,
    resolve: (name) => resolveLayoutImage(blobs, descriptor, name, context),
  };
  return { images: [image], byDigest: (digest, among = [image]) => findByDigest(among, digest) };
}
