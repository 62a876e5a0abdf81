/** Images: names for manifests, and the roots from which collection marks. */
import { findBlobRow } from "./content.ts";
import { assertLease, type StoreContext } from "./context.ts";
import type { SqlValue } from "./db.ts";
import type { Digest } from "./digest.ts";
import { StoreError } from "./errors.ts";
import type { Image, ImageLayer, Images, NewImage } from "./model.ts";

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
  readonly pinned: 0 | 1;
  readonly createdAt: number;
  readonly lastUsedAt: number;
}

const COLUMNS = `id, name, platform, manifest_digest AS manifestDigest, config_digest AS configDigest, media_type AS mediaType,
  size_bytes AS sizeBytes, source, chain_id AS chainId, pinned, created_at AS createdAt, last_used_at AS lastUsedAt`;

/** Of one platform, or of all when it is NULL. */
const NAMED = "name = :name AND (:platform IS NULL OR platform = :platform)";

const MAX_NAME_LENGTH = 4096;

export function createImages(context: StoreContext): Images {
  const { database } = context;
  const find = (where: string, values: Readonly<Record<string, SqlValue>> = {}) =>
    database.read(() =>
      database
        .all<ImageRow>(`SELECT ${COLUMNS} FROM image WHERE ${where} ORDER BY last_used_at DESC, id DESC`, values)
        .map((row) => toImage(row, layersOf(context, row.id))),
    );
  const get = (name: string, platform?: string) => find(NAMED, named(name, platform))[0];
  return {
    set(image) {
      assertName("name", image.name);
      assertName("platform", image.platform);
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
    list: () => find("true").sort((a, b) => compare(a.name, b.name) || compare(a.platform, b.platform)),
    findByDigest: (digest) => find("manifest_digest = :digest OR config_digest = :digest", { digest }),
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

function saveImage({ database }: StoreContext, image: NewImage): void {
  const row = database.get<{ id: number }>(
    `INSERT INTO image (name, platform, manifest_digest, config_digest, media_type, size_bytes, source, chain_id, created_at, last_used_at)
     VALUES (:name, :platform, :manifest, :config, :mediaType, :sizeBytes, :source, :chainId, :now, :now)
     ON CONFLICT (name, platform) DO UPDATE SET manifest_digest = :manifest, config_digest = :config, media_type = :mediaType,
       size_bytes = :sizeBytes, source = :source, chain_id = :chainId, last_used_at = :now
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
      now: Date.now(),
    },
  );
  if (row === undefined) throw imageNotFound(image.name);
  database.run("DELETE FROM image_layer WHERE image_id = ?", row.id);
  for (const [position, { diffId, blob }] of image.layers.entries()) {
    const sql = "INSERT INTO image_layer (image_id, position, diff_id, blob) VALUES (?, ?, ?, ?)";
    database.run(sql, row.id, position, diffId, blob ?? null);
  }
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
  return database
    .all<{ diffId: Digest; blob: Digest | null }>(sql, id)
    .map(({ diffId, blob }) => ({ diffId, blob: blob ?? undefined }));
}

function toImage(
  { id: _id, sizeBytes, source, chainId, pinned, ...rest }: ImageRow,
  layers: readonly ImageLayer[],
): Image {
  const optional = { sizeBytes: sizeBytes ?? undefined, source: source ?? undefined, chainId: chainId ?? undefined };
  return { ...rest, ...optional, pinned: pinned === 1, layers };
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
