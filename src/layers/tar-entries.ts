/**
 * The one place that knows tar: a stream of uncompressed tar bytes in, entries and their content out.
 *
 *   tar-stream: blocks and bodies ──► tar-header.ts ──► tar-extensions.ts, pax.ts ──► tar-entry.ts ──► consumer
 *                                                       tar-sparse.ts: maps of sparse files
 *
 * tar-stream cuts the stream: it buffers blocks and extension headers that come in pieces, hands out bodies and passes over
 * padding. What a block says is read here, since tar-stream's own reading loses what images need (bytes that are not UTF-8,
 * negative numbers, sparse maps, names of GNU headers). So two of its methods are replaced, at one instance, and its
 * writable-stream side is not used: it makes a stream and several promises of each entry, which cost several times as much as
 * all the rest. What remains of it here is as long as a framer would be; there is one library for tar, as everywhere else.
 *
 *  - Headers other than files' have no body, whatever size they declare.
 *  - Two zero blocks end the archive, as in GNU tar and Go's archive/tar: what follows them is not read as entries (two
 *    readers that disagree on this would see two different images behind one digest). One zero block with an entry behind
 *    it is refused, as by archive/tar; GNU tar ends there.
 *  - The archive may also end, without any zero block, where an entry's last block does.
 */
import { extract } from "tar-stream";
import { AppError } from "../errors.ts";
import { displayPath } from "./entry.ts";
import { invalid } from "./layer-path.ts";
import { describeEntry, pathOf, type TarEntry } from "./tar-entry.ts";
import { Extensions, type Overrides } from "./tar-extensions.ts";
import { BLOCK, parseHeader, type TarHeader } from "./tar-header.ts";
import { MAX_EXTENSION, MAX_PIECES, MAX_XATTRS, tooLongExtension, tooManyXattrs, XATTR_COST } from "./tar-limits.ts";
import { isCount, parseDecimal, parseNumber } from "./tar-number.ts";
import { SparseMap, SparseMapLines } from "./tar-sparse.ts";
import { readPaxSparse } from "./tar-sparse-pax.ts";
import { DUMPDIR_FLAG, describeFlag, extensionOf, SPARSE_FLAG, typeOf } from "./tar-types.ts";

export type { TarEntry } from "./tar-entry.ts";
export type { TarType } from "./tar-types.ts";

/** Calls come in the order begin, data any number of times, end. What they throw ends the reading and is thrown on. */
export interface TarConsumer {
  begin(entry: TarEntry): void;
  /** Stored bytes of a file, of a sparse one without its holes: a view of what was written to the reader. */
  data(chunk: Uint8Array): void;
  end(): void;
}

/** What is used of tar-stream, beyond what its types say. A test fails when a release changes any of it. */
interface Frames {
  readonly _buffer: {
    /** Bytes that wait, and bytes that were taken since the start. */
    readonly buffered: number;
    shifted: number;
    push(bytes: Buffer): void;
    shift(sizeBytes: number): Buffer;
  };
  /** Where a body goes; null between two of them. */
  _stream: Body | null;
  /** Bytes to come of the body, the extension header, or the padding behind either. */
  _missing: number;
  /** Whether they are collected for `_decodeLongHeader`, in one piece of the header's size. */
  _longHeader: boolean;
  _header: { readonly size: number };
  _write(chunk: Buffer, done: (error: unknown) => void): void;
  _consumeHeader(): boolean;
  _decodeLongHeader(bytes: Buffer): void;
}

interface Body {
  push(bytes: Buffer | null): boolean;
  _detach(): void;
}

export class TarReader {
  readonly #frames: Frames;
  readonly #consumer: TarConsumer;
  readonly #extensions = new Extensions();
  #collected: (bytes: Buffer) => void = () => {};
  #failure: unknown;
  #zeroBlocks = 0;
  readonly #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #ended = false;
  #pieces = 0;
  #xattrBytes = 0;

  constructor(consumer: TarConsumer) {
    this.#consumer = consumer;
    this.#frames = extract() as unknown as Frames;
    this.#frames._consumeHeader = () => this.#consumeHeader();
    this.#frames._decodeLongHeader = (bytes) => this.#collected(bytes);
  }

