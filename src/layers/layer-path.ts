/**
 * Names in a tar become paths in a tree, or an error: never a place outside it.
 */
import { AppError } from "../errors.ts";
import { displayPath, type Entry, parentPath } from "./entry.ts";

/** Bytes of a path, with the NUL that ends it (Linux). */
export const PATH_MAX = 4096;
const NAME_MAX = 255;
const SYMLINK_LIMIT = 40;

/**
 * `./a//b/` and `/a/b` are `a/b`: absolute names mean the root of the tree. A `..` is refused, wherever it stands: no
 * image builder writes one, and what it should mean after a symlink is a question that readers answer differently.
 */
export function normalisePath(raw: string): string {
  const parts: string[] = [];
  for (const part of raw.split("/")) {
    if (part === "" || part === ".") continue;
    if (part === "..") {
      throw new AppError("layer-escape", `Cannot unpack a layer: entry "${displayPath(raw)}" leaves the tree by ".."`, {
        hint: "the image is malformed or hostile; nothing of this layer was kept",
        details: { entry: displayPath(raw) },
      });
    }
    if (part.length > NAME_MAX) throw invalid(raw, `has a name longer than ${NAME_MAX} bytes`);
    if (part.includes("\0")) throw invalid(raw, "has a NUL byte in its name");
    parts.push(part);
  }
  const path = parts.join("/");
  if (path.length >= PATH_MAX) throw invalid(raw, `has a path longer than ${PATH_MAX - 1} bytes`);
  return path;
}

export function invalid(raw: string, what: string): AppError {
  return new AppError("layer-invalid", `Cannot unpack a layer: entry "${displayPath(raw)}" ${what}`, {
    hint: "the image is malformed or hostile; nothing of this layer was kept",
    details: { entry: displayPath(raw) },
  });
}

/**
 * Resolves a path's directories through symlinks that this same layer created, staying inside the tree like a chroot
 * would. Whatever the layer has not created is left as it stands: other layers are none of this one's business. `steps`
 * counts the names in the links' targets.
 */
export function resolveDirectories(
  path: string,
  entries: Pick<ReadonlyMap<string, Entry>, "get">,
): readonly [resolved: string, steps: number] {
  // what lies above a directory of this layer are directories of this layer
  if (entries.get(path)?.type === "directory") return [path, 0];
  let pending = path.split("/").reverse();
  let resolved = "";
  let links = 0;
  let steps = 0;
  for (let part = pending.pop(); part !== undefined; part = pending.pop()) {
    if (part === "" || part === ".") continue;
    if (part === "..") {
      resolved = parentPath(resolved);
      continue;
    }
    const candidate = resolved === "" ? part : `${resolved}/${part}`;
    const entry = entries.get(candidate);
    if (entry?.type !== "symlink") {
      resolved = candidate;
      if (resolved.length >= PATH_MAX) throw tooLong(path);
      continue;
    }
    links += 1;
    if (links > SYMLINK_LIMIT) throw invalid(path, "lies behind too many symbolic links");
    if (entry.link.startsWith("/")) resolved = "";
    const target = entry.link.split("/").reverse();
    steps += target.length;
    pending = pending.concat(target);
  }
  return [resolved, steps];
}

/** Of a path whose symbolic links lead further than the kernel goes. */
export function tooLong(path: string): AppError {
  return invalid(path, `lies behind links at a path longer than ${PATH_MAX - 1} bytes`);
}
