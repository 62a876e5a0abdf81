/**
 * Whiteout names (image-spec layer.md, "Whiteouts"): `.wh.NAME` hides NAME of lower layers, `.wh..wh..opq` hides all
 * that lower layers have in its directory. Other `.wh..wh.*` names are aufs' own files and are dropped.
 */
import { baseName } from "./entry.ts";
import { invalid } from "./layer-path.ts";

const PREFIX = ".wh.";
const META = ".wh..wh.";
const OPAQUE = ".wh..wh..opq";

export type WhiteoutName =
  | { readonly kind: "none" }
  | { readonly kind: "opaque" }
  | { readonly kind: "dropped" }
  | { readonly kind: "whiteout"; readonly name: string };

/** `path` is normalised. Throws `layer-invalid` for whiteouts that name nothing, or the directory itself or its parent. */
export function classifyWhiteout(path: string): WhiteoutName {
  if (!path.includes(PREFIX)) return { kind: "none" };
  const directories = path.split("/");
  const name = baseName(path);
  directories.pop();
  if (directories.some((part) => part.startsWith(META))) return { kind: "dropped" };
  if (directories.some((part) => part.startsWith(PREFIX))) throw invalid(path, "lies inside a whiteout");
  if (name === OPAQUE) return { kind: "opaque" };
  if (name.startsWith(META)) return { kind: "dropped" };
  if (!name.startsWith(PREFIX)) return { kind: "none" };
  const hidden = name.slice(PREFIX.length);
  if (hidden === "" || hidden === "." || hidden === "..") throw invalid(path, "is a whiteout of nothing");
  return { kind: "whiteout", name: hidden };
}
