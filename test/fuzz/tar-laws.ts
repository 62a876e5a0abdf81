/** What holds of everything that the tar reader gives, and a second reader, which only knows where entries are. */
import { deepEqual } from "node:assert/strict";
import { AppError } from "../../src/errors.ts";
import type { Xattr } from "../../src/layers/entry.ts";
import { type TarConsumer, type TarEntry, TarReader } from "../../src/layers/tar-entries.ts";
import { law } from "./law.ts";
import { BLOCK } from "./tar-blocks.ts";

export const REFUSED = ["layer-invalid", "layer-unsupported", "layer-too-large", "layer-escape"];

export interface Read {
  /** The last one may lack content, or its end, when it was refused. */
  readonly entries: readonly { readonly entry: TarEntry; readonly content: Buffer; readonly ended: boolean }[];
  /** Code and message of the refusal. */
  readonly refused: string | undefined;
}

/** Feeds the pieces, each in memory that is overwritten afterwards. Throws what is no refusal. */
export function readTar(pieces: readonly Buffer[], also?: TarConsumer): Read {
  const recorder = new Recorder(also);
  const reader = new TarReader(recorder);
  try {
    for (const piece of pieces) {
      const memory = Buffer.from(piece);
      reader.write(memory);
      memory.fill(0xee);
    }
    reader.end();
  } catch (error) {
    if (!(error instanceof AppError && REFUSED.includes(error.code))) throw error;
    return { entries: recorder.entries, refused: `${error.code} ${error.message}` };
  }
  law(recorder.entries.at(-1)?.ended !== false, "the archive ends in an entry");
  return { entries: recorder.entries, refused: undefined };
}

class Recorder implements TarConsumer {
  readonly #read: { entry: TarEntry; pieces: Buffer[]; ended: boolean }[] = [];
  readonly #also: TarConsumer | undefined;

  constructor(also: TarConsumer | undefined) {
    this.#also = also;
  }

  get entries(): Read["entries"] {
    return this.#read.map(({ entry, pieces, ended }) => ({ entry, content: Buffer.concat(pieces), ended }));
  }

  begin(entry: TarEntry): void {
    law(this.#read.at(-1)?.ended !== false, "an entry begins in another one", entry.path);
    this.#read.push({ entry, pieces: [], ended: false });
    this.#also?.begin(entry);
  }

  data(chunk: Uint8Array): void {
    this.#open().pieces.push(Buffer.from(chunk));
    this.#also?.data(chunk);
  }

  end(): void {
    this.#open().ended = true;
    this.#also?.end();
  }

  #open(): { pieces: Buffer[]; ended: boolean } {
    const last = this.#read.at(-1);
    law(last?.ended === false, "content or the end of an entry that did not begin");
    return last;
  }
}

/** Entries as an index and a tree can have them; content as it lies in the archive. */
export function checkEntries(tar: Buffer, { entries }: Read): void {
  let before = 0;
  for (const { entry, content, ended } of entries) {
    const { path, type, size, offset, sparse } = entry;
    checkNumbers(entry);
    law(path.length <= tar.length && entry.link.length <= tar.length, "a name is longer than the archive");
    law(type === "file" || (size === 0 && content.length === 0 && sparse === undefined), "content of no file", path);
    law(offset % BLOCK === 0 && offset > before && offset <= tar.length, "not where it can be", path);
    law(content.equals(tar.subarray(offset, offset + content.length)), "not the content that is there", path);
    law(
      ended ? content.length === storedBytes(entry) : content.length < storedBytes(entry),
      "of another length than it says",
      path,
    );
    law(sparse === undefined || storedBytes(entry) < size, "a sparse file without a hole", path);
    let end = -1;
    for (const piece of sparse ?? []) {
      law(piece.offset > end && piece.length > 0, "pieces out of order, or next to each other", path);
      end = piece.offset + piece.length;
      law(end <= size, "a piece behind the end", path);
    }
    checkXattrs(entry.xattrs, path);
    before = offset;
  }
}

