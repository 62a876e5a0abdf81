/**
 * The extended attributes of a whole tree, read by one run of getfattr, which also sees the security.* and trusted.*
 * attributes that Node cannot reach.
 */
import { execFile } from "node:child_process";
import { searchPath } from "./peers.ts";

/**
 * Path (latin1, relative, "." for the root) → "name=hex name=hex", sorted by name. Paths without attributes are absent.
 * Attributes of the kernel's own making (SELinux labels, overlayfs bookkeeping) are left out.
 */
export async function readXattrs(root: string): Promise<Map<string, string>> {
  const stdout = await getfattr(root);
  const result = new Map<string, string>();
  for (const block of stdout.split("\n\n")) {
    const [heading, ...lines] = block.split("\n").filter((line) => line !== "");
    if (heading === undefined) continue;
    const path = unescapePath(heading.replace(/^# file: /, "")).replace(/^\.\//, "");
    const attributes = lines.filter((line) => !IGNORED.test(line)).sort();
    if (attributes.length > 0) result.set(path, attributes.join(" "));
  }
  return result;
}

function getfattr(root: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const args = ["--recursive", "--physical", "--no-dereference", "-d", "-m", "-", "-e", "hex", "."];
  const env = { ...process.env, PATH: searchPath().join(":"), LC_ALL: "C" };
  execFile(
    "getfattr",
    args,
    { cwd: root, encoding: "latin1", maxBuffer: 256 * 1024 * 1024, env },
    (error, stdout, stderr) => {
      // Names that a directory lists and that are not there (overlayfs ghosts) are the caller's to report.
      const onlyGhosts = stderr
        .split("\n")
        .every((line) => line === "" || line.endsWith(": No such file or directory"));
      if (error && !(error.code === 1 && onlyGhosts && stderr !== "")) reject(error);
      else resolve(stdout);
    },
  );
  return promise;
}

const IGNORED = /^(security\.selinux|trusted\.overlay\.|user\.overlay\.)/;

/** getfattr writes bytes that would confuse a reader as backslash and three octal digits. */
function unescapePath(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}
