/**
 * One tar entry, byte by byte: ustar header, PAX and GNU extensions, contents, padding. Every header field may be
 * replaced by raw bytes, so that tests can write what no sane program would.
 *
 * Nothing is corrected on the way: a directory's name gets no slash, a declared size need not be the contents' size.
 */

export type TarType = "file" | "hardlink" | "symlink" | "char" | "block" | "dir" | "fifo";

const TYPE_FLAGS: Readonly<Record<TarType, string>> = {
  file: "0",
  hardlink: "1",
  symlink: "2",
  char: "3",
  block: "4",
  dir: "5",
  fifo: "6",
};

/** Offset and width of each ustar field, in bytes. */
const FIELDS = {
  name: [0, 100],
  mode: [100, 8],
  uid: [108, 8],
  gid: [116, 8],
  size: [124, 12],
  mtime: [136, 12],
  chksum: [148, 8],
  typeflag: [156, 1],
  linkname: [157, 100],
  magic: [257, 6],
  version: [263, 2],
  uname: [265, 32],
  gname: [297, 32],
  devmajor: [329, 8],
  devminor: [337, 8],
  prefix: [345, 155],
  sparse: [386, 96],
  isextended: [482, 1],
  realsize: [483, 12],
} as const;

export type TarField = keyof typeof FIELDS;
/** Text stands for its UTF-8 bytes; other bytes are given as a Buffer. */
export type Bytes = string | Uint8Array;

export interface TarEntry {
  readonly name: Bytes;
  /** A type of this table, or any other type flag as one character. Default: "file". */
  readonly type?: TarType | (string & {});
  /** Default: 0644; 0755 for a directory, 0777 for a symlink. */
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  /** Whole seconds; fractions go into `pax: { mtime: "1.5" }`. Default: `DEFAULT_MTIME`. */
  readonly mtime?: number;
  readonly linkname?: Bytes;
  readonly content?: Bytes;
  /** The size that the header declares. Default: that of the contents. */
  readonly size?: number;
  readonly uname?: string;
  readonly gname?: string;
  readonly devmajor?: number;
  readonly devminor?: number;
  /** Records of a PAX header written in front of the entry. */
  readonly pax?: Readonly<Record<string, Bytes>>;
  /** Shorthand for PAX records SCHILY.xattr.<name>. */
  readonly xattrs?: Readonly<Record<string, Bytes>>;
  /** How a name or link target above 100 bytes is written. Default: "pax". */
  readonly longNames?: "pax" | "gnu" | "prefix" | "truncate";
  /** Stores the file without its holes: `content` is the pieces, one behind the other. */
  readonly sparse?: Sparse;
  /** Header fields to replace, after everything else but before the checksum (unless `chksum` is one of them). */
  readonly raw?: Partial<Readonly<Record<TarField, Bytes>>>;
}

export interface Sparse {
  /** GNU's own format, or GNU tar's three in PAX headers. */
  readonly format: "gnu" | "0.0" | "0.1" | "1.0";
  readonly pieces: readonly (readonly [offset: number, length: number])[];
  /** Of the file with its holes. */
  readonly sizeBytes: number;
}

/** 2023-11-14T22:13:20Z: any fixed moment does. */
export const DEFAULT_MTIME = 1_700_000_000;

/** All blocks of one entry, extension headers first. */
export function encodeEntry(entry: TarEntry): Buffer {
  if (entry.sparse !== undefined) return encodeSparse({ ...entry, sparse: entry.sparse });
  const content = toBuffer(entry.content ?? "");
  return Buffer.concat([...extensions(entry), encodeHeader(entry, entry.size ?? content.length), padded(content)]);
}

/** A global PAX header ("g"): its records hold for every entry that follows. */
export function globalPax(records: Readonly<Record<string, Bytes>>): TarEntry {
  return { name: "pax_global_header", type: "g", mode: 0o666, content: encodePax(records) };
}

