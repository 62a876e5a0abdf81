/**
 * The one place that knows tar: a stream of uncompressed tar bytes in, entries and their content out.
 *
 * tar-stream finds the blocks and decodes the headers. It is extended in four places, all at methods of one instance:
 *  - PAX values are decoded as bytes, not as UTF-8: `security.capability` and names in other encodings must survive;
 *  - a PAX global header also holds for entries without a PAX header of their own;
 *  - headers other than files' have no body, whatever size they declare;
 *  - two zero blocks end the archive, as in GNU tar and Go's archive/tar: what follows them is not read as entries (two
 *    readers that disagree on this would see two different images behind one digest).
 */
import { extract } from "tar-stream";
import { AppError } from "../errors.ts";
import { displayPath, type Metadata } from "./entry.ts";
import { decodePax, type PaxRecords, paxTime, paxXattrs } from "./pax.ts";

export type TarType = "file" | "directory" | "symlink" | "hardlink" | "character" | "block" | "fifo";

/** One tar header, PAX and GNU extensions applied, otherwise as written: paths are raw byte strings. */
export interface TarEntry extends Metadata {
  readonly path: string;
  readonly type: TarType;
}

export interface TarConsumer {
  begin(entry: TarEntry): void;
  data(chunk: Uint8Array): void;
  end(): void;
}

const TYPES: Readonly<Record<string, TarType>> = {
  file: "file",
  "contiguous-file": "file",
  directory: "directory",
  symlink: "symlink",
  link: "hardlink",
  "character-device": "character",
  "block-device": "block",
  fifo: "fifo",
};

/** What is used of tar-stream, beyond what its types say. A test fails when a release changes any of it. */
interface TarHeader {
  name: string;
  type: string | null;
  mode: number;
  uid: number;
  gid: number;
  size: number;
  mtime: Date;
  linkname: string | null;
  devmajor: number;
  devminor: number;
  byteOffset: number;
  pax: PaxRecords | null;
}
interface EntryStream {
  on(event: "data", listener: (chunk: Uint8Array) => void): unknown;
  on(event: "end", listener: () => void): unknown;
  on(event: "error", listener: (error: unknown) => void): unknown;
}
interface Extract {
  _header: TarHeader | null;
  _locked: boolean;
  _pax: PaxRecords | null;
  _paxGlobal: PaxRecords | null;
  _decodeLongHeader(bytes: Uint8Array): void;
  _applyLongHeaders(): void;
  _consumeHeader(): boolean;
  on(event: "entry", listener: (header: TarHeader, stream: EntryStream, next: () => void) => void): unknown;
  on(event: "error", listener: (error: unknown) => void): unknown;
  on(event: "drain" | "finish", listener: () => void): unknown;
  write(chunk: Uint8Array): boolean;
  end(): void;
  destroy(): void;
}

export class TarReader {
  readonly #extract: Extract;
  readonly #consumer: TarConsumer;
  #failure: Error | undefined;
  #ended = false;
  #settle: () => void = () => {};

  constructor(consumer: TarConsumer) {
    this.#consumer = consumer;
    this.#extract = extract({
      filenameEncoding: "latin1",
      allowUnknownFormat: true,
      highWaterMark: 0,
    } as never) as unknown as Extract;
    this.#extract.on("entry", (header, stream, next) => this.#entry(header, stream, next));
    this.#extract.on("error", (error) => this.#fail(describeFailure(error)));
    this.#extract.on("drain", () => this.#settle());
    this.#extract.on("finish", () => this.#settle());
    extend(this.#extract, () => {
      this.#ended = true;
      this.#settle();
    });
  }

  /** Resolves when everything that is complete in the bytes so far has been given to the consumer. */
  async write(chunk: Uint8Array): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#ended || this.#extract.write(chunk)) return;
    await this.#settled();
  }

  /** Call once after the last byte: an archive that stops in the middle of an entry is an error. */
  async end(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#ended) return;
    this.#extract.end();
    await this.#settled();
  }

  async #settled(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#settle = resolve;
      if (this.#failure !== undefined || this.#ended) resolve();
    });
    if (this.#failure !== undefined) throw this.#failure;
  }

  #entry(header: TarHeader, stream: EntryStream, next: () => void): void {
    stream.on("error", () => {});
    this.#guard(() => this.#consumer.begin(toEntry(header)));
    stream.on("data", (chunk) => this.#guard(() => this.#consumer.data(chunk)));
    stream.on("end", () => {
      this.#guard(() => this.#consumer.end());
      next();
    });
  }

  /** Consumers throw; tar-stream's events must not, or the error would be nobody's. */
  #guard(action: () => void): void {
    if (this.#failure !== undefined) return;
    try {
      action();
    } catch (error) {
      this.#fail(error);
      this.#extract.destroy();
    }
  }

  #fail(error: unknown): void {
    this.#failure ??= error instanceof Error ? error : new Error(String(error));
    this.#settle();
  }
}

