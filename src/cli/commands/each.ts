/** Commands that take several things do all of them, and say at the end which failed. */
import { AppError, toAppError } from "../../errors.ts";

export interface Outcome<T> {
  readonly item: string;
  readonly value?: T;
  readonly error?: AppError;
}

/** One after another. After an interruption the rest is not begun, and what is done already is still told. */
export async function forEach<T>(
  items: readonly string[],
  signal: AbortSignal,
  action: (item: string) => Promise<T>,
): Promise<Outcome<T>[]> {
  const outcomes: Outcome<T>[] = [];
  for (const item of items) {
    try {
      signal.throwIfAborted();
      outcomes.push({ item, value: await action(item) });
    } catch (error) {
      outcomes.push({ item, error: toAppError(error) });
    }
  }
  return outcomes;
}

/** Throws the only failure as it is, several or some as `partial`. */
export function throwFailures(what: string, outcomes: readonly Outcome<unknown>[]): void {
  const failed = outcomes.flatMap(({ item, error }) => (error === undefined ? [] : [{ item, error }]));
  const [first] = failed;
  if (first === undefined) return;
  if (outcomes.length === 1) throw first.error;
  const lines = failed.map(({ error }) => `\n  ${error.message}${error.hint === undefined ? "" : ` (${error.hint})`}`);
  throw new AppError("partial-failure", `Cannot ${what} ${failed.length} of ${outcomes.length}:${lines.join("")}`, {
    details: {
      failed: failed.map(({ item, error: { code, message, hint } }) => ({
        item,
        code,
        message,
        ...(hint !== undefined && { hint }),
      })),
    },
  });
}
