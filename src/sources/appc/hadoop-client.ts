/**
 * The `hadoop` program: how Mesos reads hdfs:// URIs. It knows the cluster's configuration (name services, Kerberos,
 * encryption), which nothing else here does; each call costs the start of a Java machine.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { access, constants } from "node:fs/promises";
import { join } from "node:path";
import { AppError } from "../../errors.ts";
import { printable } from "../../image/remote-text.ts";

export interface HadoopLocation {
  readonly hadoopHome?: string;
  /** Directories, with colons between them. */
  readonly searchPath?: string;
}

export interface HadoopFile {
  readonly sizeBytes: number;
  /** Milliseconds since 1970. */
  readonly modified: number;
}

const ANSWER_TIMEOUT_MS = 120_000;
const STALL_TIMEOUT_MS = 60_000;
const MAX_OUTPUT_BYTES = 64 * 1024;
const FORMAT = "%b,%Y,%F";

/** The program's path: below `hadoopHome` where that is set, else on the search path. Undefined when there is none. */
export async function findHadoop({ hadoopHome, searchPath = "" }: HadoopLocation): Promise<string | undefined> {
  const home = hadoopHome === undefined ? [] : [join(hadoopHome, "bin")];
  for (const directory of [...home, ...searchPath.split(":").filter((part) => part.startsWith("/"))]) {
    const program = join(directory, "hadoop");
    if (
      await access(program, constants.X_OK).then(
        () => true,
        () => false,
      )
    )
      return program;
  }
  return undefined;
}

/** Undefined when there is no such file. Throws AppError `hadoop-failed`. */
export async function statHadoop(program: string, uri: string, signal?: AbortSignal): Promise<HadoopFile | undefined> {
  const child = start(program, ["-stat", FORMAT, uri], signal);
  const chunks: Buffer[] = [];
  let length = 0;
  child.stdout?.on("data", (chunk: Buffer) => {
    length += chunk.length;
    if (length <= MAX_OUTPUT_BYTES) chunks.push(chunk);
  });
  const { code, stderr } = await within(child, ended(child, uri), ANSWER_TIMEOUT_MS, uri);
  signal?.throwIfAborted();
  if (code !== 0) {
    if (/No such file or directory\s*$/m.test(stderr)) return undefined;
    throw failed(uri, code, stderr);
  }
  // warnings of the Java machine may stand before the answer
  const answer = /^([0-9]{1,15}),([0-9]{1,15}),(.+)$/m.exec(Buffer.concat(chunks).toString("utf8"));
  if (answer === null)
    throw new AppError("hadoop-failed", `Cannot read ${uri}: the hadoop client's answer is not understood`);
  const [, size, modified, type] = answer;
  return type?.trim() === "directory" ? undefined : { sizeBytes: Number(size), modified: Number(modified) };
}

/**
 * The file from its first byte: the client cannot start in the middle. Fails when the client does, however late, and when it
 * ends before `sizeBytes` as if that were all.
 */
export async function* readHadoop(
  program: string,
  uri: string,
  sizeBytes: number,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  let length = 0;
  const child = start(program, ["-cat", uri], signal);
  const end = ended(child, uri);
  // it may come while nobody waits for it
  end.catch(() => {});
  try {
    const chunks = (child.stdout as AsyncIterable<Uint8Array>)[Symbol.asyncIterator]();
    for (;;) {
      const next = await within(child, chunks.next(), STALL_TIMEOUT_MS, uri);
      if (next.done === true) break;
      length += next.value.byteLength;
      yield next.value;
    }
    const { code, stderr } = await within(child, end, ANSWER_TIMEOUT_MS, uri);
    signal?.throwIfAborted();
    if (code !== 0) throw failed(uri, code, stderr);
    if (length < sizeBytes) throw endedEarly(uri, length, sizeBytes);
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  } finally {
    stop(child);
  }
}

/** Those whose process group may be gone, and its number another's. */
const over = new WeakSet<ChildProcess>();

function start(program: string, args: readonly string[], signal?: AbortSignal): ChildProcess {
  signal?.throwIfAborted();
  // with a process group of its own: the program is a script, and the Java machine that it starts is to end with it
  const child = spawn(program, ["fs", ...args], { stdio: ["ignore", "pipe", "pipe"], detached: true });
  const onAbort = (): void => stop(child);
  signal?.addEventListener("abort", onAbort, { once: true });
  child.once("close", () => {
    over.add(child);
    signal?.removeEventListener("abort", onAbort);
  });
  return child;
}

/** Ends all that the program started: it would go on reading from the cluster, and its ends of the pipes keep us waiting. */
function stop(child: ChildProcess): void {
  if (over.has(child)) return;
  over.add(child);
  if (child.pid !== undefined) killGroup(child.pid);
  child.stdout?.destroy();
  child.stderr?.destroy();
}

function killGroup(leader: number): void {
  try {
    process.kill(-leader, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

async function ended(
  child: ChildProcess,
  uri: string,
): Promise<{ readonly code: number | null; readonly stderr: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ code: number | null; stderr: string }>();
  let stderr = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    // the end is where the reason is
    stderr = `${stderr}${chunk.toString("utf8")}`.slice(-MAX_OUTPUT_BYTES);
  });
  child.on("error", (error: NodeJS.ErrnoException) => reject(failed(uri, null, error.code ?? "it cannot be started")));
  child.on("close", (code) => resolve({ code, stderr }));
  return await promise;
}

async function within<T>(child: ChildProcess, work: Promise<T>, timeoutMs: number, uri: string): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    reject(failed(uri, null, `it was silent for ${timeoutMs / 1000} s`));
    stop(child);
  }, timeoutMs);
  try {
    return await Promise.race([work, promise]);
  } finally {
    clearTimeout(timer);
  }
}

function endedEarly(uri: string, length: number, sizeBytes: number): AppError {
  const why = `the hadoop client ended early, after ${length} of ${sizeBytes} bytes, and said nothing of it`;
  return new AppError("hadoop-failed", `Cannot read ${uri}: ${why}`, {
    hint: "try the same with: hadoop fs -cat URI | wc -c; the file may be being written, or a block of it be lost",
    details: { uri, expectedBytes: sizeBytes, foundBytes: length, temporary: false },
  });
}

function failed(uri: string, code: number | null, stderr: string): AppError {
  const lines = stderr.split("\n").filter((line) => line.trim() !== "");
  const reason = printable(lines.at(-1)?.trim() ?? "", 300);
  const how = code === null ? "the hadoop client failed" : `the hadoop client ended with exit code ${code}`;
  return new AppError("hadoop-failed", `Cannot read ${uri}: ${how}${reason === "" ? "" : `: ${reason}`}`, {
    hint: "try the same with: hadoop fs -stat URI",
    // the client has its own retries, and each start of it takes seconds
    details: { uri, exitCode: code, temporary: false },
  });
}
