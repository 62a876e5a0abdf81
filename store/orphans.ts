/** Names in the store that have no row. Found here, told by `verify`, swept by `collect`. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { sizeOf } from "./content.ts";
import { fileWork, type StoreContext } from "./context.ts";
import { type Digest, isDigest } from "./digest.ts";

/** `name` is the path inside the store. */
export interface OrphanBlob {
  readonly digest: Digest;
  readonly name: string;
  readonly sizeBytes: number;
}

export function orphanBlobs(context: StoreContext): OrphanBlob[] {
  const { database, paths } = context;
  const orphans: OrphanBlob[] = [];
  for (const algorithm of ["sha256", "sha512"]) {
    for (const prefix of list(context, join(paths.blobs, algorithm))) {
      if (!/^[0-9a-f]{2}$/.test(prefix)) continue;
      for (const encoded of list(context, join(paths.blobs, algorithm, prefix))) {
        const digest = `${algorithm}:${encoded}`;
        // names of another form are nobody's: they are not touched
        if (!isDigest(digest) || !encoded.startsWith(prefix)) continue;
        if (database.get("SELECT 1 FROM blob WHERE digest = ?", digest) !== undefined) continue;
        orphans.push({
          digest,
          name: join("blobs", algorithm, prefix, encoded),
          sizeBytes: sizeOf(paths.blob(digest)) ?? 0,
        });
      }
    }
  }
  return orphans;
}

export function orphanLayers(context: StoreContext): { readonly shortId: string; readonly name: string }[] {
  return namesWithoutRow(context, context.paths.layers, "layer").map((shortId) => ({
    shortId,
    name: join("layers", shortId),
  }));
}

/** Never swept: without their row nobody knows what is mounted there, so people are told instead. */
export function orphanRootfs(context: StoreContext): string[] {
  return namesWithoutRow(context, context.paths.rootfs, "rootfs").map((shortId) => join("rootfs", shortId));
}

function namesWithoutRow(context: StoreContext, directory: string, table: "layer" | "rootfs"): string[] {
  const sql = `SELECT 1 FROM ${table} WHERE short_id = ?`;
  return list(context, directory).filter((name) => context.database.get(sql, name) === undefined);
}

function list(context: StoreContext, directory: string): string[] {
  return fileWork(context, `look into ${directory}`, directory, () => readdirSync(directory));
}
