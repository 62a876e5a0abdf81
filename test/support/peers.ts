/**
 * The other programs that tests and benchmarks stand beside: whether they are here, and how they are run.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface RunOptions {
  readonly cwd?: string;
  /** Added to the environment; `undefined` removes a variable. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly input?: string | Uint8Array;
  readonly uid?: number;
  readonly gid?: number;
  /** Kills the program; the promise is then rejected. */
  readonly signal?: AbortSignal;
  /** Exit codes that are no failure. Default: only 0; "any" takes all, and deaths by a signal. */
  readonly exits?: readonly number[] | "any";
}

export interface RunResult {
  /** -1 when the program died by a signal. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end. Rejects, with its output in the message, when its exit code is not among `exits`. */
export async function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const child = spawn(command, args, {
    stdio: ["pipe", "pipe", "pipe"],
    env: childEnvironment(options.env),
    ...(options.cwd !== undefined && { cwd: options.cwd }),
    ...(options.uid !== undefined && { uid: options.uid }),
    ...(options.gid !== undefined && { gid: options.gid }),
    ...(options.signal !== undefined && { signal: options.signal }),
  });
  const { promise, resolve, reject } = Promise.withResolvers<RunResult>();
  const [stdout, stderr] = [collect(child.stdout), collect(child.stderr)];
  child.once("error", reject);
  child.once("close", (code) => resolve({ code: code ?? -1, stdout: stdout(), stderr: stderr() }));
  // A program may end without reading its input; that is its right, and shows in its exit code.
  child.stdin.on("error", () => {});
  child.stdin.end(options.input ?? "");
  const result = await promise;
  const accepted = options.exits ?? [0];
  if (accepted === "any" || accepted.includes(result.code)) return result;
  const shown = [command, ...args].join(" ");
  throw new Error(
    `${shown} ended with ${child.signalCode ?? `exit ${result.code}`}:\n${tail(result.stdout + result.stderr)}`,
  );
}

/** PATH with the directories where Debian keeps runc and setcap, which an ordinary user's PATH may lack. */
export function searchPath(): string[] {
  const own = (process.env["PATH"] ?? "").split(":").filter((directory) => directory !== "");
  return [...new Set([...own, "/usr/local/sbin", "/usr/sbin", "/sbin"])];
}

export function hasProgram(name: string): boolean {
  return searchPath().some((directory) => {
    try {
      accessSync(join(directory, name), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

export function missingPrograms(...names: readonly string[]): string[] {
  return names.filter((name) => !hasProgram(name));
}

/** What umoci makes of an image in an OCI layout: the tree that ours is compared with. Returns the rootfs path. */
export async function unpackWithUmoci(layout: string, tag: string, bundle: string): Promise<string> {
  await run("umoci", ["unpack", "--image", `${layout}:${tag}`, bundle]);
  return join(bundle, "rootfs");
}

/** Copies an image between places that skopeo knows ("oci:…", "docker://…", "docker-archive:…"), without TLS. */
export async function skopeoCopy(from: string, to: string, args: readonly string[] = []): Promise<void> {
  const insecure = ["--src-tls-verify=false", "--dest-tls-verify=false"];
  // it would look for credentials in a directory that an ordinary user may not be able to read
  const env = { XDG_RUNTIME_DIR: tmpdir() };
  await run("skopeo", ["--insecure-policy", "copy", "--quiet", ...insecure, ...args, from, to], { env });
}

/** Sends a signal and waits for the end; harmless when the program has ended already. */
export async function stopChild(child: ChildProcess, signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill(signal);
  await ended;
}

function childEnvironment(changes: RunOptions["env"] = {}): NodeJS.ProcessEnv {
  return { ...process.env, PATH: searchPath().join(":"), ...changes };
}

/** Gathers a stream; the returned function gives what has come so far, as text. */
function collect(stream: NodeJS.ReadableStream): () => string {
  const chunks: Buffer[] = [];
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  return () => Buffer.concat(chunks).toString("utf8");
}

function tail(text: string): string {
  return text.trimEnd().split("\n").slice(-20).join("\n");
}