function extend(reader: Extract, onEndOfArchive: () => void): void {
  const decodeLongHeader = reader._decodeLongHeader.bind(reader);
  reader._decodeLongHeader = (bytes) => {
    const type = reader._header?.type;
    if (type === "pax-global-header") reader._paxGlobal = { ...reader._paxGlobal, ...decodePax(bytes) };
    else if (type === "pax-header") reader._pax = { ...reader._paxGlobal, ...decodePax(bytes) };
    else decodeLongHeader(bytes);
  };
  const applyLongHeaders = reader._applyLongHeaders.bind(reader);
  reader._applyLongHeaders = () => {
    if (reader._pax === null && reader._paxGlobal !== null) reader._pax = { ...reader._paxGlobal };
    applyLongHeaders();
    // only files have a body, whatever size other headers declare (as Go's archive/tar reads them)
    const header = reader._header;
    if (header !== null && header.type !== null && TYPES[header.type] !== "file") header.size = 0;
  };
  const consumeHeader = reader._consumeHeader.bind(reader);
  let zeroBlocks = 0;
  reader._consumeHeader = () => {
    if (!consumeHeader()) return false;
    zeroBlocks = reader._header === null ? zeroBlocks + 1 : 0;
    if (zeroBlocks < 2) return true;
    onEndOfArchive();
    return false;
  };
}

function toEntry(header: TarHeader): TarEntry {
  const pax = header.pax ?? {};
  const where = `entry "${displayPath(header.name)}"`;
  if (Object.keys(pax).some((key) => key.startsWith("GNU.sparse."))) {
    throw new AppError("layer-unsupported", `Cannot unpack a layer: ${where} is stored as a PAX sparse file`, {
      hint: "rebuild the layer without sparse encoding (tar without --sparse)",
    });
  }
  // V7 tar marks a directory by its trailing slash alone
  const type = header.type === "file" && header.name.endsWith("/") ? "directory" : TYPES[header.type ?? ""];
  if (type === undefined) {
    throw new AppError("layer-unsupported", `Cannot unpack a layer: ${where} has a type that is not supported`, {
      hint: "files, directories, links, devices and FIFOs can be unpacked; GNU sparse, volume and multi-volume records cannot",
    });
  }
  const [mtimeSec, mtimeNsec] = pax["mtime"] === undefined ? [header.mtime.getTime() / 1000, 0] : paxTime(pax["mtime"]);
  const entry: TarEntry = {
    path: header.name,
    type,
    mode: header.mode & 0o7777,
    uid: pax["uid"] === undefined ? header.uid : Number(pax["uid"]),
    gid: pax["gid"] === undefined ? header.gid : Number(pax["gid"]),
    size: type === "file" ? header.size : 0,
    mtimeSec,
    mtimeNsec,
    link: header.linkname ?? "",
    major: header.devmajor,
    minor: header.devminor,
    xattrs: paxXattrs(pax),
    offset: header.byteOffset,
  };
  checkNumbers(entry, where);
  return entry;
}

function checkNumbers(entry: TarEntry, where: string): void {
  const id = (value: number): boolean => Number.isInteger(value) && value >= 0 && value <= 0xffffffff;
  const bad =
    (!id(entry.uid) && "owner") ||
    (!id(entry.gid) && "group") ||
    (!(Number.isSafeInteger(entry.size) && entry.size >= 0) && "size") ||
    (!Number.isSafeInteger(entry.mtimeSec) && "time") ||
    (!(id(entry.major) && id(entry.minor)) &&
      (entry.type === "character" || entry.type === "block") &&
      "device number");
  if (bad) throw new AppError("layer-invalid", `Cannot unpack a layer: ${where} has an invalid ${bad}`);
}

function describeFailure(error: unknown): AppError {
  const reason = error instanceof Error ? error.message : String(error);
  const truncated = /unexpected end/i.test(reason);
  return new AppError(
    "layer-invalid",
    truncated
      ? "Cannot unpack a layer: the tar archive ends in the middle of an entry"
      : `Cannot unpack a layer: not a tar archive, or a damaged one (${reason})`,
    { cause: error },
  );
}
