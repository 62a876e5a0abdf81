/**
 * Sessions: one open store in one process. Every lease, claim and unfinished rootfs belongs to one, and deleting its
 * row undoes them all by foreign keys; that is how the death of a process is cleared up, in one place.
 */
import type { StoreDatabase } from "./db.ts";
import type { Owner } from "./model.ts";
import { currentProcess, isAlive, type ProcessIdentity } from "./process-identity.ts";

interface SessionRow {
  readonly id: number;
  readonly pid: number;
  readonly startTime: string;
  readonly bootId: string;
  readonly pidNamespace: string;
}

const COLUMNS = "id, pid, start_time AS startTime, boot_id AS bootId, pid_namespace AS pidNamespace";

export class Sessions {
  readonly self: ProcessIdentity = currentProcess();
  readonly #database: StoreDatabase;
  #id: number | undefined;

  constructor(database: StoreDatabase) {
    this.#database = database;
  }

  /** This session's id. Its row is made when it is first needed, so that readers never write. Call it outside `write`. */
  current(): number {
    if (this.#id !== undefined) return this.#id;
    const { pid, startTime, bootId, pidNamespace } = this.self;
    this.#id = this.#database.insert(
      "INSERT INTO session (pid, start_time, boot_id, pid_namespace, opened_at) VALUES (?, ?, ?, ?, ?)",
      pid,
      startTime,
      bootId,
      pidNamespace,
      Date.now(),
    );
    return this.#id;
  }

  isCurrent(id: number | null): boolean {
    return id !== null && id === this.#id;
  }

  /** The owner behind a session, if its process lives; otherwise the session is cleared away. */
  liveOwner(id: number | null): Owner | undefined {
    const owner = this.ownerOf(id);
    if (owner === undefined && id !== null) this.#delete(id);
    return owner;
  }

  /** The owner behind a session, if its process lives; changes nothing, unlike `liveOwner`. */
  ownerOf(id: number | null): Owner | undefined {
    if (id === null) return undefined;
    const row = this.#find(id);
    return row !== undefined && isAlive(row, this.self) ? { pid: row.pid } : undefined;
  }

  /** Ids of the sessions whose processes live. */
  alive(): Set<number> {
    return new Set(this.#all().flatMap((row) => (isAlive(row, this.self) ? [row.id] : [])));
  }

  /** Clears away the sessions of dead processes; returns how many. Writes nothing when there are none. */
  reap(): number {
    const dead = this.#all().filter((row) => !isAlive(row, this.self));
    if (dead.length === 0) return 0;
    return this.#database.write(() => dead.reduce((count, { id }) => count + this.#delete(id), 0));
  }

  /** Gives up everything this session holds. */
  close(): void {
    if (this.#id !== undefined) this.#delete(this.#id);
    this.#id = undefined;
  }

  #find(id: number): SessionRow | undefined {
    return this.#database.get<SessionRow>(`SELECT ${COLUMNS} FROM session WHERE id = ?`, id);
  }

  #all(): SessionRow[] {
    return this.#database.all<SessionRow>(`SELECT ${COLUMNS} FROM session`);
  }

  #delete(id: number): number {
    return this.#database.run("DELETE FROM session WHERE id = ?", id);
  }
}
