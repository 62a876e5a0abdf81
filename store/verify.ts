/** Verification: looks for damage and tells it, changes nothing. */
import { existsSync } from "node:fs";
import { digestOfFile, sizeOf } from "./content.ts";
import type { StoreContext } from "./context.ts";
import type { Digest } from "./digest.ts";
import type { Problem, Store, VerifyReport } from "./model.ts";
import { orphanBlobs, orphanLayers, orphanRootfs } from "./orphans.ts";

type Tables = Pick<Store, "blobs" | "layers" | "images" | "rootfs">;

/** Steps in the order in which they are told; each returns what it found. */
export function verify(context: StoreContext, tables: Tables, deep: boolean): VerifyReport {
  const blobs = tables.blobs.list();
  const layers = tables.layers.list();
  const images = tables.images.list();
  const rootfs = tables.rootfs.list();
  const problems = [
    ...verifyDatabase(context),
    ...blobs.flatMap(
      ({ digest, size }) => (deep ? verifyBlob(context, digest) : verifyBlobSize(context, digest, size)) ?? [],
    ),
    ...layers
      .filter(({ path }) => !existsSync(path))
      .map(({ key }) => problem("layer", key, "its directory is missing")),
    ...images.flatMap((image) =>
      [image.manifestDigest, image.configDigest]
        .filter((digest) => !isStored(context, digest))
        .map((digest) => problem("image", image.name, `it names ${digest}, which is not in the store`)),
    ),
    ...rootfs
      .filter(({ directory }) => !existsSync(directory))
      .map(({ id }) => problem("rootfs", id, "its directory is missing")),
    ...[...orphanBlobs(context), ...orphanLayers(context)].map(({ name }) =>
      problem("orphan", name, "nothing refers to it; the next collection removes it"),
    ),
    ...orphanRootfs(context).map((name) =>
      problem("orphan", name, "nothing refers to it; see what is mounted there, then remove it"),
    ),
  ];
  const checked = { blobs: blobs.length, layers: layers.length, images: images.length, rootfs: rootfs.length };
  return { problems, checked };
}

/** Hashes the stored bytes again. Undefined when all is well. */
export function verifyBlob(context: StoreContext, digest: Digest): Problem | undefined {
  const found = digestOfFile(context, digest);
  if (found === undefined) return problem("blob", digest, "its file is missing");
  return found === digest ? undefined : problem("blob", digest, `its bytes are ${found}`);
}

function verifyBlobSize({ paths }: StoreContext, digest: Digest, size: number): Problem | undefined {
  const found = sizeOf(paths.blob(digest));
  if (found === undefined) return problem("blob", digest, "its file is missing");
  return found === size ? undefined : problem("blob", digest, `it has ${found} bytes, not ${size}`);
}

function verifyDatabase({ database }: StoreContext): Problem[] {
  const lines = database.all<{ integrity_check: string }>("PRAGMA integrity_check").map((row) => row.integrity_check);
  const broken = database.all<{ table: string; parent: string }>("PRAGMA foreign_key_check");
  return [
    ...lines.filter((line) => line !== "ok").map((line) => problem("database", "index.db", line)),
    ...broken.map(({ table, parent }) =>
      problem("database", "index.db", `a row of ${table} refers to a missing ${parent}`),
    ),
  ];
}

function isStored({ database }: StoreContext, digest: Digest): boolean {
  return database.get("SELECT 1 FROM blob WHERE digest = ?", digest) !== undefined;
}

function problem(kind: Problem["kind"], what: string, message: string): Problem {
  return { kind, what, message };
}
