/**
 * Extension headers: what they say, until the entry comes that it is said of. Where GNU tar and Go's archive/tar disagree,
 * this follows archive/tar: every other tool for images is written with it, and one image must be one tree.
 *
 *  - Of two PAX headers in front of one entry, the second counts, all of it.
 *  - A GNU long name goes before a PAX path, and the name of a PAX sparse file before both.
 *  - Global records hold from there on, for entries that do not say otherwise (archive/tar ignores them; POSIX does not).
 */
import { AppError } from "../errors.ts";
import type { Xattr } from "./entry.ts";
import {
  decodePax,
  isXattrRecord,
  type PaxRecords,
  paxXattrs,
  readXattr,
  selectXattrs,
  type ToldXattr,
} from "./pax.ts";
import { MAX_EXTENSION, MAX_GLOBALS, tooManyGlobals } from "./tar-limits.ts";
import type { Extension, TarType } from "./tar-types.ts";

const NO_RECORDS: PaxRecords = new Map();

export class Extensions {
  readonly #globals = new Map<string, string>();
  readonly #globalXattrs = new GlobalXattrs();
  /** Bytes of each global record. */
  readonly #globalSizes = new Map<string, number>();
  #globalBytes = 0;
  #next: Overrides;

  constructor() {
    this.#next = new Overrides(this.#globals, this.#globalXattrs);
  }

  /** Throws `layer-invalid` for records that are none, `layer-too-large` for more than memory is there for. */
  add(extension: Extension, bytes: Uint8Array): void {
    if (extension === "global") {
      for (const [key, value] of decodePax(bytes)) this.#addGlobal(key, value);
      return;
    }
    const next = this.#next;
    next.pending = true;
    if (extension === "pax") next.records = decodePax(bytes);
    else if (extension === "long-name") next.longName = textOf(bytes);
    else next.longLink = textOf(bytes);
  }

  /** All that is said of the entry whose header has come; the next one starts anew. */
  take(): Overrides {
    const taken = this.#next;
    if (taken.pending) this.#next = new Overrides(this.#globals, this.#globalXattrs);
    return taken;
  }

  /** Throws `layer-invalid` at the end of an archive when something is said of an entry that does not come. */
  finish(): void {
    if (!this.#next.pending) return;
    throw new AppError(
      "layer-invalid",
      "Cannot unpack a layer: the tar archive ends with an extension header of no entry",
    );
  }

  #addGlobal(key: string, value: string): void {
    // where the pieces of a file are is a matter of that file
    if (key.startsWith("GNU.sparse.")) return;
    const sizeBytes = key.length + value.length;
    this.#globalBytes += sizeBytes - (this.#globalSizes.get(key) ?? 0);
    this.#globalSizes.set(key, sizeBytes);
    if (this.#globalSizes.size > MAX_GLOBALS || this.#globalBytes > MAX_EXTENSION) throw tooManyGlobals();
    if (isXattrRecord(key)) this.#globalXattrs.set(key, value);
    else this.#globals.set(key, value);
  }
}

/**
 * Extended attributes that global headers give to every entry. A thousand of them before a million entries must cost what
 * they are, and not a million times that: a record is decoded once, and entries of one type have one and the same array.
 */
class GlobalXattrs {
  readonly #told = new Map<string, ToldXattr>();
  readonly #byType = new Map<TarType, readonly Xattr[]>();

  get isEmpty(): boolean {
    return this.#told.size === 0;
  }

  set(key: string, value: string): void {
    const told = readXattr(key, value);
    if (told === undefined) return;
    this.#told.set(key, told);
    this.#byType.clear();
  }

  of(type: TarType): readonly Xattr[] {
    const known = this.#byType.get(type);
    if (known !== undefined) return known;
    const xattrs = selectXattrs(this.#told.values(), type);
    this.#byType.set(type, xattrs);
    return xattrs;
  }
}

/** What extension headers say of one entry. */
export class Overrides {
  pending = false;
  records: PaxRecords = NO_RECORDS;
  longName = "";
  longLink = "";
  readonly #globals: PaxRecords;
  readonly #globalXattrs: GlobalXattrs;

  constructor(globals: PaxRecords, globalXattrs: GlobalXattrs) {
    this.#globals = globals;
    this.#globalXattrs = globalXattrs;
  }

  /** The value of a record; undefined when the entry's header says it. */
  get(key: string): string | undefined {
    return (this.records.get(key) ?? this.#globals.get(key)) || undefined;
  }

  /** Throws `layer-invalid` and `layer-too-large`. */
  xattrs(type: TarType): readonly Xattr[] {
    return paxXattrs(this.records, type, this.#globalXattrs.of(type));
  }

  /** Whether there is nothing that could say anything. */
  get isEmpty(): boolean {
    return !this.pending && this.#globals.size === 0 && this.#globalXattrs.isEmpty;
  }
}

/** GNU tar ends it with a NUL. */
function textOf(bytes: Uint8Array): string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = buffer.indexOf(0);
  return buffer.toString("latin1", 0, end < 0 ? buffer.length : end);
}
