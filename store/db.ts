/**
 * The index: SQLite, opened with every setting said aloud, disposable, and with no error unexplained. The only file
 * that knows better-sqlite3.
 */
import { dirname } from "node:path";
import Database from "better-sqlite3";
import { explainFileError, freeBytesAt, StoreError } from "./errors.ts";
import type { Durability } from "./model.ts";

export type SqlValue = string | number | bigint | null;

/** Values for each `?`, or one record for all `:names`. */
export type SqlParameters = readonly SqlValue[] | readonly [Readonly<Record<string, SqlValue>>];

export interface DatabaseOptions {
  readonly path: string;
  readonly durability: Durability;
  readonly busyTimeoutMs: number;
}

/** `RWST`: lets file(1) and us tell an index from any other SQLite database. */
export const APPLICATION_ID = 0x52575354;

const RETRY_MS = 5;

/** Less than this, and SQLite cannot make the file of its shared memory. */
const FULL_BYTES = 64 * 1024;

export class StoreDatabase implements Disposable {
  readonly path: string;
  readonly #database: Database.Database;
  readonly #statements = new Map<string, Database.Statement<unknown[]>>();

  constructor({ path, durability, busyTimeoutMs }: DatabaseOptions) {
    this.path = path;
    this.#database = this.#explained(() => new Database(path, { timeout: busyTimeoutMs }));
    try {
      this.pragma(`busy_timeout = ${Math.trunc(busyTimeoutMs)}`);
      this.pragma("foreign_keys = ON");
      this.pragma("trusted_schema = OFF");
      this.#useWriteAheadLog(busyTimeoutMs);
      this.pragma(`synchronous = ${durability === "full" ? "FULL" : "NORMAL"}`);
    } catch (error) {
      this.#database.close();
      throw error;
    }
  }

  get isOpen(): boolean {
    return this.#database.open;
  }

  get<Row>(sql: string, ...values: SqlParameters): Row | undefined {
    return this.#explained(() => this.#prepare(sql).get(...values)) as Row | undefined;
  }

  all<Row>(sql: string, ...values: SqlParameters): Row[] {
    return this.#explained(() => this.#prepare(sql).all(...values)) as Row[];
  }

  /** Returns the number of rows changed. */
  run(sql: string, ...values: SqlParameters): number {
    return this.#explained(() => this.#prepare(sql).run(...values)).changes;
  }

  /** Inserts one row and returns its rowid. */
  insert(sql: string, ...values: SqlParameters): number {
    return Number(this.#explained(() => this.#prepare(sql).run(...values)).lastInsertRowid);
  }

  exec(sql: string): void {
    this.#explained(() => this.#database.exec(sql));
  }

  /** Runs a pragma and returns the first value it answers. */
  pragma(text: string): unknown {
    return this.#explained(() => this.#database.pragma(text, { simple: true }));
  }

  /**
   * Runs `body` as the only writer, committed whole or not at all; inside another `write` it is part of that.
   * IMMEDIATE, because a transaction that reads first and then wants to write cannot wait for its turn.
   */
  write<T>(body: () => T): T {
    if (this.#database.inTransaction) return body();
    this.exec("BEGIN IMMEDIATE");
    try {
      const result = body();
      this.exec("COMMIT");
      return result;
    } catch (error) {
      if (this.#database.inTransaction) this.exec("ROLLBACK");
      throw error;
    }
  }

  /** Runs `body` on one unchanging view of the index. */
  read<T>(body: () => T): T {
    if (this.#database.inTransaction) return body();
    this.exec("BEGIN DEFERRED");
    try {
      return body();
    } finally {
      if (this.#database.inTransaction) this.exec("ROLLBACK");
    }
  }

  [Symbol.dispose](): void {
    if (this.#database.open) this.#explained(() => this.#database.close());
  }

  #prepare(sql: string): Database.Statement<unknown[]> {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    const statement = this.#database.prepare<unknown[]>(sql);
    this.#statements.set(sql, statement);
    return statement;
  }

  /** The change to WAL needs the file alone and, unlike a transaction, does not always wait its turn. */
  #useWriteAheadLog(busyTimeoutMs: number): void {
    const deadline = performance.now() + busyTimeoutMs;
    for (;;) {
      try {
        if (this.pragma("journal_mode") === "wal" || this.pragma("journal_mode = WAL") === "wal") return;
        throw new StoreError("store-io", `Cannot open the index ${this.path}: its file system cannot share memory`, {
          details: { path: this.path },
          hint: "put the store on a local file system",
        });
      } catch (error) {
        if (!(error instanceof StoreError && error.code === "store-busy") || performance.now() > deadline) throw error;
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MS);
      }
    }
  }

  #explained<T>(action: () => T): T {
    try {
      return action();
    } catch (error) {
      throw explainDatabaseError(error, this.path);
    }
  }
}

/** Whether a statement failed because a row is still, or not, referred to. */
export function isForeignKeyError(error: unknown): boolean {
  const cause = error instanceof StoreError ? error.cause : error;
  // RESTRICT refuses at once, as a trigger would; the other actions at the end of the statement
  const codes = ["SQLITE_CONSTRAINT_FOREIGNKEY", "SQLITE_CONSTRAINT_TRIGGER"];
  return cause instanceof Database.SqliteError && codes.includes(cause.code);
}

function explainDatabaseError(error: unknown, path: string): unknown {
  if (!(error instanceof Database.SqliteError))
    return explainFileError(error, { doing: "open the index", path, root: path });
  const code = error.code;
  const details = { path, sqlite: code };
  const explain = (storeCode: StoreError["code"], why: string, hint: string) =>
    new StoreError(storeCode, `Cannot use the index ${path}: ${why}`, { details, hint, cause: error });
  // only some of SQLite's calls tell a full disk from a failing one
  const freeBytes = freeBytesAt(dirname(path));
  const isFull = /^SQLITE_(IOERR|CANTOPEN)/.test(code) && freeBytes !== undefined && freeBytes < FULL_BYTES;
  if (code === "SQLITE_FULL" || isFull) {
    return new StoreError("disk-full", `Cannot use the index ${path}: the disk is full`, {
      details: { ...details, freeBytes },
      hint: "collect garbage, or free space on that file system",
      cause: error,
    });
  }
  if (code === "SQLITE_NOTADB") {
    return explain("database-not-a-database", "it is not a SQLite database", "move it away, or choose another --root");
  }
  if (code.startsWith("SQLITE_CORRUPT")) {
    return explain("database-corrupt", "it is damaged", "move the store away and pull again, or restore index.db");
  }
  if (code.startsWith("SQLITE_BUSY") || code.startsWith("SQLITE_LOCKED")) {
    return explain(
      "store-busy",
      "another process has it locked",
      "try again; if it stays, find who holds the file open",
    );
  }
  if (code.startsWith("SQLITE_READONLY") || code === "SQLITE_PERM" || code.startsWith("SQLITE_CANTOPEN")) {
    const hint = "run as the owner of the store, or choose a directory of your own with --root";
    return explain("store-not-writable", "it cannot be written", hint);
  }
  // a broken rule of the schema is a bug of ours: the caller explains the ones that it provokes, `details` tells the rest
  return explain("store-io", `SQLite answered ${code} (${error.message})`, "check that file system and its disk");
}
