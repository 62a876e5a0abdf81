/**
 * The range on which attacks are tried: a place to unpack into, and beside it everything that an attack could be after.
 *
 * `attack` unpacks a layer and checks what must hold whatever comes of it: nothing outside the layer's own directory has
 * changed in any respect that the kernel records (change times tell of writes that were undone); a refused layer has no
 * index, and is refused in words that a terminal can print; of an accepted one the tree on disk is what its index says.
 */
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openTree, type Tree } from "../../../../native/index.ts";
import { AppError } from "../../../../src/errors.ts";
import { type Entry, parentPath } from "../../../../src/layers/entry.ts";
import { run } from "../../../support/peers.ts";
import type { TarEntry } from "../../../support/tar-builder.ts";
import { openUnpacker, type Unpacked, type Unpacker, type UnpackOptions } from "../../../support/unpack.ts";

export const IS_ROOT = process.getuid?.() === 0;

/** What can be tried here. The second is what a store without privileges does, whoever runs it. */
export const MODES: readonly (readonly [who: string, privileged: boolean])[] = IS_ROOT
  ? [
      ["root", true],
      ["an ordinary user", false],
    ]
  : [["an ordinary user", false]];

export interface Made extends Unpacked {
  readonly code: undefined;
  /** What the layer contains, a line an entry (see `describeEntry`), less what leads to OUTSIDE. */
  readonly lines: readonly string[];
}

export interface Refused {
  readonly code: AppError["code"];
  readonly error: AppError;
  /** What there is of the tree; whoever staged it throws it away. */
  readonly fsPath: string;
}

/** In names, link targets and PAX records: the absolute path of a directory that no layer may reach. */
export const OUTSIDE = "@OUTSIDE@";

/** Enough to climb out of any layer. */
export const UP = "../".repeat(40);

export interface Range extends AsyncDisposable {
  attack(layer: readonly TarEntry[] | Buffer, options?: UnpackOptions): Promise<Made | Refused>;
}

export async function openRange(): Promise<Range> {
  await using undo = new AsyncDisposableStack();
  const unpacker = undo.use(await openUnpacker());
  const outside = join(unpacker.path, "outside");
  await layOutCanaries(outside);
  const untouched = surroundings(unpacker.path);
  const opened = undo.move();
  return {
    async attack(layer, options = {}) {
      const outcome = await attempt(unpacker, outside, layer, options);
      expect(surroundings(unpacker.path)).toEqual(untouched);
      return outcome;
    },
    async [Symbol.asyncDispose]() {
      // deeper than the paths that Node can name
      using tree = openTree(unpacker.path);
      for (const name of tree.list(".")) tree.removeTree(name);
      await opened.disposeAsync();
    },
  };
}

async function attempt(
  unpacker: Unpacker,
  outside: string,
  layer: readonly TarEntry[] | Buffer,
  options: UnpackOptions,
): Promise<Made | Refused> {
  const input = Buffer.isBuffer(layer) ? layer : layer.map((entry) => aimed(entry, outside));
  try {
    const made = await unpacker.unpack(input, options);
    expect(readdirSync(dirname(made.fsPath)).sort()).toEqual(["fs", "index"]);
    using tree = openTree(made.fsPath);
    const entries = [...made.entries.values()];
    expect(onDisk(tree)).toEqual(expectedOnDisk(made.entries, options.privileged ?? IS_ROOT));
    const lines = entries.flatMap((entry) => describeEntry(entry, tree, outside.slice(1)));
    return { ...made, code: undefined, lines };
  } catch (error) {
    // anything else is a bug, of the test or of what it tests
    if (!(error instanceof AppError)) throw error;
    const count = readdirSync(unpacker.path).filter((name) => /^layer-[0-9]+$/.test(name)).length;
    const layerPath = join(unpacker.path, `layer-${count}`);
    expect(existsSync(join(layerPath, "index"))).toBe(false);
    expect(error.message).toMatch(/^Cannot unpack (?:a layer|layer sha256:[0-9a-f]{64}): /);
    expect(`${error.message}${error.hint ?? ""}${JSON.stringify(error.details)}`).not.toMatch(/\p{Cc}/u);
    return { code: error.code, error, fsPath: join(layerPath, "fs") };
  }
}

function aimed(entry: TarEntry, outside: string): TarEntry {
  const aim = <T>(value: T): T =>
    typeof value === "string" ? (value.replaceAll(OUTSIDE, outside) as T & string) : value;
  return {
    ...entry,
    name: aim(entry.name),
    ...(entry.linkname !== undefined && { linkname: aim(entry.linkname) }),
    ...(entry.pax !== undefined && {
      pax: Object.fromEntries(Object.entries(entry.pax).map(([key, value]) => [key, aim(value)])),
    }),
  };
}

async function layOutCanaries(outside: string): Promise<void> {
  mkdirSync(join(outside, "directory"));
  writeFileSync(join(outside, "directory/inner"), "inner");
  linkSync(join(outside, "secret"), join(outside, "second-name"));
  symlinkSync("secret", join(outside, "link"));
  await run("mkfifo", [join(outside, "fifo")]);
  chmodSync(join(outside, "secret"), 0o640);
  if (IS_ROOT) chownSync(join(outside, "secret"), 12, 34);
  utimesSync(join(outside, "secret"), 1_000_000, 1_000_000);
  lutimesSync(join(outside, "link"), 2_000_000, 2_000_000);
  utimesSync(join(outside, "directory"), 3_000_000, 3_000_000);
}

