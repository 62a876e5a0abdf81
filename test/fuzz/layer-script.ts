/**
 * Stacks of layers as text, a line an entry, so that kept seeds can be read and mutants are mostly sensible:
 *
 *   d etc                 f file, F a large one, S one with holes, d directory, p FIFO,
 *   s etc/l -> ../x       c device 1:3, b block device 8:1, w device 0:0,
 *   h b -> etc/l          s symlink, h hard link
 *   ---                   ends a layer
 *
 * Characters stand for bytes; \0, \n and \xNN for those that a line cannot show. Lines that are none of these mean nothing.
 */
import type { Metadata } from "../../src/layers/entry.ts";
import type { TarEntry, TarType } from "../../src/layers/tar-entries.ts";
import { joined } from "./mutate-bytes.ts";
import type { Random } from "./random.ts";

const TYPES: Readonly<Record<string, readonly [type: TarType, size: number, major: number, minor: number]>> = {
  f: ["file", 3, 0, 0],
  F: ["file", 2 ** 20 + 1, 0, 0],
  S: ["file", 5000, 0, 0],
  d: ["directory", 0, 0, 0],
  p: ["fifo", 0, 0, 0],
  c: ["character", 0, 1, 3],
  b: ["block", 0, 8, 1],
  w: ["character", 0, 0, 0],
  s: ["symlink", 0, 0, 0],
  h: ["hardlink", 0, 0, 0],
};

const COMMON = Array.from("ffffFSddddsssshhhhpcbw");
const NAMES = ["a", "b", "c", "d", "a", "b", "c", ".wh.a", ".wh.b", ".wh.c", ".wh..wh..opq", "ab", "ab"];
const STRANGE = [
  "..",
  ".",
  "",
  ".wh.",
  ".wh..",
  ".wh...",
  ".wh..wh.plnk",
  ".wh..wh.",
  ".wh..wh..opq",
  "a.wh.b",
  "A",
  "\\xff",
  "\\xc3\\xa9",
  "e\\xcc\\x81",
  "\\0",
  "a\\0b",
  "\\n",
  " -> ",
  "n".repeat(255),
  "n".repeat(256),
  "__proto__",
  "constructor",
];

const PIECES = [
  { offset: 512, length: 700 },
  { offset: 4000, length: 324 },
];

/** How much of a file's content is written: to write all of a large one would take as long as a hundred other entries. */
export function writtenBytes({ size }: Metadata): number {
  return Math.min(size, 1024);
}

/** The layers of a script, base first, as the tar reader would give them. */
export function readScript(script: Buffer): TarEntry[][] {
  const layers: TarEntry[][] = [[]];
  for (const line of script.toString("latin1").split("\n")) {
    if (line === "---") layers.push([]);
    const entry = readLine(line, (layers.at(-1) as TarEntry[]).length);
    if (entry !== undefined) layers.at(-1)?.push(entry);
  }
  return layers;
}

function readLine(line: string, at: number): TarEntry | undefined {
  const kind = TYPES[line.slice(0, 1)];
  if (kind === undefined || line[1] !== " ") return undefined;
  const [type, size, major, minor] = kind;
  const arrow = type === "symlink" || type === "hardlink" ? line.lastIndexOf(" -> ") : -1;
  const path = decode(arrow < 0 ? line.slice(2) : line.slice(2, arrow));
  const link = arrow < 0 ? "" : decode(line.slice(arrow + 4));
  const times = { mtimeSec: 1000 + at, mtimeNsec: 0 };
  const sparse = line[0] === "S" ? { sparse: PIECES } : {};
  const owner = { mode: 0o640 + at, uid: at, gid: 0 };
  return { path, type, ...owner, size, ...times, link, major, minor, xattrs: [], offset: 512, ...sparse };
}

function decode(text: string): string {
  return text.replace(/\\(0|n|x([0-9a-f]{2}))/g, (_, what: string, hex?: string) =>
    what === "0" ? "\0" : what === "n" ? "\n" : String.fromCharCode(Number.parseInt(hex as string, 16)),
  );
}

/** Lines are added, left out, said twice, moved, changed in a name, or taken from another script. */
export function mutateScript(input: Buffer, other: Buffer, random: Random): Buffer {
  const lines = input.toString("latin1").split("\n");
  const at = random.below(lines.length);
  const choice = random.below(8);
  if (choice <= 1) lines.splice(at, 0, randomLine(random));
  else if (choice === 2) lines.splice(at, 1 + random.below(3));
  else if (choice === 3) lines.splice(random.below(lines.length), 0, lines[at] as string);
  else if (choice === 4) lines.splice(random.below(lines.length), 0, ...lines.splice(at, 1));
  else if (choice === 5) lines[at] = changeName(lines[at] as string, random);
  else if (choice === 6) lines[at] = random.pick(COMMON) + (lines[at] as string).slice(1);
  else {
    const others = other.toString("latin1").split("\n");
    lines.splice(at, 0, ...others.slice(random.below(others.length)).slice(0, 6));
  }
  return joined(Buffer.from(lines.slice(0, 60).join("\n"), "latin1"));
}

function randomLine(random: Random): string {
  if (random.oneIn(8)) return "---";
  const kind = random.pick(COMMON);
  const line = `${kind} ${randomPath(random)}`;
  return kind === "s" || kind === "h" ? `${line} -> ${randomPath(random)}` : line;
}

function randomPath(random: Random): string {
  const names = Array.from({ length: 1 + random.below(4) }, () => randomName(random));
  if (random.oneIn(200)) return names.join("/").padEnd(4090 + random.below(10), "/long");
  return `${random.pick(["", "", "", "", "", "", "/", "./"])}${names.join("/")}${random.oneIn(8) ? "/" : ""}`;
}

function randomName(random: Random): string {
  return random.pick(random.oneIn(15) ? STRANGE : NAMES);
}

function changeName(line: string, random: Random): string {
  const parts = line.slice(2).split("/");
  parts[random.below(parts.length)] = randomName(random);
  return `${line.slice(0, 2)}${parts.join("/")}`;
}
