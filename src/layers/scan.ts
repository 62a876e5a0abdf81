/** A tar read from its first byte to its last, for its digest, its names and a few small files of it: a worker's task. */

import { createHasher } from "../../store/index.ts";
import { AppError } from "../errors.ts";
import { displayPath } from "./entry.ts";
import { readFileRange } from "./input.ts";
import { invalid, normalisePath } from "./layer-path.ts";
import { tooLarge } from "./limits.ts";
import { reworded } from "./reword.ts";
import { type TarConsumer, type TarEntry, TarReader } from "./tar-entries.ts";
import type { ScanResult, ScanTask } from "./tasks.ts";
import { TarContent } from "./uncompressed.ts";

const MOST_TOP_LEVEL = 1000;

/** `onProgress` is told uncompressed bytes: of a few that become many, only these show that something is going on. */
export async function scanTar(task: ScanTask, onProgress?: (doneBytes: number) => void): Promise<ScanResult> {
  const scanner = new TarScanner(task);
  const content = new TarContent(new TarReader(scanner), createHasher(task.algorithm), task.limits, onProgress);
  try {
    for (const chunk of readFileRange(task.file)) await content.write(chunk);
    const digest = await content.finish();
    const { entryCount, documents, topLevel } = scanner;
    return { digest, sizeBytes: content.sizeBytes, entryCount, documents, topLevel: [...topLevel] };
  } catch (error) {
    throw reworded(error, `read ${task.file.path}`);
  }
}

class TarScanner implements TarConsumer {
  readonly documents = new Map<string, Uint8Array>();
  readonly topLevel = new Set<string>();
  entryCount = 0;
  readonly #wanted: ReadonlyMap<string, number>;
  readonly #maxEntries: number;
  readonly #seen = new Set<string>();
  #document: { readonly name: string; readonly chunks: Uint8Array[] } | undefined;

  constructor({ documents, limits }: ScanTask) {
    this.#wanted = new Map(Object.entries(documents));
    this.#maxEntries = limits.maxEntries;
  }

  begin(entry: TarEntry): void {
    this.#document = undefined;
    this.entryCount += 1;
    if (this.entryCount > this.#maxEntries) throw tooLarge(`more than ${this.#maxEntries} entries`, "max_entries");
    const name = Buffer.from(normalisePath(entry.path), "latin1").toString("utf8");
    const top = name.split("/", 1)[0] as string;
    if (top !== "" && this.topLevel.size < MOST_TOP_LEVEL) this.topLevel.add(top);
    const maxBytes = this.#wanted.get(name);
    if (maxBytes === undefined) return;
    // of two, readers would take the first or the last, whatever their way is
    if (this.#seen.has(name)) throw invalid(entry.path, "is there twice");
    this.#seen.add(name);
    if (entry.type !== "file") return;
    if (entry.sparse !== undefined) throw invalid(entry.path, "is a sparse file, which no document is");
    if (entry.size > maxBytes) throw tooLong(entry, maxBytes);
    this.#document = { name, chunks: [] };
  }

  data(chunk: Uint8Array): void {
    this.#document?.chunks.push(Buffer.from(chunk));
  }

  end(): void {
    if (this.#document === undefined) return;
    this.documents.set(this.#document.name, Buffer.concat(this.#document.chunks));
    this.#document = undefined;
  }
}

function tooLong({ path, size }: TarEntry, maxBytes: number): AppError {
  const name = displayPath(path);
  return new AppError(
    "layer-too-large",
    `Cannot unpack a layer: its "${name}" has ${size} bytes, more than ${maxBytes}`,
    {
      details: { entry: name, sizeBytes: size, maxBytes },
      hint: "this is not the small document that it should be; check where it came from",
    },
  );
}
