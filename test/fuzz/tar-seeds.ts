/** Archives to begin with: every kind of entry and header, one small tar each; and what other programs wrote. */
import {
  type TarEntry as Built,
  base256,
  buildLayer,
  encodePax,
  GNU_MAGIC,
  globalPax,
} from "../support/tar-builder.ts";
import type { Seed } from "./engine.ts";
import { keptSeeds } from "./seeds.ts";
import { mend } from "./tar-blocks.ts";

const V7 = { magic: Buffer.alloc(6), version: Buffer.alloc(2) };
const LONG = `${"d".repeat(90)}/${"n".repeat(90)}`;
const PIECES = "0,512,2048,512";

const BUILT: Readonly<Record<string, readonly Built[]>> = {
  "every type": [
    { name: "d/", type: "dir" },
    { name: "d/f", content: "x".repeat(700), mode: 0o4755, uid: 12 },
    { name: "s", type: "symlink", linkname: "d/f" },
    { name: "h", type: "hardlink", linkname: "d/f" },
    { name: "c", type: "char", devmajor: 1, devminor: 3 },
    { name: "b", type: "block", devmajor: 8, devminor: 1 },
    { name: "p", type: "fifo" },
    { name: "contiguous", type: "7", content: "y" },
  ],
  whiteouts: [{ name: ".wh.a" }, { name: "d/.wh..wh..opq" }, { name: "d/a", content: "x" }],
  "PAX records": [
    { name: "a", content: "x", pax: { mtime: "-1350244992.023960108", uid: "4000000000", path: "other", size: "1" } },
    { name: "b", xattrs: { "user.a": Buffer.from([0, 255, 10]), "security.capability": Buffer.alloc(20, 1) } },
    { name: "c", pax: { "LIBARCHIVE.xattr.user.b": "YWJj", "SCHILY.acl.access": "user::rw-,group::r--,other::r--" } },
  ],
  "PAX names": [{ name: LONG, type: "symlink", linkname: LONG }],
  "GNU names": [{ name: LONG, type: "hardlink", linkname: LONG, longNames: "gnu" }],
  prefix: [{ name: LONG, longNames: "prefix", content: "x" }],
  globals: [globalPax({ uid: "77", "SCHILY.xattr.user.g": "1" }), { name: "a" }, globalPax({ uid: "" }), { name: "b" }],
  "V7 headers": [
    { name: "d/", raw: { ...V7, typeflag: "\0" } },
    { name: "d/f", content: "x", raw: { ...V7, typeflag: "\0" } },
  ],
  "base-256 numbers": [
    { name: "a", content: "x", raw: { ...GNU_MAGIC, uid: base256(3_000_000, 8), mtime: base256(-5, 12) } },
  ],
  "a dump directory": [{ name: "d/", type: "D", content: "Yfile\0\0", raw: GNU_MAGIC }, { name: "d/file" }],
  "an old GNU sparse file": [
    { name: "s", type: "S", content: "x".repeat(512), raw: { ...GNU_MAGIC, prefix: oldMap([[1024, 512]], 4096) } },
  ],
  "PAX 0.0": [
    {
      name: "PaxHeaders/s",
      type: "x",
      content: Buffer.concat([
        encodePax({ "GNU.sparse.size": "4096", "GNU.sparse.numblocks": "1" }),
        encodePax({ "GNU.sparse.offset": "1024", "GNU.sparse.numbytes": "512" }),
      ]),
    },
    { name: "s", content: "x".repeat(512) },
  ],
  "PAX 0.1": [
    {
      name: "made-up",
      content: "x".repeat(1024),
      pax: {
        "GNU.sparse.name": "s",
        "GNU.sparse.size": "4096",
        "GNU.sparse.numblocks": "2",
        "GNU.sparse.map": PIECES,
      },
    },
  ],
  "PAX 1.0": [
    {
      name: "made-up",
      content: Buffer.concat([Buffer.from("1\n1024\n512\n".padEnd(512, "\0")), Buffer.alloc(512, "x")]),
      pax: { "GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "s", "GNU.sparse.realsize": "4096" },
    },
  ],
};

/** A header as star wrote it: a prefix of 131 bytes at most, then two times, and "tar" at its end. */
function starHeader(): Buffer {
  const raw = { prefix: `${"p".repeat(131)}${"14524770400 ".repeat(2)}` };
  const tar = buildLayer([{ name: "name", content: "x", raw }]);
  tar.write("tar\0", 508, "latin1");
  mend(tar, 0);
  return tar;
}

/** The end of an old GNU header from 345 on, as long as ustar's prefix: times, four pieces of the map, no more, the size. */
function oldMap(pieces: readonly (readonly [offset: number, length: number])[], size: number): Buffer {
  const octal = (value: number): string => `${value.toString(8).padStart(11, "0")}\0`;
  const map = pieces.map(([offset, length]) => octal(offset) + octal(length)).join("");
  return Buffer.from(`${"\0".repeat(41)}${map.padEnd(96, "\0")}\0${octal(size)}`, "latin1");
}

export function tarSeeds(): Seed[] {
  const built = Object.entries(BUILT).map(([name, entries]) => ({ name, bytes: buildLayer(entries) }));
  return [...built, { name: "star", bytes: starHeader() }, ...keptSeeds("tar")];
}
