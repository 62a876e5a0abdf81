/**
 * Seeded archives of all that the builder can write, read by this reader and listed by GNU tar: the two agree on types,
 * modes, owners, sizes, times, names and targets.
 *
 * Left out is what they rightly disagree on (tar-extensions.ts), and fractions of a second before 1970, which GNU tar
 * reads correctly and prints wrongly.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { TarEntry as Read } from "../../../src/layers/tar-entries.ts";
import { run } from "../../support/peers.ts";
import { readTar } from "../../support/read-tar.ts";
import { base256, buildLayer, GNU_MAGIC, globalPax, type Sparse, type TarEntry } from "../../support/tar-builder.ts";
import { openTempDir } from "../../support/temp-dir.ts";

const ARCHIVES = 300;
const SEED = 20_260_101;

class Random {
  #state: number;
  constructor(seed: number) {
    this.#state = seed;
  }
  below(limit: number): number {
    this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((this.#state / 2 ** 32) * limit);
  }
  chance(oneIn: number): boolean {
    return this.below(oneIn) === 0;
  }
  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)] as T;
  }
}

const TYPES = ["file", "file", "file", "dir", "symlink", "hardlink", "char", "block", "fifo", "7"] as const;
const STYLES = ["pax", "gnu"] as const;
const SPARSE = ["gnu", "0.0", "0.1", "1.0"] as const;
const NUMBERS = [0, 1, 0o777, 1000, 65_534, 2_097_151, 2_097_152, 4_000_000_000] as const;
const TIMES = [0, 1, 1_700_000_000, 2 ** 33 - 1, 2 ** 33, 2 ** 35, -1, -100_000_000] as const;
const V7 = { magic: Buffer.alloc(6), version: Buffer.alloc(2) } as const;

function name(random: Random): Buffer {
  const length = random.chance(4) ? 90 + random.below(200) : 1 + random.below(20);
  // no slash: how names that end with one are listed depends on their type
  return Buffer.from(Array.from({ length }, () => random.pick([0x61, 0x62, 0x20, 0x2d, 0x5c, 0x0a, 0xc3, 0xa9, 0xff])));
}

function entry(random: Random): TarEntry {
  const type = random.pick(TYPES);
  const common: TarEntry = {
    name: Buffer.concat([Buffer.from("n"), name(random)]),
    type,
    longNames: random.pick(STYLES),
    mode: random.below(0o10000),
    uid: random.pick(NUMBERS),
    gid: random.pick(NUMBERS),
    mtime: random.pick(TIMES),
    ...((type === "symlink" || type === "hardlink") && { linkname: Buffer.concat([Buffer.from("t"), name(random)]) }),
    ...((type === "char" || type === "block") && { devmajor: random.below(4096), devminor: random.below(2 ** 20) }),
  };
  if (type !== "file" && type !== "7") return { ...common, ...extras(random) };
  if (type === "file" && random.chance(3)) return { ...common, ...sparse(random) };
  return { ...common, ...extras(random), content: "x".repeat(random.pick([0, 1, 511, 512, 513, 5000])) };
}

/** Other ways to say the same, and more of it. */
function extras(random: Random): Partial<TarEntry> {
  if (random.chance(4)) return { pax: { mtime: `${random.below(2 ** 31)}.${random.below(10 ** 9)}`, uid: "77" } };
  if (random.chance(4))
    return { pax: { path: Buffer.concat([Buffer.from("p"), name(random)]) }, longNames: "truncate" };
  if (random.chance(4)) return { raw: GNU_MAGIC };
  if (random.chance(6))
    return { raw: { ...GNU_MAGIC, uid: base256(random.below(2 ** 32), 8), mtime: base256(-7, 12) } };
  if (random.chance(6)) return { raw: { uid: "   123 \0", gid: "0000124 ", mtime: "  1234567 \0\0" } };
  if (random.chance(8)) return { raw: { ...V7, devmajor: "", devminor: "" } };
  return {};
}