/** `value` as GNU tar writes numbers that octal digits cannot hold: big-endian two's complement, marked by the top bit. */
export function base256(value: bigint | number, width: number): Buffer {
  const field = Buffer.alloc(width);
  let rest = BigInt.asUintN(width * 8, BigInt(value));
  for (let at = width - 1; at >= 0; at -= 1) {
    field[at] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  field[0] = value < 0 ? 0xff : (field[0] ?? 0) | 0x80;
  return field;
}

/** PAX records: "<length> <key>=<value>\n", where the length counts its own digits. */
export function encodePax(records: Readonly<Record<string, Bytes>>): Buffer {
  return Buffer.concat(
    Object.entries(records).map(([key, value]) => {
      const body = Buffer.concat([Buffer.from(` ${key}=`), toBuffer(value), Buffer.from("\n")]);
      let length = body.length + 1;
      while (String(length).length + body.length !== length) length = String(length).length + body.length;
      return Buffer.concat([Buffer.from(String(length)), body]);
    }),
  );
}

function encodeSparse({ sparse, ...entry }: TarEntry & { readonly sparse: Sparse }): Buffer {
  const { format, pieces, sizeBytes } = sparse;
  if (format === "gnu") return encodeGnuSparse(entry, pieces, sizeBytes);
  const { name, ...rest } = entry;
  const stored = toBuffer(entry.content ?? "");
  const numbers = pieces.flat().map(String);
  const count = String(pieces.length);
  const hidden = { ...rest, name: "GNUSparseFile.0/stored" };
  if (format === "1.0") {
    const version = { "GNU.sparse.major": "1", "GNU.sparse.minor": "0" };
    const pax = { ...version, "GNU.sparse.name": name, "GNU.sparse.realsize": String(sizeBytes), ...entry.pax };
    const map = padded(Buffer.from(`${[count, ...numbers].join("\n")}\n`));
    return encodeEntry({ ...hidden, content: Buffer.concat([map, stored]), pax });
  }
  const records = { "GNU.sparse.size": String(sizeBytes), "GNU.sparse.numblocks": count };
  if (format === "0.1") {
    const map = { "GNU.sparse.name": name, "GNU.sparse.map": numbers.join(",") };
    return encodeEntry({ ...hidden, pax: { ...records, ...map, ...entry.pax } });
  }
  // keys that are there again and again, in an order that means something
  const each = pieces.map(([offset, length]) =>
    encodePax({ "GNU.sparse.offset": String(offset), "GNU.sparse.numbytes": String(length) }),
  );
  const { pax, xattrs = {}, ...plain } = entry;
  const attributes = Object.entries(xattrs).map(([key, value]) => encodePax({ [`SCHILY.xattr.${key}`]: value }));
  const content = Buffer.concat([encodePax({ ...records, ...pax }), ...attributes, ...each]);
  return Buffer.concat([
    encodeEntry({ name: "PaxHeaders/entry", type: "x", content }),
    encodeEntry({ longNames: "gnu", ...plain }),
  ]);
}

function encodeGnuSparse(entry: TarEntry, pieces: Sparse["pieces"], sizeBytes: number): Buffer {
  const slots = pieces.map((piece) => Buffer.concat(piece.map((value) => toBuffer(numeric(value, 12)))));
  const more: Buffer[] = [];
  for (let at = 4; at < slots.length; at += 21) {
    const block = Buffer.alloc(512);
    Buffer.concat(slots.slice(at, at + 21)).copy(block);
    block[504] = at + 21 < slots.length ? 1 : 0;
    more.push(block);
  }
  const raw = {
    ...GNU_MAGIC,
    sparse: Buffer.concat(slots.slice(0, 4)),
    isextended: Buffer.from([more.length > 0 ? 1 : 0]),
    realsize: numeric(sizeBytes, 12),
    ...entry.raw,
  };
  const { content = "", ...header } = entry;
  const stored = toBuffer(content);
  const size = entry.size ?? stored.length;
  return Buffer.concat([encodeEntry({ ...header, type: "S", size, raw }), ...more, padded(stored)]);
}

function extensions(entry: TarEntry): Buffer[] {
  const records: Record<string, Bytes> = {};
  const blocks: Buffer[] = [];
  const style = entry.longNames ?? "pax";
  for (const [field, key, gnuFlag] of [
    ["name", "path", "L"],
    ["linkname", "linkpath", "K"],
  ] as const) {
    const value = toBuffer(entry[field] ?? "");
    if (value.length <= FIELDS[field][1]) continue;
    if (style === "pax") records[key] = value;
    if (style === "gnu") {
      const content = Buffer.concat([value, Buffer.alloc(1)]);
      blocks.push(encodeEntry({ name: "././@LongLink", type: gnuFlag, mtime: 0, content, raw: GNU_MAGIC }));
    }
  }
  for (const [name, value] of Object.entries(entry.xattrs ?? {})) records[`SCHILY.xattr.${name}`] = value;
  Object.assign(records, entry.pax);
  if (Object.keys(records).length > 0) {
    blocks.push(encodeEntry({ name: "PaxHeaders/entry", type: "x", content: encodePax(records) }));
  }
  return blocks;
}

/** Replaces magic and version by those of old GNU tar ("ustar  \0"). */
export const GNU_MAGIC = { magic: "ustar ", version: " \0" } as const;

function encodeHeader(entry: TarEntry, size: number): Buffer {
  const header = Buffer.alloc(512);
  const put = (field: TarField, value: Bytes) => {
    const [offset, width] = FIELDS[field];
    header.fill(0, offset, offset + width);
    toBuffer(value).copy(header, offset, 0, width);
  };
  const number = (field: TarField, value: number) => put(field, numeric(value, FIELDS[field][1]));

  const type = entry.type ?? "file";
  const [prefix, name] = entry.longNames === "prefix" ? splitName(toBuffer(entry.name)) : ["", entry.name];
  put("name", name);
  put("prefix", prefix);
  number("mode", entry.mode ?? (type === "dir" ? 0o755 : type === "symlink" ? 0o777 : 0o644));
  number("uid", entry.uid ?? 0);
  number("gid", entry.gid ?? 0);
  number("size", size);
  number("mtime", entry.mtime ?? DEFAULT_MTIME);
  put("typeflag", TYPE_FLAGS[type as TarType] ?? type);
  put("linkname", entry.linkname ?? "");
  put("magic", "ustar\0");
  put("version", "00");
  put("uname", entry.uname ?? "");
  put("gname", entry.gname ?? "");
  number("devmajor", entry.devmajor ?? 0);
  number("devminor", entry.devminor ?? 0);
  for (const [field, value] of Object.entries(entry.raw ?? {})) put(field as TarField, value);
  if (entry.raw?.chksum === undefined) put("chksum", checksum(header));
  return header;
}

function numeric(value: number, width: number): Bytes {
  const digits = value.toString(8);
  return value < 0 || digits.length > width - 1 ? base256(value, width) : `${digits.padStart(width - 1, "0")}\0`;
}

/** Sum of all bytes, the checksum field itself counted as blanks. */
function checksum(header: Buffer): string {
  const [offset, width] = FIELDS.chksum;
  let sum = 32 * width;
  for (const [at, byte] of header.entries()) if (at < offset || at >= offset + width) sum += byte;
  return `${sum.toString(8).padStart(6, "0")}\0 `;
}

/** Splits at the last slash that leaves at most 100 bytes behind it. */
function splitName(name: Buffer): [Buffer, Buffer] {
  const cut = name.indexOf("/", Math.max(0, name.length - 101));
  if (name.length <= 100) return [Buffer.alloc(0), name];
  if (cut < 0 || cut > 155) throw new Error("This name cannot be split into ustar's prefix and name");
  return [name.subarray(0, cut), name.subarray(cut + 1)];
}

function padded(content: Buffer): Buffer {
  return Buffer.concat([content, Buffer.alloc((512 - (content.length % 512)) % 512)]);
}

export function toBuffer(value: Bytes): Buffer {
  return typeof value === "string"
    ? Buffer.from(value, "utf8")
    : Buffer.from(value.buffer, value.byteOffset, value.length);
}
