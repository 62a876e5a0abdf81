/** A directory that is gone when its scope ends, unless something is still mounted below it: then that is an error. */
import { chmod, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface TempDir extends AsyncDisposable {
  readonly path: string;
}

export async function openTempDir(name = "test"): Promise<TempDir> {
  const path = await mkdtemp(join(tmpdir(), `rootwright-${name}-`));
  // Child processes with another uid have to get through it to what is theirs.
  await chmod(path, 0o755);
  return {
    path,
    async [Symbol.asyncDispose]() {
      const left = await mountsBelow(path);
      // A recursive delete through a mount would delete what is mounted.
      if (left.length > 0) throw new Error(`Cannot remove ${path}: still mounted there: ${left.join(", ")}`);
      await rm(path, { recursive: true, force: true });
    },
  };
}

/** Mount points at or below `path`, the deepest (latest) first. */
export async function mountsBelow(path: string): Promise<string[]> {
  const mountinfo = await readFile("/proc/self/mountinfo", "utf8");
  return mountinfo
    .split("\n")
    .map((line) => unescapeMountPoint(line.split(" ")[4] ?? ""))
    .filter((point) => point === path || point.startsWith(`${path}/`))
    .reverse();
}

/** The kernel writes blanks and backslashes in paths as \ooo. */
function unescapeMountPoint(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}
