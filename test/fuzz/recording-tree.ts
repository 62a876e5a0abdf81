/** A layer's tree in memory that takes no nonsense: whatever a file system would refuse, or the store must not have, throws. */
import { AppError } from "../../src/errors.ts";
import { type Entry, parentPath } from "../../src/layers/entry.ts";
import type { LayerFileWriter, LayerTree } from "../../src/layers/layer-tree.ts";
import { law } from "./law.ts";

type Kind = "directory" | "file" | "symlink" | "character" | "block" | "fifo" | "whiteout";

/** One inode; hard links share it. */
interface Placed {
  readonly kind: Kind;
  entry: Entry | undefined;
  opaque: boolean;
  /** Bytes written, of a file. */
  size: number;
  finished: boolean;
}

/** A path is inside the tree, in its normal form, and, where those mean something, no whiteout. */
export function checkPath(path: string, whiteouts = true): void {
  law(path.length < 4096, "a path is too long", path);
  for (const name of path.split("/")) {
    law(name !== "" && name !== "." && name !== "..", "a path is not normal", path);
    law(!name.includes("\0") && name.length <= 255, "a name is none", path);
    law(!whiteouts || !name.startsWith(".wh."), "a whiteout's name reached the tree", path);
  }
}

export class RecordingTree implements LayerTree {
  readonly markersRefused = 0;
  readonly places = new Map<string, Placed>();
  /** Whether the format has whiteouts. */
  readonly whiteouts: boolean;

  constructor(whiteouts = true) {
    this.whiteouts = whiteouts;
    this.places.set("", place("directory"));
  }

  createFile(entry: Entry, data: Uint8Array): void {
    this.#add(entry.path, { ...place("file"), entry, size: data.length });
  }

  openFile(entry: Entry): LayerFileWriter {
    const file = { ...place("file"), finished: false };
    let position = 0;
    this.#add(entry.path, file);
    return {
      append: (chunk) => {
        law(!file.finished && chunk.length > 0, "a finished file is written to, or nothing is written", entry.path);
        position += chunk.length;
        law(position <= entry.size, "a file is written beyond its end", entry.path);
        file.size += chunk.length;
      },
      seek: (offset) => {
        law(!file.finished && offset > position && offset <= entry.size, "not forward in a file", entry.path);
        position = offset;
      },
      finish: (settled) => {
        law(!file.finished, "a file is finished twice", entry.path);
        Object.assign(file, { finished: true, entry: settled });
      },
      [Symbol.dispose]: () => {},
    };
  }

  cloneFile(): void {
    law(false, "a layer's tree has nothing to clone from");
  }

  symlink(entry: Entry): void {
    law(entry.link !== "" && entry.link.length < 4096 && !entry.link.includes("\0"), "a link is no link");
    this.#add(entry.path, { ...place("symlink"), entry });
  }

  link(path: string, existing: string): void {
    checkPath(existing, this.whiteouts);
    const target = this.places.get(existing);
    law(target !== undefined && target.kind !== "directory", "no file to link to", existing);
    law(target.finished, "an unfinished file is linked to", existing);
    this.#add(path, target);
  }

  mknod(entry: Entry): void {
    law(entry.type === "character" || entry.type === "block" || entry.type === "fifo", "no device", entry.path);
    law(entry.type !== "character" || entry.major !== 0 || entry.minor !== 0, "a device would be a whiteout");
    this.#add(entry.path, { ...place(entry.type), entry });
  }

  mkdir(path: string): void {
    this.#add(path, place("directory"));
  }

  setDirectory(entry: Entry): void {
    const directory = this.#directory(entry.path);
    law(directory.entry === undefined, "a directory is settled twice", entry.path);
    directory.entry = entry;
  }

  whiteout(path: string): void {
    this.#add(path, place("whiteout"));
  }

  markOpaque(path: string): void {
    this.#directory(path).opaque = true;
  }

  remove(path: string): void {
    checkPath(path, this.whiteouts);
    this.#changing(path);
    law(this.places.delete(path), "what is removed is not there", path);
    for (const other of this.places.keys()) if (other.startsWith(`${path}/`)) this.places.delete(other);
  }

  [Symbol.dispose](): void {}

  #add(path: string, placed: Placed): void {
    // what the kernel refuses is told as such (refused.ts); nothing else of it needs to know
    if (path.split("/").some((name) => name.length > 255))
      throw new AppError("layer-unsupported", "Cannot unpack a layer: a name is longer than the file system takes");
    checkPath(path, this.whiteouts);
    this.#changing(path);
    law(!this.places.has(path), "already there", path);
    this.places.set(path, placed);
  }

  /** What is put into a directory changes its time, so nothing may be once that is set. */
  #changing(path: string): void {
    const parent = this.#directory(parentPath(path));
    law(parent.entry === undefined, "a settled directory is changed", path);
  }

  #directory(path: string): Placed {
    const found = this.places.get(path);
    law(found?.kind === "directory", "no directory", path);
    return found;
  }
}

function place(kind: Kind): Placed {
  return { kind, entry: undefined, opaque: false, size: 0, finished: true };
}
