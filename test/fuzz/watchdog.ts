/** Synchronous code that does not come back is interrupted, so that an endless loop is a failure with an input. */
import { Script } from "node:vm";

const SLOT = Symbol.for("rootwright.fuzz.watched");
const CALL = new Script(`globalThis[Symbol.for("rootwright.fuzz.watched")]()`);

export class Hang extends Error {
  constructor(limitMs: number) {
    super(`does not come back within ${limitMs} ms`);
    this.name = "Hang";
  }
}

/** Calls `action`; throws what it throws, or Hang. Costs a thread and its start: a fraction of a millisecond. */
export function watched(action: () => void, limitMs: number): void {
  const place = globalThis as Record<symbol, unknown>;
  place[SLOT] = action;
  try {
    CALL.runInThisContext({ timeout: limitMs });
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    throw code === "ERR_SCRIPT_EXECUTION_TIMEOUT" ? new Hang(limitMs) : error;
  } finally {
    delete place[SLOT];
  }
}
