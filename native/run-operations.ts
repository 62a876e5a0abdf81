/** A request to the mount program, and what became of each of its operations. */
import { NativeError } from "./errors.ts";
import { type HelperOptions, parseLines, refusal, runHelper, unexpectedEnd } from "./mount-program.ts";
import { formatRequest, type Operation, type OperationResult } from "./operations.ts";

/**
 * Does all operations in order, or none: when one fails, those before it are undone. The results are one an operation.
 *
 * Throws `operation-failed` (details.results has every line, undos included), `helper-refused` (nothing was done) or
 * `helper-missing`. An abort rolls back and throws the signal's reason; if it comes after the last operation, the
 * results are returned as if it had not come.
 */
export async function runOperations(
  operations: readonly Operation[],
  options: HelperOptions & { readonly allow: readonly string[] },
): Promise<OperationResult[]> {
  options.signal?.throwIfAborted();
  if (operations.length === 0) return [];
  const allow = options.allow.flatMap((root) => ["--allow", root]);
  const output = await runHelper(["run", ...allow], formatRequest(operations), options);
  if (output.code === 0) return parseLines<OperationResult>(output);
  if (output.code === 64) throw refusal(output);
  const results = output.code === 1 ? parseLines<OperationResult>(output) : [];
  const failed = results.find((result) => !result.ok && !result.undo);
  options.signal?.throwIfAborted();
  if (failed === undefined) throw unexpectedEnd(output);
  throw new NativeError("operation-failed", `${failed.message} (operation ${failed.index}, ${failed.op})`, {
    errno: failed.errno,
    operation: failed.op,
    path: failed.target,
    hint: failed.hint,
    details: { results, left: results.filter((result) => result.undo && !result.ok).map((result) => result.target) },
  });
}