  /**
   * Gives everything that is complete in the bytes so far to the consumer; the chunk may be used again afterwards. Throws
   * what the consumer throws, `layer-invalid`, `layer-unsupported` and `layer-too-large`, and the same again from then on.
   */
  write(chunk: Uint8Array): void {
    this.#guard(() => {
      if (this.#ended) return;
      const { _buffer, _stream, _missing } = this.#frames;
      // what does not complete anything waits, and is copied once: not again with each piece that comes behind it
      this.#waitingBytes += chunk.length;
      const needed = _stream !== null ? 0 : _missing > 0 ? _missing : BLOCK;
      if (_buffer.buffered + this.#waitingBytes < needed) {
        this.#waiting.push(Buffer.from(chunk));
        return;
      }
      const bytes = this.#waiting.length === 0 ? chunk : Buffer.concat([...this.#waiting, chunk]);
      this.#waiting.length = 0;
      this.#waitingBytes = 0;
      let failure: unknown;
      this.#frames._write(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), (error) => {
        failure = error;
      });
      if (failure !== undefined && failure !== null) throw failure;
      this.#keepRest();
    });
  }

  /** Call once after the last byte: an archive that stops in the middle of an entry is an error. */
  end(): void {
    this.#guard(() => {
      if (this.#ended) return;
      if (this.#waitingBytes > 0 || this.#frames._buffer.buffered > 0 || this.#frames._missing > 0) {
        throw new AppError("layer-invalid", "Cannot unpack a layer: the tar archive ends in the middle of an entry");
      }
      this.#extensions.finish();
      this.#ended = true;
    });
  }

  #guard(action: () => void): void {
    if (this.#failure !== undefined) throw this.#failure;
    try {
      action();
    } catch (error) {
      this.#failure = error;
      throw error;
    }
  }

  /** Less than a block, or an extension header of which more is to come. */
  #keepRest(): void {
    const { _buffer } = this.#frames;
    const length = _buffer.buffered;
    if (length === 0) return;
    const rest = Buffer.from(_buffer.shift(length));
    if (this.#ended) return;
    _buffer.shifted -= length;
    _buffer.push(rest);
  }

  /** False when there is no more to be read. */
  #consumeHeader(): boolean {
    const header = parseHeader(this.#frames._buffer.shift(BLOCK));
    if (header === undefined) {
      this.#zeroBlocks += 1;
      if (this.#zeroBlocks < 2) return true;
      this.#extensions.finish();
      this.#ended = true;
      return false;
    }
    if (this.#zeroBlocks > 0) throw damaged("it has an entry behind a block of zeros");
    const extension = extensionOf(header.flag);
    if (extension === undefined) {
      this.#entry(header, this.#extensions.take());
      return true;
    }
    if (!isCount(header.size)) throw invalid(header.name, "has an invalid size");
    if (header.size > MAX_EXTENSION) throw tooLongExtension(header.size);
    this.#collect(header.size, (bytes) => this.#extensions.add(extension, bytes));
    return true;
  }

  #entry(header: TarHeader, overrides: Overrides): void {
    const path = pathOf(header, overrides);
    const type = typeOf(header.flag, path);
    if (type === undefined) throw unsupported(path, describeFlag(header.flag));
    const entry = describeEntry(header, overrides, { path, type, offset: this.#frames._buffer.shifted });
    if (header.flag === SPARSE_FLAG) this.#gnuSparse(header, entry);
    else if (header.flag === DUMPDIR_FLAG) this.#skipBody(header, overrides, entry);
    else if (overrides.records.size === 0) this.#begin(entry, entry.size);
    else this.#paxSparse(overrides, entry);
  }

  #gnuSparse(header: TarHeader, entry: TarEntry): void {
    if (header.format !== "gnu") throw unsupported(entry.path, "a sparse file in a format that is not GNU tar's");
    const map = new SparseMap(entry.path, MAX_PIECES - this.#pieces);
    const size = parseNumber(header.block, 483, 12);
    if (!isCount(size)) throw invalid(entry.path, "has an invalid size");
    const next = (more: boolean): void => {
      if (more) this.#collect(BLOCK, (block) => next(map.addSlots(block, 0, 21)));
      else this.#beginSparse({ ...entry, size }, map, entry.size);
    };
    next(map.addSlots(header.block, 386, 4));
  }

  #paxSparse(overrides: Overrides, entry: TarEntry): void {
    const sparse = readPaxSparse(overrides.records, entry.path);
    if (sparse === undefined) {
      this.#begin(entry, entry.size);
      return;
    }
    if (entry.type !== "file") throw invalid(entry.path, "is a sparse file, and none");
    const map = new SparseMap(sparse.path, MAX_PIECES - this.#pieces);
    const described = { ...entry, path: sparse.path, size: sparse.sizeBytes ?? entry.size };
    if (sparse.mapIn === "records") {
      map.addText(sparse.map, sparse.count);
      this.#beginSparse(described, map, entry.size);
      return;
    }
    const lines = new SparseMapLines(map);
    let stored = entry.size;
    const next = (more: boolean): void => {
      if (!more) {
        this.#beginSparse(described, map, stored);
        return;
      }
      stored -= BLOCK;
      if (stored < 0) throw invalid(sparse.path, "is a sparse file whose map does not end");
      this.#collect(BLOCK, (block) => next(lines.addBlock(block)));
    };
    next(true);
  }

  #beginSparse(entry: TarEntry, map: SparseMap, storedBytes: number): void {
    const sparse = map.finish(entry.size, storedBytes);
    this.#pieces += sparse?.length ?? 0;
    const offset = this.#frames._buffer.shifted;
    this.#begin({ ...entry, offset, ...(sparse !== undefined && { sparse }) }, storedBytes);
  }

  #skipBody(header: TarHeader, overrides: Overrides, entry: TarEntry): void {
    const sizeBytes = parseDecimal(overrides.get("size") ?? String(header.size));
    if (!isCount(sizeBytes)) throw invalid(entry.path, "has an invalid size");
    this.#begin(entry, 0);
    this.#body(sizeBytes, () => {});
  }

  #begin(entry: TarEntry, storedBytes: number): void {
    for (const [name, value] of entry.xattrs) this.#xattrBytes += XATTR_COST + name.length + value.length;
    if (this.#xattrBytes > MAX_XATTRS) throw tooManyXattrs();
    this.#consumer.begin(entry);
    if (storedBytes === 0) this.#consumer.end();
    else this.#body(storedBytes, this.#deliver);
  }

  readonly #deliver = (bytes: Buffer | null): void => {
    if (bytes === null) this.#consumer.end();
    else this.#consumer.data(bytes);
  };

  /** The next bytes go there, in pieces as they come, and null at their end; what fills the last block goes nowhere. */
  #body(sizeBytes: number, to: (bytes: Buffer | null) => void): void {
    if (sizeBytes === 0) return;
    const frames = this.#frames;
    frames._missing = sizeBytes;
    frames._stream = {
      push: (bytes) => {
        to(bytes);
        return true;
      },
      _detach: () => {
        frames._stream = null;
        frames._missing = -sizeBytes & (BLOCK - 1);
      },
    };
  }

  /** The next bytes go there in one piece. */
  #collect(sizeBytes: number, to: (bytes: Buffer) => void): void {
    this.#collected = to;
    if (sizeBytes === 0) {
      to(Buffer.alloc(0));
      return;
    }
    this.#frames._header = { size: sizeBytes };
    this.#frames._longHeader = true;
    this.#frames._missing = sizeBytes;
  }
}

function damaged(how: string): AppError {
  return new AppError("layer-invalid", `Cannot unpack a layer: not a tar archive, or a damaged one (${how})`);
}

function unsupported(path: string, what: string): AppError {
  const entry = displayPath(path);
  return new AppError("layer-unsupported", `Cannot unpack a layer: entry "${entry}" is ${what}`, {
    hint: "files, directories, links, devices and FIFOs can be unpacked; make the layer anew without the rest",
    details: { entry },
  });
}
