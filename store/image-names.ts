/** What an image was asked for by: platforms that it was chosen for, and names that led to it. They go with its row. */
import type { StoreContext } from "./context.ts";
import type { NewImage } from "./model.ts";

/** Part of the caller's transaction. */
export function saveAsked(
  { database }: StoreContext,
  id: number,
  { name, platform, askedPlatform, askedNames = [] }: NewImage,
): void {
  if (askedPlatform !== undefined) {
    // what was chosen for it before, under this name, is so no more
    const others = "DELETE FROM image_asked WHERE platform = ? AND image_id IN (SELECT id FROM image WHERE name = ?)";
    database.run(others, askedPlatform, name);
    if (askedPlatform !== platform)
      database.run("INSERT INTO image_asked (image_id, platform) VALUES (?, ?)", id, askedPlatform);
  }
  const asked = askedPlatform ?? platform;
  // a name of its own leads to itself, wherever it led before there was such an image
  for (const led of new Set([name, ...askedNames])) {
    database.run("DELETE FROM image_alias WHERE name = ? AND platform = ?", led, asked);
    if (led === name) continue;
    database.run("INSERT INTO image_alias (name, platform, image_id) VALUES (?, ?, ?)", led, asked, id);
  }
}

/** The row of the image to which a name led last; null when it led nowhere. */
export function findAsked({ database }: StoreContext, name: string, platform: string | undefined): number | null {
  const row = database.get<{ id: number }>(
    `SELECT image.id AS id FROM image_alias JOIN image ON image.id = image_alias.image_id
     WHERE image_alias.name = :name AND (:platform IS NULL OR :platform IN (image_alias.platform, image.platform))
     ORDER BY image_alias.platform = :platform DESC, image_alias.id DESC LIMIT 1`,
    { name, platform: platform ?? null },
  );
  return row?.id ?? null;
}
