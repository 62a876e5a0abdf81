/**
 * What an archive or directory is, found out from what is in it, and the images that it holds.
 *
 * | there is | it is | written by |
 * | --- | --- | --- |
 * | manifest.json, a list | saved | `docker save` from 1.10 on, skopeo, crane, podman, buildah |
 * | index.json, oci-layout | layout | OCI tools; `docker save` from 25 on, beside a manifest.json |
 * | repositories, or `<id>/json` | legacy | `docker save` before 1.10; later ones beside a manifest.json |
 * | manifest.json, a manifest | copied | `skopeo copy … dir:`, `podman save --format docker-dir` |
 *
 * In this order: OCI manifests beside a manifest.json cannot be trusted to have their layers (moby#47065).
 */
import { MAX_MANIFEST_BYTES } from "../../image/manifest.ts";
import { formatReference } from "../../image/reference.ts";
import { listed } from "../../image/remote-text.ts";
import type { ResolveContext } from "../source.ts";
import { listCopiedImage } from "./copied-image.ts";
import type { HeldImages } from "./held-image.ts";
import { archiveInvalid, type ImageFiles } from "./image-files.ts";
import { listLayoutImages } from "./layout-images.ts";
import { isLegacy, listLegacyImages } from "./legacy-images.ts";
import { listSavedImages } from "./saved-images.ts";

export type Layout = "saved" | "layout" | "legacy" | "copied";

export interface ListedImages extends HeldImages {
  readonly layout: Layout;
}

/** `accepted`: those that may be read, all unless said. Throws AppError `archive-invalid` that says what was found. */
export async function listImages(
  files: ImageFiles,
  context: ResolveContext,
  accepted: readonly Layout[] = ["saved", "layout", "legacy", "copied"],
): Promise<ListedImages> {
  const manifest = (await files.has("manifest.json"))
    ? await files.read("manifest.json", MAX_MANIFEST_BYTES)
    : undefined;
  const found = await layoutsOf(files, manifest);
  const layout = found.find((each) => accepted.includes(each));
  if (layout === undefined) throw await unknownLayout(files, found);
  const besides = found.filter((each) => each !== layout).map((each) => DESCRIPTIONS[each]);
  const message = `${files.what} is read as ${DESCRIPTIONS[layout]}${besides.length === 0 ? "" : `, though it is ${besides.join(" and ")} as well`}`;
  context.emit({ type: "decision", topic: "archive", message });
  return { layout, ...(await listAs(layout, files, manifest ?? Buffer.alloc(0), context)) };
}

async function listAs(
  layout: Layout,
  files: ImageFiles,
  manifest: Buffer,
  context: ResolveContext,
): Promise<HeldImages> {
  if (layout === "layout") return await listLayoutImages(files, context);
  if (layout === "legacy") return await listLegacyImages(files, context);
  return layout === "saved" ? listSavedImages(manifest, files, context) : listCopiedImage(manifest, files, context);
}

const DESCRIPTIONS: Readonly<Record<Layout, string>> = {
  saved: "a saved archive with a manifest.json",
  layout: "an OCI image layout",
  legacy: "an archive of Docker before 1.10",
  copied: "a copied manifest beside its blobs",
};

/** Best first. `manifest` is what manifest.json holds. */
async function layoutsOf(files: ImageFiles, manifest: Buffer | undefined): Promise<readonly Layout[]> {
  const byManifest = manifest && manifestLayout(manifest);
  const found: (Layout | undefined)[] = [
    byManifest === "saved" ? "saved" : undefined,
    (await files.has("index.json")) && (await files.has("oci-layout")) ? "layout" : undefined,
    (await isLegacy(files)) ? "legacy" : undefined,
    byManifest === "copied" ? "copied" : undefined,
  ];
  return found.filter((each) => each !== undefined);
}

/** By its first character: whoever reads it as that parses it, and bounds it as that may be long. */
function manifestLayout(manifest: Buffer): Layout {
  return manifest[manifest.findIndex((byte) => !BEFORE_JSON.has(byte))] === "{".charCodeAt(0) ? "copied" : "saved";
}

/** White space, and the bytes of a byte order mark. */
const BEFORE_JSON = new Set([0x20, 0x09, 0x0a, 0x0d, 0xef, 0xbb, 0xbf]);

/** A reference to one of the images there, or to the only one. */
export function namedAs(layout: Layout, { path, whole }: ImageFiles, position?: number): string {
  const kind = layout !== "layout" ? "docker-archive" : whole === undefined ? "oci" : "oci-archive";
  return formatReference({ kind, path, ...(position !== undefined && { position }), asTyped: "" });
}

async function unknownLayout(files: ImageFiles, found: readonly Layout[]): Promise<Error> {
  const [other] = found;
  const layout = files.whole === undefined ? "OCI image layout" : "OCI archive";
  if (other === "layout") {
    return archiveInvalid(files.what, `it is an ${layout} without a manifest.json`, {
      hint: `write ${namedAs(other, files)}`,
    });
  }
  if (other !== undefined) {
    const why = `it is ${DESCRIPTIONS[other]}, not ${DESCRIPTIONS.layout}`;
    return archiveInvalid(files.what, why, { hint: `write ${namedAs(other, files)}` });
  }
  const [half, lacking] = (await files.has("index.json")) ? ["index.json", "oci-layout"] : ["oci-layout", "index.json"];
  if (await files.has(half)) {
    return archiveInvalid(files.what, `it is an incomplete ${layout}: there is ${half}, but no ${lacking}`);
  }
  return noImage(files);
}

function noImage({ what, topLevel }: ImageFiles): Error {
  if (topLevel.length === 0) return archiveInvalid(what, "there is nothing in it");
  const has = (...names: readonly string[]): boolean => names.every((name) => topLevel.includes(name));
  const why = `it is no image: there is no manifest.json, index.json or repositories in it, but ${listed(topLevel, 8)}`;
  if (has("manifest", "rootfs")) return archiveInvalid(what, why, { hint: "it looks like an Appc image" });
  if (has("etc", "usr") || has("etc", "bin")) {
    return archiveInvalid(what, why, {
      hint: "it looks like a file system, as docker export writes it; docker save writes images",
    });
  }
  return archiveInvalid(what, why);
}
