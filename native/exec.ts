/** Running a program inside a root filesystem. */
import { spawn } from "node:child_process";
import { constants } from "node:os";
import { normalize } from "node:path";
import { NativeError } from "./errors.ts";
import { BUILT_HELPER, ended, type HelperOptions } from "./mount-program.ts";

export interface ExecOptions extends HelperOptions {
  /** In a user namespace where the caller is root. */
  readonly userns?: boolean;
  /** Inside the root; "/" if not given. */
  readonly cwd?: string;
  /** All of the environment; PATH is added if it is not here. */
  readonly env?: Readonly<Record<string, string>>;
  /** `pipe` collects the output (at most 16 MiB a stream) and gives no input. Default: `inherit`. */
  readonly stdio?: "inherit" | "pipe";
}

export interface ExecResult {
  /** Of the program; 128 + number if a signal ended it. 125: set-up failed, 126: not executable, 127: not found. */
  readonly code: number;
  readonly signal?: string;
  readonly stdout?: string;
  readonly stderr?: string;
}

/** The mount program would refuse the same with status 64, which a program inside may also end with. */
function checkExec(root: string, argv: readonly string[], { cwd = "/", env = {} }: ExecOptions): void {
  const refuse = (why: string): never => {
    throw new NativeError("helper-refused", `Cannot run ${argv[0] ?? "a program"} in ${root}: ${why}`, { path: root });
  };
  if (!root.startsWith("/") || normalize(root) !== root || root.endsWith("/")) refuse("the root is not a real path");
  if (!cwd.startsWith("/")) refuse("the working directory is not absolute");
  if (argv.length === 0) refuse("no program is named");
  const strings = [root, cwd, ...argv, ...Object.entries(env).flat()];
  if (strings.some((text) => text.includes("\0"))) refuse("an argument or variable has a NUL character");
  if (Object.keys(env).some((key) => key === "" || key.includes("="))) refuse("a variable has no proper name");
}

/** Runs a program inside the root filesystem at `root` (a real path). An abort kills it. */
export async function execInRoot(
  root: string,
  argv: readonly string[],
  options: ExecOptions = {},
): Promise<ExecResult> {
  options.signal?.throwIfAborted();
  const helper = options.helper ?? BUILT_HELPER;
  checkExec(root, argv, options);
  const args = ["exec", "--root", root];
  if (options.userns) args.push("--userns");
  if (options.cwd !== undefined) args.push("--cwd", options.cwd);
  for (const [key, value] of Object.entries(options.env ?? {})) args.push("--env", `${key}=${value}`);
  const stdio = options.stdio === "pipe" ? (["ignore", "pipe", "pipe"] as const) : "inherit";
  const child = spawn(helper, [...args, "--", ...argv], { cwd: "/", env: {}, stdio: stdio as "inherit" });
  const output = await ended(child, helper, "SIGKILL", options.signal);
  options.signal?.throwIfAborted();
  const { signal, stdout, stderr } = output;
  return {
    code: output.code ?? 128 + (signal === null ? 0 : constants.signals[signal]),
    ...(signal === null ? {} : { signal }),
    ...(options.stdio === "pipe" ? { stdout, stderr } : {}),
  };
}
