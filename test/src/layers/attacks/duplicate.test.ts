/** One name twice, with every pair of types: the later entry counts, nothing is written through the earlier one. */
import type { TarEntry } from "../../../support/tar-builder.ts";
import { type Case, dir, file, hardlink, OUTSIDE, symlink, testAttacks } from "./fixtures.ts";

/** Ways to make `x`, and what there is of it when it is alone. */
const KINDS: readonly (readonly [kind: string, entries: readonly TarEntry[], lines: readonly string[]])[] = [
  ["a file", [file("x", "file")], ["x=file"]],
  ["a large file", [file("x", "x".repeat(2_000_000))], ["x=2000000 bytes"]],
  ["a directory", [dir("x/")], ["x/"]],
  ["a full directory", [dir("x/"), file("x/y")], ["x/", "x/y=inside"]],
  ["an implied directory", [file("x/z")], ["x/", "x/z=inside"]],
  ["a symlink outside", [symlink("x", `${OUTSIDE}/secret`)], ["x->/OUTSIDE/secret"]],
  ["a hard link", [hardlink("x", "t")], ["x=>t"]],
  ["a hard link to lower layers", [hardlink("x", "lower")], ["x=>>lower"]],
  ["a FIFO", [{ name: "x", type: "fifo" }], ["x|"]],
  ["a device", [{ name: "x", type: "char", devmajor: 1, devminor: 3 }], ["x(1,3)"]],
  ["a block device", [{ name: "x", type: "block", devmajor: 8, devminor: 1 }], ["x[8,1]"]],
  ["a whiteout", [file(".wh.x", "")], ["-x"]],
];

const isDirectory = (lines: readonly string[]): boolean => lines[0] === "x/";

function together(first: (typeof KINDS)[number], second: (typeof KINDS)[number]): Case[2] {
  const [[a, , one], [b, , two]] = [first, second];
  if (b === "an implied directory" && !isDirectory(one) && one[0] !== "-x") {
    // through the symlink it goes to a place inside; anything else is no directory
    return one[0]?.startsWith("x->")
      ? ["OUTSIDE/secret/", "OUTSIDE/secret/z=inside", "t=inside", ...one]
      : "layer-invalid";
  }
  // whiteouts speak of lower layers only: they make this layer's directory start empty, and leave all else alone; so does
  // what had the directory's name before it, and took the place of what lower layers have there
  const lines = b === "a whiteout" ? one : two;
  const empty = a === "a whiteout" || b === "a whiteout" || !isDirectory(one);
  if (isDirectory(lines)) {
    const both = isDirectory(one) && isDirectory(two) ? [...new Set([...one, ...two])] : lines;
    return ["t=inside", ...both].map((line) => (empty && line === "x/" ? "x/!" : line));
  }
  return ["t=inside", ...lines];
}

testAttacks(
  "two entries of one name:",
  KINDS.flatMap((first) =>
    KINDS.map(
      (second): Case => [
        `${first[0]}, then ${second[0]}`,
        [file("t"), ...first[1], ...second[1]],
        together(first, second),
      ],
    ),
  ),
);

testAttacks("one name spelled differently is one name:", [
  ["with ./", [file("a", "1"), file("./a", "2")], ["a=2"]],
  ["with /", [file("a", "1"), file("/a", "2")], ["a=2"]],
  ["with //", [file("d/a", "1"), file("d//./a", "2")], ["d/", "d/a=2"]],
  ["through a symlink", [file("d/a", "1"), symlink("l", "d"), file("l/a", "2")], ["d/", "d/a=2", "l->d"]],
  ["as a V7 directory, by its slash alone", [file("a", "1"), file("a/", "", { raw: { typeflag: "\0" } })], ["a/!"]],
]);

const bytes = (text: string): string => Buffer.from(text).toString("latin1");

testAttacks("twins are two files:", [
  ["by case", [file("Passwd", "1"), file("passwd", "2")], ["Passwd=1", "passwd=2"]],
  [
    "by case of a directory",
    [symlink("Dir", OUTSIDE), file("dir/secret", "2")],
    ["Dir->/OUTSIDE", "dir/", "dir/secret=2"],
  ],
  [
    "by Unicode form",
    [file("caf\u00e9", "1"), file("cafe\u0301", "2")],
    [`${bytes("cafe\u0301")}=2`, `${bytes("caf\u00e9")}=1`],
  ],
  ["by a letter that looks the same", [file("a", "1"), file("\u0430", "2")], ["a=1", `${bytes("\u0430")}=2`]],
  ["by a sign that is not seen", [file("a\u200b", "1"), file("a", "2")], ["a=2", `${bytes("a\u200b")}=1`]],
  ["by a blank or a dot at the end", [file("a", "1"), file("a ", "2"), file("a.", "3")], ["a=1", "a =2", "a.=3"]],
]);
