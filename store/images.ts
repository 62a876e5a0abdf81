/** Images: names for manifests, and the roots from which collection marks. */
import { findBlobRow } from "./content.ts";
import { assertLease, type StoreContext } from "./context.ts";
import type { SqlValue } from "./db.ts";
import type { Digest } from "./digest.ts";
import { StoreError } from "./errors.ts";
import { findAsked, saveAsked } from "./image-names.ts";
import type { Image, ImageLayer, Images, LayerFacts, NewImage } from "./model.ts";

interface ImageRow {
  readonly id: number;
  readonly name: string;
  readonly platform: string;
  readonly manifestDigest: Digest;
  readonly configDigest: Digest;
  readonly mediaType: string;
  readonly sizeBytes: number | null;
  readonly source: string | null;
  readonly chainId: Digest | null;
  readonly imageId: Digest | null;
  readonly pinned: 0 | 1;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly lastUsedAt: number;
}

const COLUMNS = `id, name, platform, manifest_digest AS manifestDigest, config_digest AS configDigest, media_type AS mediaType,
  size_bytes AS sizeBytes, source, chain_id AS chainId, image_id AS imageId, pinned, created_at AS createdAt,
  updated_at AS updatedAt, last_used_at AS lastUsedAt`;

/** Of one platform, or of all when it is NULL. */
const NAMED = "name = :name AND (:platform IS NULL OR platform = :platform)";

/** The image that was chosen when another platform was asked for. */
const CHOSEN_FOR = `name = :name AND EXISTS (
  SELECT 1 FROM image_asked WHERE image_asked.image_id = image.id AND image_asked.platform = :platform)`;

const OF_DIGEST = "manifest_digest = :digest OR config_digest = :digest OR image_id = :digest";

const MAX_NAME_LENGTH = 4096;

export function createImages(context: StoreContext): Images {
  const { database } = context;
  const find = (where: string, values: Readonly<Record<string, SqlValue>> = {}) =>
    database.read(() =>
      database
        .all<ImageRow>(`SELECT ${COLUMNS} FROM image WHERE ${where} ORDER BY last_used_at DESC, id DESC`, values)
        .map((row) => toImage(row, layersOf(context, row.id))),
    );
  const get = (name: string, platform?: string) =>
    find(NAMED, named(name, platform))[0] ??
    (platform === undefined ? undefined : find(CHOSEN_FOR, { name, platform })[0]);
  return {
    set(image) {
      assertName("name", image.name);
      assertName("platform", image.platform);
      for (const name of image.askedNames ?? []) assertName("name", name);
      return database.write(() => {
        assertLease(context, image.lease);
        for (const digest of [image.manifestDigest, image.configDigest]) assertStored(context, digest, image.name);
        saveImage(context, image);
        const saved = get(image.name, image.platform);
        if (saved === undefined) throw imageNotFound(image.name);
        return saved;
      });
    },
    get,
    getAsked: (name, platform) => database.read(() => find("id = :id", { id: findAsked(context, name, platform) })[0]),
    parts: (image) => partsOf(context, image),
    list: () => find("true").sort((a, b) => compare(a.name, b.name) || compare(a.platform, b.platform)),
    findByDigest: (digest) => find(OF_DIGEST, { digest }),
    // a range of the index on names: LIKE would not use it, and would take % and _ in names for wildcards
    findByPrefix: (prefix) => find("name >= :prefix AND name < :end", { prefix, end: `${prefix}\u{10FFFF}` }),
    remove: (name, platform) => database.run(`DELETE FROM image WHERE ${NAMED}`, named(name, platform)) > 0,
    touch(name, platform) {
      database.run(`UPDATE image SET last_used_at = :now WHERE ${NAMED}`, {
        ...named(name, platform),
        now: Date.now(),
      });
    },
    pin(name, pinned, platform) {
      const values = { ...named(name, platform), pinned: pinned ? 1 : 0 };
      const changed = database.run(`UPDATE image SET pinned = :pinned WHERE ${NAMED}`, values);
      if (changed === 0) throw imageNotFound(name);
    },
  };
}

function named(name: string, platform: string | undefined): Record<string, SqlValue> {
  return { name, platform: platform ?? null };
}

