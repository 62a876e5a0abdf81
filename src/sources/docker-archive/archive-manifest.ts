/**
 * manifest.json of a `docker save` archive (Docker 1.10 and later, skopeo, crane, buildah): which images are inside, and
 * which of them is meant.
 */
import { z } from "zod";
import { AppError } from "../../errors.ts";
import { parseJsonDocument } from "../../image/json-document.ts";
import { type DockerReference, formatReference, parseReference } from "../../image/reference.ts";
import type { ArchiveIndex } from "./archive-index.ts";
import { archiveInvalid } from "./tar-headers.ts";

export interface ArchivedImage {
  /** Names of entries. */
  readonly config: string;
  /** Base first. */
  readonly layers: readonly string[];
  /** Canonical where they parse, as written otherwise. */
  readonly tags: readonly string[];
}

const MAX_MANIFEST_JSON_BYTES = 4 * 1024 * 1024;

const manifestSchema = z.array(
  z.object({
    Config: z.string().min(1),
    RepoTags: z.array(z.string()).default([]),
    Layers: z.array(z.string().min(1)).default([]),
  }),
);

/** Throws AppError `archive-invalid`. */
export async function readArchiveManifest(archive: ArchiveIndex): Promise<readonly ArchivedImage[]> {
  if (!archive.has("manifest.json")) throw unknownLayout(archive);
  const images = parseJsonDocument(await archive.read("manifest.json", MAX_MANIFEST_JSON_BYTES), {
    schema: manifestSchema,
    what: `manifest.json in ${archive.path}`,
    maxBytes: MAX_MANIFEST_JSON_BYTES,
    code: "archive-invalid",
  });
  if (images.length === 0) throw archiveInvalid(archive.path, "its manifest.json lists no image");
  return images.map(({ Config, RepoTags, Layers }) => ({
    config: Config,
    layers: Layers,
    tags: RepoTags.map(canonicalTag),
  }));
}

/**
 * The image with the asked tag, or the only one when none was asked for. `lenient` takes the only image also where it
 * has other tags. Throws AppError `image-unknown` that lists what is inside.
 */
export function pickImage(
  images: readonly ArchivedImage[],
  archive: ArchiveIndex,
  asked: DockerReference | undefined,
  lenient: boolean,
): ArchivedImage {
  const wanted = asked && formatReference(asked);
  const tagged = images.filter(({ tags }) => wanted !== undefined && tags.includes(wanted));
  // an image that was saved twice under one name is there as the last one, as loading the archive would leave it
  const found = tagged.at(-1) ?? (images.length === 1 && (wanted === undefined || lenient) ? images[0] : undefined);
  if (found !== undefined) return found;
  const inside = images.map(({ tags, config }) =>
    tags.length === 0 ? `an untagged image (${config})` : tags.join(", "),
  );
  const why = wanted === undefined ? `it holds ${images.length} images` : `it holds no ${wanted}`;
  throw new AppError(
    "image-unknown",
    `Cannot use archive ${archive.path}: ${why}, but ${inside.join("; ")}`.slice(0, 2000),
    {
      hint: "name one of them: docker-archive:PATH:REFERENCE",
      details: { inside },
    },
  );
}

/** docker.io/library/busybox:latest for busybox:latest, so that the two compare equal. */
function canonicalTag(text: string): string {
  try {
    const reference = parseReference(text);
    return reference.kind === "docker" ? formatReference(reference) : text;
  } catch {
    return text;
  }
}

function unknownLayout(archive: ArchiveIndex): AppError {
  if (archive.has("repositories")) {
    return archiveInvalid(
      archive.path,
      "it is in the layout of Docker before 1.10 (repositories, but no manifest.json)",
    );
  }
  if (archive.has("oci-layout")) return archiveInvalid(archive.path, "it is an OCI archive without a manifest.json");
  return archiveInvalid(archive.path, "there is no manifest.json in it");
}
