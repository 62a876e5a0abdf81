/** The real command line, as a child process: `node src/main.ts …` under the Node that runs the tests. */
import { join } from "node:path";
import { type RunOptions, type RunResult, run } from "./peers.ts";

const MAIN = join(import.meta.dirname, "../../src/main.ts");

export interface CliOptions extends RunOptions {
  /** The store: `--root`. */
  readonly root: string;
}

/** Runs `rootwright --root ROOT …args`. Rejects on an exit code that is not among `exits` (default: only 0). */
export function rootwright(args: readonly string[], options: CliOptions): Promise<RunResult> {
  return run(process.execPath, cliArguments(options.root, args), options);
}

/** The same with `--json`; gives what it printed, parsed. */
export async function rootwrightJson<T = unknown>(args: readonly string[], options: CliOptions): Promise<T> {
  const { stdout } = await rootwright(["--json", ...args], options);
  return JSON.parse(stdout) as T;
}

/** The arguments for `process.execPath`, for callers who start the process themselves. */
export function cliArguments(root: string, args: readonly string[]): string[] {
  return [MAIN, "--root", root, ...args];
}

/** What `--json provision` prints. */
export interface ProvisionedRootfs {
  readonly id: string;
  readonly rootfs: string;
  readonly backend: string;
  readonly image: string;
  readonly digest: string;
  readonly runtimeConfig: Readonly<Record<string, unknown>>;
}