export function storedBytes({ size, sparse }: Pick<TarEntry, "size" | "sparse">): number {
  return sparse === undefined ? size : sparse.reduce((sum, { length }) => sum + length, 0);
}

function checkNumbers({ path, mode, uid, gid, size, mtimeSec, mtimeNsec, major, minor }: TarEntry): void {
  for (const id of [uid, gid, major, minor]) law(id === id >>> 0, "an owner or a device is no 32-bit number", path);
  law(mode === (mode & 0o7777), "more than permissions in a mode", path);
  law(Number.isSafeInteger(size) && size >= 0, "a size that is none", path);
  law(Number.isSafeInteger(mtimeSec) && !Object.is(mtimeSec, -0), "a time that is none", path);
  law(Number.isInteger(mtimeNsec) && mtimeNsec >= 0 && mtimeNsec < 1e9, "nanoseconds that are none", path);
}

export function checkXattrs(xattrs: readonly Xattr[], path?: string): void {
  let before = "";
  for (const [name] of xattrs) {
    law(name > before && !name.includes("\0"), "an attribute's name is none, or there twice", path);
    law(name !== "security.selinux" && !/^(trusted|user)\.overlay\./.test(name), "an attribute that is kept out", path);
    before = name;
  }
}

/**
 * Two readers that disagree on where entries are would see two images behind one digest. This one counts in big numbers,
 * knows sizes and names of plain headers only, and therefore looks at archives without extension headers.
 */
export function checkPlain(tar: Buffer, { entries }: Read): void {
  const plain: unknown[] = [];
  for (let at = 0; at + BLOCK <= tar.length; ) {
    const header = tar.subarray(at, at + BLOCK);
    if (header.every((byte) => byte === 0)) break;
    const flag = String.fromCharCode(header[156] as number);
    if (flag !== "\0" && (flag < "0" || flag > "7")) return;
    const posix = header.toString("latin1", 257, 263) === "ustar\0";
    const star = header.toString("latin1", 508, 512) === "tar\0";
    if (!posix && header[345] !== 0) return;
    const prefix = posix ? textOf(header, 345, star ? 131 : 155) : "";
    const path = `${prefix}${prefix === "" ? "" : "/"}${textOf(header, 0, 100)}`;
    const isFile = flag === "7" || flag === "0" || (flag === "\0" && !path.endsWith("/"));
    const size = isFile ? numberOf(header, 124, 12) : 0n;
    const [offset, link] = [at + BLOCK, textOf(header, 157, 100)];
    const [mode, uid, gid, mtime] = [
      numberOf(header, 100, 8),
      numberOf(header, 108, 8),
      numberOf(header, 116, 8),
      numberOf(header, 136, 12),
    ];
    plain.push([path, link, offset, Number(size), Number(mode & 0o7777n), Number(uid), Number(gid), Number(mtime)]);
    at = offset + Number((size + 511n) / 512n) * BLOCK;
  }
  const read = entries.map(({ entry: { path, link, offset, size, mode, uid, gid, mtimeSec } }) => [
    path,
    link,
    offset,
    size,
    mode,
    uid,
    gid,
    mtimeSec,
  ]);
  deepEqual(read, plain, "not the entries that another reader sees");
}

function textOf(header: Buffer, offset: number, width: number): string {
  return header.toString("latin1", offset, offset + width).split("\0", 1)[0] as string;
}

function numberOf(header: Buffer, offset: number, width: number): bigint {
  const field = header.subarray(offset, offset + width);
  if (((field[0] as number) & 0x80) === 0) return BigInt(`0o${/[0-7]+/.exec(field.toString("latin1"))?.[0] ?? "0"}`);
  const bits = BigInt(8 * width - 1);
  return BigInt.asIntN(Number(bits), BigInt(`0x${field.toString("hex")}`));
}