function saveImage(context: StoreContext, image: NewImage): void {
  const { database } = context;
  const row = database.get<{ id: number }>(
    `INSERT INTO image (name, platform, manifest_digest, config_digest, media_type, size_bytes, source, chain_id, image_id, created_at, updated_at,
       last_used_at)
     VALUES (:name, :platform, :manifest, :config, :mediaType, :sizeBytes, :source, :chainId, :imageId, :now, :now, :now)
     ON CONFLICT (name, platform) DO UPDATE SET manifest_digest = :manifest, config_digest = :config, media_type = :mediaType,
       size_bytes = :sizeBytes, source = :source, chain_id = :chainId, image_id = :imageId, updated_at = :now, last_used_at = :now
     RETURNING id`,
    {
      name: image.name,
      platform: image.platform,
      manifest: image.manifestDigest,
      config: image.configDigest,
      mediaType: image.mediaType,
      sizeBytes: image.sizeBytes ?? null,
      source: image.source ?? null,
      chainId: image.chainId ?? null,
      imageId: image.imageId ?? null,
      now: Date.now(),
    },
  );
  if (row === undefined) throw imageNotFound(image.name);
  database.run("DELETE FROM image_layer WHERE image_id = ?", row.id);
  for (const [position, { diffId, blob, part }] of image.layers.entries()) {
    const sql = "INSERT INTO image_layer (image_id, position, diff_id, blob) VALUES (?, ?, ?, ?)";
    database.run(sql, row.id, position, diffId, blob ?? null);
    if (part === undefined) continue;
    const partSql = "INSERT INTO image_part (image_id, position, part) VALUES (?, ?, ?)";
    database.run(partSql, row.id, position, JSON.stringify(part));
  }
  saveAsked(context, row.id, image);
}

/** A name for content that is not here would promise what nothing can keep. Layers may come later. */
function assertStored(context: StoreContext, digest: Digest, name: string): void {
  if (findBlobRow(context, digest) !== undefined) return;
  throw new StoreError("blob-missing", `Cannot name ${name}: blob ${digest} is not in the store`, {
    details: { digest, image: name },
    hint: "store the manifest and the configuration before the name",
  });
}

function assertName(field: "name" | "platform", text: string): void {
  if (text.length > 0 && text.length <= MAX_NAME_LENGTH && !/\p{Cc}/u.test(text)) return;
  const quoted = JSON.stringify(text.slice(0, 80));
  throw new StoreError(
    "image-invalid",
    `Cannot store an image: its ${field} ${quoted} is empty, longer than ${MAX_NAME_LENGTH} characters, or has control characters`,
    {
      details: { field, text: text.slice(0, 80) },
      hint: "use the canonical form of the reference",
    },
  );
}

function imageNotFound(name: string): StoreError {
  return new StoreError("image-not-found", `Cannot find image ${name} in the store`, {
    details: { name },
    hint: "pull it, or list what is here with `images`",
  });
}

function layersOf({ database }: StoreContext, id: number): ImageLayer[] {
  const sql = "SELECT diff_id AS diffId, blob FROM image_layer WHERE image_id = ? ORDER BY position";
  return database.all<{ diffId: Digest; blob: Digest | null }>(sql, id).map((row) => ({
    diffId: row.diffId,
    blob: row.blob ?? undefined,
  }));
}

function partsOf({ database }: StoreContext, { name, platform, layers }: Image): (LayerFacts | undefined)[] {
  const rows = database.all<{ diffId: Digest; part: string | null }>(
    `SELECT diff_id AS diffId, part FROM image_layer JOIN image ON image.id = image_layer.image_id
     LEFT JOIN image_part USING (image_id, position) WHERE name = ? AND platform = ? ORDER BY position`,
    name,
    platform,
  );
  // the name may have moved since the image was read: parts of other layers must not be taken for those of these
  const same = rows.length === layers.length && rows.every(({ diffId }, at) => diffId === layers[at]?.diffId);
  if (!same) throw imageNotFound(name);
  return rows.map(({ part }) => (part === null ? undefined : (JSON.parse(part) as LayerFacts)));
}

function toImage(
  { id: _id, sizeBytes, source, chainId, imageId, pinned, ...rest }: ImageRow,
  layers: readonly ImageLayer[],
): Image {
  const optional = {
    sizeBytes: sizeBytes ?? undefined,
    source: source ?? undefined,
    chainId: chainId ?? undefined,
    imageId: imageId ?? undefined,
  };
  return { ...rest, ...optional, pinned: pinned === 1, layers };
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
