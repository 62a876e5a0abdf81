/** The mount program as a child process: starting it, collecting what it says, and what its exit status means. */
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { missingBuild, NativeError } from "./errors.ts";

export interface HelperOptions {
  readonly signal?: AbortSignal | undefined;
  /** Path of the mount program, if it is not the one that was built here. */
  readonly helper?: string | undefined;
}

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export const BUILT_HELPER = join(import.meta.dirname, "build", "rootwright-helper");
/** What spawn says of a program that is not there, or not for this machine. */
const UNRUNNABLE: ReadonlySet<string> = new Set(["ENOENT", "EACCES", "ENOEXEC"]);
const OUTPUT_LIMIT_BYTES = 16 * 1024 * 1024;

/** All that the child prints, and how it ended. `stop` is what an abort sends. */
export function ended(child: ChildProcess, helper: string, stop: NodeJS.Signals, signal?: AbortSignal): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const chunks: { readonly stdout: Buffer[]; readonly stderr: Buffer[] } = { stdout: [], stderr: [] };
    const stopChild = () => void child.kill(stop);
    let overflow = false;
    for (const name of ["stdout", "stderr"] as const) {
      let size = 0;
      child[name]?.on("data", (chunk: Buffer) => {
        size += chunk.length;
        if (size <= OUTPUT_LIMIT_BYTES) chunks[name].push(chunk);
        else if (!overflow) {
          overflow = true;
          child.kill("SIGKILL");
        }
      });
    }
    signal?.addEventListener("abort", stopChild, { once: true });
    child.once("error", (cause: NodeJS.ErrnoException) => {
      signal?.removeEventListener("abort", stopChild);
      reject(UNRUNNABLE.has(cause.code ?? "") ? missingBuild(helper, cause) : cause);
    });
    child.once("close", (code, killedBy) => {
      signal?.removeEventListener("abort", stopChild);
      if (overflow) reject(new NativeError("operation-failed", "Cannot collect the output: it is more than 16 MiB"));
      const [stdout, stderr] = [Buffer.concat(chunks.stdout).toString(), Buffer.concat(chunks.stderr).toString()];
      resolve({ code, signal: killedBy, stdout, stderr });
    });
  });
}

/** Runs the mount program to its end. It gets no environment, and "/" to stand in, which keeps no mount busy. */
export async function runHelper(args: readonly string[], input: Uint8Array, options: HelperOptions): Promise<Ended> {
  options.signal?.throwIfAborted();
  const helper = options.helper ?? BUILT_HELPER;
  const child = spawn(helper, args, { cwd: "/", env: {}, stdio: ["pipe", "pipe", "pipe"] });
  // A program that refuses its arguments does not read: that it closed the pipe is told by its exit status.
  child.stdin.on("error", () => {});
  child.stdin.end(input);
  return await ended(child, helper, "SIGTERM", options.signal);
}

export function parseLines<T>(output: Ended): T[] {
  const lines = output.stdout.split("\n").filter((line) => line !== "");
  try {
    return lines.map((line) => JSON.parse(line) as T);
  } catch (cause) {
    throw new NativeError("operation-failed", "Cannot read what the mount program printed", { cause });
  }
}

export function unexpectedEnd({ code, signal, stderr }: Ended): NativeError {
  const how = signal === null ? `exit status ${code}` : `signal ${signal}`;
  return new NativeError("operation-failed", `The mount program ended with ${how}: ${stderr.trim()}`, {
    hint: "look at mountinfo: what it had done may still be there",
  });
}

interface Refusal {
  readonly index?: number;
  readonly op?: string;
  readonly field?: string;
  readonly message?: string;
  readonly hint?: string;
}

export function refusal(output: Ended): NativeError {
  const [said = {}] =
    output.stdout === "" ? [{ message: output.stderr.split("\n", 1)[0] ?? "" }] : parseLines<Refusal>(output);
  const { index, op, field, message, hint }: Refusal = said;
  const where = index === undefined ? "" : ` operation ${index}${op ? ` (${op})` : ""}${field ? `, ${field}` : ""}`;
  return new NativeError("helper-refused", `The mount program refused${where || " the request"}: ${message}`, {
    operation: op,
    hint,
    details: { index, field },
  });
}
