/**
 * Credential helpers: programs named `docker-credential-<suffix>` that keep secrets outside of files. Asked once for every
 * token exchange and never cached, because cloud registries hand out passwords of short life this way.
 */
import { spawn } from "node:child_process";
import { z } from "zod";
import { AppError } from "../../../errors.ts";
import { parseJsonDocument } from "../../../image/json-document.ts";
import type { Credential } from "./docker-config.ts";
import { DOCKER_HUB_KEY, isDockerHub } from "./registry-key.ts";

const MAX_OUTPUT_BYTES = 256 * 1024;
const TIMEOUT_MS = 30_000;
/** What every helper prints, on stdout, when it simply has nothing; an empty answer, not a failure. */
const NOT_FOUND = "credentials not found in native keychain";
const answerSchema = z.object({ Username: z.string(), Secret: z.string() });

/**
 * The program of a helper that is called `suffix` in a configuration file. Throws AppError `credentials-invalid` for what
 * could be a path: only programs that are installed for this purpose are run.
 */
export function helperProgram(suffix: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/.test(suffix)) return `docker-credential-${suffix}`;
  throw new AppError(
    "credentials-invalid",
    `Cannot ask credential helper ${JSON.stringify(suffix.slice(0, 128))}: that is no program name`,
    { hint: "write what comes behind docker-credential- in the name of an installed program, for example pass" },
  );
}

/** Undefined when the helper has nothing for the registry. Throws AppError `credentials-invalid`. */
export async function askCredentialHelper(
  suffix: string,
  host: string,
  signal?: AbortSignal,
): Promise<Credential | undefined> {
  const program = helperProgram(suffix);
  const { code, stdout } = await run(program, isDockerHub(host) ? DOCKER_HUB_KEY : host, signal);
  if (code !== 0) {
    if (stdout.toString("utf8").trim() === NOT_FOUND) return undefined;
    // its output is the helper's error channel, but nothing says that it is free of secrets
    throw failed(program, code === null ? "it was killed" : `it failed with exit code ${code}`);
  }
  const answer = parseJsonDocument(stdout, {
    schema: answerSchema,
    what: `the answer of ${program}`,
    maxBytes: MAX_OUTPUT_BYTES,
    code: "credentials-invalid",
    hint: 'it should print {"Username":"…","Secret":"…"}: is it a credential helper, and a current one?',
  });
  const origin = { source: program, fromHelper: true } as const;
  if (answer.Username === "<token>") return { kind: "identity-token", token: answer.Secret, ...origin };
  if (answer.Username === "") return undefined;
  return { kind: "password", username: answer.Username, password: answer.Secret, ...origin };
}

async function run(
  program: string,
  input: string,
  signal?: AbortSignal,
): Promise<{ readonly code: number | null; readonly stdout: Buffer }> {
  signal?.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<{ code: number | null; stdout: Buffer }>();
  const child = spawn(program, ["get"], { stdio: ["pipe", "pipe", "ignore"] });
  const stop = (reason: unknown): void => {
    reject(reason);
    child.kill("SIGKILL");
    // helpers are often scripts: what they started still holds the other end of the pipe, and would keep us waiting
    child.stdout.destroy();
  };
  const timer = setTimeout(() => stop(failed(program, `it did not answer within ${TIMEOUT_MS / 1000} s`)), TIMEOUT_MS);
  const onAbort = (): void => stop(signal?.reason);
  signal?.addEventListener("abort", onAbort, { once: true });
  const chunks: Buffer[] = [];
  let length = 0;
  child.stdout.on("data", (chunk: Buffer) => {
    chunks.push(chunk);
    length += chunk.length;
    if (length > MAX_OUTPUT_BYTES) stop(failed(program, "it printed too much"));
  });
  // a helper that does not read its input closes the pipe early; what it answers is judged on its own
  child.stdin.on("error", () => {});
  child.stdin.end(input);
  child.on("error", (error: NodeJS.ErrnoException) => {
    // EACCES is also what a directory of the PATH gives that this user may not look into
    const elsewhere = error.code === "EACCES" ? "it is not installed where this user may run it" : String(error.code);
    reject(failed(program, error.code === "ENOENT" ? "it is not installed" : elsewhere));
  });
  child.on("close", (code) => resolve({ code, stdout: Buffer.concat(chunks) }));
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
  }
}

function failed(program: string, why: string): AppError {
  return new AppError("credentials-invalid", `Cannot ask ${program} for credentials: ${why}`, {
    hint: "credsStore or credHelpers of a config.json, or credential-helpers of registries.conf, names it: install it, or log in without it",
  });
}