/** All that there is beside the layers, with everything that the kernel keeps of it. */
function surroundings(path: string): readonly string[] {
  expect(readdirSync(path).filter((name) => !/^layer-[0-9]+(?:\.tar)?$/.test(name))).toEqual(["outside"]);
  return walk(join(path, "outside")).map((place) => {
    const { ino, mode, uid, gid, nlink, rdev, size, mtimeNs, ctimeNs } = lstatSync(place, { bigint: true });
    const content = (mode & 0o170000n) === 0o100000n ? readFileSync(place, "latin1") : "";
    return [place, ino, mode.toString(8), uid, gid, nlink, rdev, size, mtimeNs, ctimeNs, content].join(" ");
  });
}

function walk(path: string): string[] {
  if (!lstatSync(path).isDirectory()) return [path];
  const names = readdirSync(path).sort();
  return [path, ...names.flatMap((name) => walk(join(path, name)))];
}

/** Types and paths below the root of a tree, sorted. */
function onDisk(tree: Tree, path = ""): string[] {
  return tree
    .list(path || ".")
    .flatMap((name) => {
      const place = path === "" ? name : `${path}/${name}`;
      const type = tree.lstat(place)?.type;
      return [`${type} ${place}`, ...(type === "directory" ? onDisk(tree, place) : [])];
    })
    .sort();
}

/** What the index says must be on disk: an ordinary user has files for devices, and nobody whiteouts below opaque marks. */
function expectedOnDisk(entries: ReadonlyMap<string, Entry>, privileged: boolean): string[] {
  const typeOf = ({ type, path, link }: Entry): string | undefined => {
    if (path === "") return undefined;
    if (type === "hardlink") return typeOf(entries.get(link) as Entry);
    // a link to a lower layer hides what was under its name there; the file itself lies in the fix-up
    if (type === "whiteout" || type === "lower-hardlink")
      return entries.get(parentPath(path))?.opaque ? undefined : "character";
    return !privileged && (type === "character" || type === "block") ? "file" : type;
  };
  return [...entries.values()]
    .flatMap((entry) => {
      const type = typeOf(entry);
      return type === undefined ? [] : [`${type} ${entry.path}`];
    })
    .sort();
}

/**
 * `d/` a directory (`d/!` opaque), `f=content` a file, `l->target` a symlink, `h=>f` a hard link, `h=>>f` one to a file of
 * a lower layer, `p|` a FIFO, `c(1,3)` and `b[8,0]` devices, `-w` a whiteout.
 */
function describeEntry(entry: Entry, tree: Tree, outside: string): string[] {
  const { type, link, major, minor, opaque, size } = entry;
  if (entry.implied && !opaque && (entry.path === outside || outside.startsWith(`${entry.path}/`))) return [];
  const path = entry.path.replaceAll(outside, "OUTSIDE");
  const target = link.replaceAll(outside, "OUTSIDE");
  if (path === "") return opaque ? ["!"] : [];
  if (type === "directory") return [opaque ? `${path}/!` : `${path}/`];
  if (type === "symlink") return [`${path}->${target}`];
  if (type === "hardlink") return [`${path}=>${target}`];
  if (type === "lower-hardlink") return [`${path}=>>${target}`];
  if (type === "fifo") return [`${path}|`];
  if (type === "character") return [`${path}(${major},${minor})`];
  if (type === "block") return [`${path}[${major},${minor}]`];
  if (type === "whiteout") return [`-${path}`];
  return [size > 100 ? `${path}=${size} bytes` : `${path}=${tree.readFile(entry.path, size).toString("latin1")}`];
}

/** `expected`: the code of an error, or what the layer contains. */
export type Case = readonly [what: string, layer: readonly TarEntry[], expected: AppError["code"] | readonly string[]];

export function expectOutcome(outcome: Made | Refused, expected: AppError["code"] | readonly string[]): void {
  if (outcome.code !== undefined) expect(outcome.code, outcome.error.message).toEqual(expected);
  else expect(outcome.lines.toSorted()).toEqual(typeof expected === "string" ? expected : expected.toSorted());
}

/** One test a case and mode, titled "TITLE WHAT (as WHO)". */
export function testAttacks(title: string, cases: readonly Case[], modes = MODES): void {
  describe.each(modes)(`${title} (as %s)`, (_who, privileged) => {
    const range = useRange();
    test.each(cases)("%s", async (_what, layer, expected) => {
      expectOutcome(await range().attack(layer, { privileged }), expected);
    });
  });
}

/** A range for all the tests of a `describe`. */
export function useRange(): () => Range {
  let range: Range | undefined;
  beforeAll(async () => {
    range = await openRange();
  });
  afterAll(() => range?.[Symbol.asyncDispose]());
  return () => range as Range;
}

export const file = (name: TarEntry["name"], content = "inside", more: Partial<TarEntry> = {}): TarEntry => ({
  name,
  content,
  ...more,
});
export const dir = (name: TarEntry["name"], more: Partial<TarEntry> = {}): TarEntry => ({ name, type: "dir", ...more });
export const symlink = (name: TarEntry["name"], linkname: string): TarEntry => ({ name, type: "symlink", linkname });
export const hardlink = (name: TarEntry["name"], linkname: string): TarEntry => ({ name, type: "hardlink", linkname });
