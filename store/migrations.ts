/**
 * Brings the index to the schema of this version. `user_version` counts: migration n takes version n to n + 1. Each is
 * written once and never changed; schema.sql is the first.
 */
import { readFileSync } from "node:fs";
import { APPLICATION_ID, type StoreDatabase } from "./db.ts";
import { StoreError } from "./errors.ts";

const MIGRATIONS: readonly (() => string)[] = [sqlFile("schema.sql"), sqlFile("schema-2.sql")];

export const SCHEMA_VERSION = MIGRATIONS.length;

function sqlFile(name: string): () => string {
  return () => readFileSync(new URL(name, import.meta.url), "utf8");
}

export function migrate(database: StoreDatabase): void {
  if (versionOf(database) === SCHEMA_VERSION) return;
  // several processes may come here at once: the version counts that is read as the only writer
  database.write(() => {
    const version = versionOf(database);
    if (version === 0) refuseForeign(database);
    for (const migration of MIGRATIONS.slice(version)) database.exec(migration());
    database.pragma(`application_id = ${APPLICATION_ID}`);
    database.pragma(`user_version = ${SCHEMA_VERSION}`);
  });
}

function versionOf(database: StoreDatabase): number {
  const version = Number(database.pragma("user_version"));
  const application = Number(database.pragma("application_id"));
  if (application !== 0 && application !== APPLICATION_ID) throw foreign(database.path);
  if (version > SCHEMA_VERSION) {
    throw new StoreError(
      "store-newer",
      `Cannot use the index ${database.path}: its schema is version ${version}, this program knows ${SCHEMA_VERSION}`,
      {
        details: { path: database.path, found: version, supported: SCHEMA_VERSION },
        hint: "update rootwright, or choose another --root",
      },
    );
  }
  if (version > 0 && application === 0) throw foreign(database.path);
  return version;
}

function refuseForeign(database: StoreDatabase): void {
  const tables = database.get<{ count: number }>("SELECT count(*) AS count FROM sqlite_schema");
  if (tables !== undefined && tables.count > 0) throw foreign(database.path);
}

function foreign(path: string): StoreError {
  return new StoreError("store-not-a-store", `Cannot use ${path} as an index: it is the database of another program`, {
    details: { path },
    hint: "choose another --root",
  });
}
