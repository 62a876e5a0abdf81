/**
 * The part of a tar that becomes a tree (Appc, spec/aci.md): what lies below one directory, less what whitelists leave out.
 * Whiteouts are no notion of that format, so a name that looks like one is the name of a file.
 */
import { AppError } from "../errors.ts";
import { PathList } from "../image/appc-paths.ts";
import { displayPath } from "./entry.ts";
import { normalisePath } from "./layer-path.ts";

export interface PartOptions {
  /** In the tar. */
  readonly directory: string;
  /** Absolute paths in the tree; with a slash at the end, directories without their content. */
  readonly whitelists: readonly (readonly string[])[];
}

export class TarPart {
  /** What is to be left, one after the other. */
  readonly whitelists: readonly Whitelist[];
  readonly #directory: string;

  /** Throws `layer-escape` for paths with `..`. */
  constructor({ directory, whitelists }: PartOptions) {
    this.#directory = normalisePath(toByteString(directory));
    this.whitelists = whitelists.map(parseWhitelist);
  }

  /** A normalised path of the tar as one of the tree; undefined when it is outside. */
  place(path: string): string | undefined {
    if (this.#directory === "") return path;
    if (path === this.#directory) return "";
    return path.startsWith(`${this.#directory}/`) ? path.slice(this.#directory.length + 1) : undefined;
  }

  /** The same for what a hard link names. Throws `layer-escape`: what is outside does not come along. */
  target(path: string, link: string): string {
    const place = this.place(link);
    if (place !== undefined) return place;
    const names = `entry "${displayPath(path)}" is a hard link to "${displayPath(link)}"`;
    throw new AppError(
      "layer-escape",
      `Cannot unpack a layer: ${names}, outside of "${displayPath(this.#directory)}"`,
      { details: { entry: displayPath(path), target: displayPath(link) } },
    );
  }
}

export interface Whitelist {
  /** Kept whatever they are. */
  readonly paths: ReadonlySet<string>;
  /** Directories that are to be there. */
  readonly directories: ReadonlySet<string>;
  /** Whether a directory is kept when it is there, because it leads to one of the others. */
  leads(path: string): boolean;
}

function parseWhitelist(list: readonly string[]): Whitelist {
  const paths = new Set<string>();
  const directories = new Set<string>();
  for (const raw of list) {
    const path = normalisePath(toByteString(raw));
    (raw.endsWith("/") ? directories : paths).add(path);
  }
  const all = new PathList([...paths, ...directories]);
  return { paths, directories, leads: (path) => path === "" || all.leadsTo(path) };
}

/** Paths of a manifest are text; those of entries are byte strings. */
function toByteString(text: string): string {
  return Buffer.from(text, "utf8").toString("latin1");
}
