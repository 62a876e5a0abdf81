/** How much there is. Sizes are those of the rows: trees are not walked for it. */
import { join } from "node:path";
import { sizeOf } from "./content.ts";
import type { StoreContext } from "./context.ts";
import { freeBytesAt } from "./errors.ts";
import type { Usage } from "./model.ts";

export function usage({ database, paths }: StoreContext): Usage {
  const totals = database.get<Omit<Usage, "ingestBytes" | "freeBytes">>(`
    SELECT
      (SELECT count(*) FROM blob) AS blobs,
      (SELECT coalesce(sum(size), 0) FROM blob) AS blobBytes,
      (SELECT count(*) FROM layer) AS layers,
      (SELECT coalesce(sum(size_bytes), 0) FROM layer) AS layerBytes,
      (SELECT count(*) FROM ingest) AS ingests,
      (SELECT count(*) FROM image) AS images,
      (SELECT count(*) FROM rootfs) AS rootfs,
      (SELECT count(*) FROM lease) AS leases,
      (SELECT count(*) FROM blob WHERE synced = 0) + (SELECT count(*) FROM layer WHERE synced = 0) AS unsynced`);
  if (totals === undefined) throw new Error("an aggregate query returned no row");
  const ingestBytes = database
    .all<{ id: string }>("SELECT id FROM ingest")
    .reduce((sum, { id }) => sum + (sizeOf(join(paths.ingest, id)) ?? 0), 0);
  return { ...totals, ingestBytes, freeBytes: freeBytesAt(paths.root) };
}