function sparse(random: Random): Partial<TarEntry> {
  const pieces: [number, number][] = [];
  let end = 0;
  for (let count = random.pick([1, 3, 4, 5, 26]); count > 0; count -= 1) {
    const offset = end + 512 * random.below(20);
    const length = 512 * random.below(4);
    pieces.push([offset, length]);
    end = offset + length;
  }
  const spec: Sparse = { format: random.pick(SPARSE), pieces, sizeBytes: end + 512 * random.below(10) };
  return { sparse: spec, content: "s".repeat(pieces.reduce((sum, [, length]) => sum + length, 0)) };
}

function archive(random: Random): Buffer {
  const entries = Array.from({ length: 1 + random.below(12) }, () => entry(random));
  if (random.chance(5)) entries.splice(random.below(entries.length), 0, globalPax({ gid: String(random.below(1000)) }));
  return buildLayer(entries, Buffer.alloc(random.pick([0, 512, 1024, 10_240])));
}

const LETTERS: Readonly<Record<Read["type"], string>> = {
  file: "-",
  directory: "d",
  symlink: "l",
  hardlink: "h",
  character: "c",
  block: "b",
  fifo: "p",
};

/** As GNU tar lists it with --full-time --numeric-owner --quoting-style=escape, with one blank between fields. */
function listed(entry: Read, contiguous: boolean): string {
  const device = entry.type === "character" || entry.type === "block";
  const size = device ? `${entry.major},${entry.minor}` : String(entry.size);
  const target = entry.type === "symlink" ? ` -> ${escaped(entry.link)}` : "";
  const twin = entry.type === "hardlink" ? ` link to ${escaped(entry.link)}` : "";
  const letter = contiguous ? "C" : LETTERS[entry.type];
  const head = `${letter}${permissions(entry.mode)} ${entry.uid}/${entry.gid} ${size} ${time(entry)}`;
  return `${head} ${escaped(entry.path)}${target}${twin}`;
}

function permissions(mode: number): string {
  const three = (bits: number, special: number, letter: string): string => {
    const x = (bits & 1) !== 0;
    const last = (mode & special) === 0 ? (x ? "x" : "-") : x ? letter : letter.toUpperCase();
    return `${(bits & 4) === 0 ? "-" : "r"}${(bits & 2) === 0 ? "-" : "w"}${last}`;
  };
  return three(mode >> 6, 0o4000, "s") + three(mode >> 3, 0o2000, "s") + three(mode, 0o1000, "t");
}

function time({ mtimeSec, mtimeNsec }: Read): string {
  const text = new Date(mtimeSec * 1000).toISOString().slice(0, -5).replace("T", " ");
  return mtimeNsec === 0 ? text : `${text}.${String(mtimeNsec).padStart(9, "0").replace(/0+$/, "")}`;
}

function escaped(bytes: string): string {
  return bytes
    .replaceAll("\\", "\\\\")
    .replaceAll("\n", "\\n")
    .replace(/[\x80-\xff]/g, (byte) => `\\${byte.charCodeAt(0).toString(8)}`);
}

test(`this reader and GNU tar agree on ${ARCHIVES} archives`, async () => {
  await using temp = await openTempDir("tar-differential");
  const random = new Random(SEED);
  for (let count = 0; count < ARCHIVES; count += 1) {
    const tar = archive(random);
    const path = join(temp.path, "x.tar");
    await writeFile(path, tar);
    const args = ["--list", "--verbose", "--full-time", "--numeric-owner", "--quoting-style=escape", "-f", path];
    const { stdout } = await run("tar", args, { env: { LC_ALL: "C", TZ: "UTC" } });
    const theirs = stdout.split("\n").slice(0, -1).map(oneBlank);
    const ours = readTar(tar, 1 + random.below(5000)).map((each, at) => listed(each, theirs[at]?.[0] === "C"));
    expect(ours, `archive ${count}`).toEqual(theirs);
  }
});

/** The columns are padded; names are left as they are. */
function oneBlank(line: string): string {
  return line.replace(/^(\S+) (\S+) +(\S+) (\S+ \S+?) +(?=[np])/, "$1 $2 $3 $4 ");
}
