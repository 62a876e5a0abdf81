/**
 * The content of one file after the other on its way from a tar into a tree. Small files are made by one call; large and
 * sparse ones are written piece by piece, holes left out. Pieces come in memory that is used again as soon as they are taken.
 */
import { crc32 } from "node:zlib";
import { crc32Zeros } from "./crc32-zeros.ts";
import type { Entry, Segment } from "./entry.ts";
import type { LayerFileWriter, LayerTree } from "./layer-tree.ts";

/** Files above this size, in bytes, are written piece by piece; smaller ones in one call. */
const OPEN_FILE_ABOVE = 1024 * 1024;

type Checked = Entry & { checksum: number };

interface OpenFile {
  readonly entry: Checked;
  readonly writer: LayerFileWriter | undefined;
  /** Pieces of the file that the tar has, and which of them is next. */
  readonly segments: readonly Segment[];
  next: number;
  /** Stored bytes so far, and where in the file the next one belongs. */
  taken: number;
  position: number;
}

export class FileContent implements Disposable {
  readonly #tree: LayerTree;
  #gathered: Buffer | undefined;
  #file: OpenFile | undefined;

  constructor(tree: LayerTree) {
    this.#tree = tree;
  }

  /** `checksum` of the entry is set by what follows. */
  begin(entry: Checked): void {
    const large = entry.size > OPEN_FILE_ABOVE || entry.sparse !== undefined;
    const segments = entry.sparse ?? [{ offset: 0, length: entry.size }];
    const writer = large ? this.#tree.openFile(entry) : undefined;
    this.#file = { entry, writer, segments, next: 0, taken: 0, position: 0 };
  }

  data(chunk: Uint8Array): void {
    const file = this.#file;
    if (file === undefined) return;
    if (file.writer !== undefined) this.#write(file, file.writer, chunk);
    else this.#gather(file, chunk);
  }

  end(): void {
    const file = this.#file;
    if (file === undefined) return;
    this.#file = undefined;
    const { entry, writer } = file;
    if (writer !== undefined) {
      using closing = writer;
      skip(file, entry.size);
      closing.finish(entry);
    } else if (entry.size === 0) this.#tree.createFile(entry, NOTHING);
  }

  /** Leaves a file that does not come to its end: its descriptor would keep what it has on the disk. */
  [Symbol.dispose](): void {
    this.#file?.writer?.[Symbol.dispose]();
    this.#file = undefined;
  }

  /** Most small files lie in one piece, which is then written as it is. */
  #gather(file: OpenFile, chunk: Uint8Array): void {
    const { entry } = file;
    entry.checksum = crc32(chunk, entry.checksum);
    if (chunk.length === entry.size) {
      this.#tree.createFile(entry, chunk);
      return;
    }
    this.#gathered ??= Buffer.allocUnsafeSlow(OPEN_FILE_ABOVE);
    this.#gathered.set(chunk, file.taken);
    file.taken += chunk.length;
    if (file.taken === entry.size) this.#tree.createFile(entry, this.#gathered.subarray(0, entry.size));
  }

  #write(file: OpenFile, writer: LayerFileWriter, chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length; ) {
      const { offset, length } = file.segments[file.next] as Segment;
      if (file.position < offset) {
        skip(file, offset);
        writer.seek(offset);
      }
      const step = Math.min(chunk.length - at, offset + length - file.position);
      const piece = chunk.subarray(at, at + step);
      file.entry.checksum = crc32(piece, file.entry.checksum);
      writer.append(piece);
      at += step;
      file.position += step;
      if (file.position === offset + length) file.next += 1;
    }
  }
}

const NOTHING = new Uint8Array(0);

/** A hole is content too: zeros. */
function skip(file: OpenFile, to: number): void {
  file.entry.checksum = crc32Zeros(file.entry.checksum, to - file.position);
  file.position = to;
}
