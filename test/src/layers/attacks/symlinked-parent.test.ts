/** Symlinks in the way to an entry, and symlinks that appear there, or go, while the layer is unpacked. */
import { dir, file, hardlink, MODES, OUTSIDE, symlink, testAttacks, UP } from "./fixtures.ts";

const chainNames = (length: number): (readonly [string, string])[] =>
  Array.from({ length }, (_, at) => [`l${at + 10}`, `l${at + 11}`]);
const chain = (length: number) => chainNames(length).map(([name, target]) => symlink(name, target));

testAttacks("a symlinked parent is followed inside the tree only:", [
  ["absolute", [symlink("l", OUTSIDE), file("l/secret")], ["l->/OUTSIDE", "OUTSIDE/secret=inside"]],
  ["relative", [symlink("l", `${UP}.${OUTSIDE}`), file("l/secret")], [`l->${UP}./OUTSIDE`, "OUTSIDE/secret=inside"]],
  [
    "a chain",
    [symlink("a", "b"), symlink("b", "d/c"), symlink("d/c", OUTSIDE), file("a/secret")],
    ["a->b", "b->d/c", "d/", "d/c->/OUTSIDE", "OUTSIDE/secret=inside"],
  ],
  ["to the root", [symlink("l", "/"), file("l/a")], ["a=inside", "l->/"]],
  ["to the root, by dots", [symlink("l", "../.."), file("l/a")], ["a=inside", "l->../.."]],
  ["to the directory it is in", [symlink("d/l", "."), file("d/l/l/l/a")], ["d/", "d/a=inside", "d/l->."]],
  ["to a place that is not there", [symlink("l", "n/m"), file("l/a")], ["l->n/m", "n/", "n/m/", "n/m/a=inside"]],
  [
    "to /proc/self/root",
    [symlink("l", "/proc/self/root"), file("l/a")],
    ["l->/proc/self/root", "proc/", "proc/self/", "proc/self/root/", "proc/self/root/a=inside"],
  ],
  [
    "for a directory",
    [symlink("l", OUTSIDE), dir("l/directory/", { mode: 0o777 })],
    ["l->/OUTSIDE", "OUTSIDE/directory/"],
  ],
  ["for a symlink", [symlink("l", OUTSIDE), symlink("l/link", "x")], ["l->/OUTSIDE", "OUTSIDE/link->x"]],
  ["for a FIFO", [symlink("l", OUTSIDE), { name: "l/fifo", type: "fifo" }], ["l->/OUTSIDE", "OUTSIDE/fifo|"]],
  [
    "for a hard link",
    [file("f"), symlink("l", OUTSIDE), hardlink("l/h", "f")],
    ["f=inside", "l->/OUTSIDE", "OUTSIDE/h=>f"],
  ],
  [
    "for the target of a hard link",
    [symlink("l", OUTSIDE), hardlink("h", "l/secret")],
    ["h=>>OUTSIDE/secret", "l->/OUTSIDE"],
  ],
  [
    "forty in a chain",
    [...chain(40), file("l10/a")],
    [...chainNames(40).map(([name, target]) => `${name}->${target}`), "l50/", "l50/a=inside"],
  ],
  ["more than forty in a chain", [...chain(41), file("l10/a")], "layer-invalid"],
  ["a loop of one", [symlink("l", "l"), file("l/a")], "layer-invalid"],
  ["a loop of two", [symlink("a", "b"), symlink("b", "a"), file("a/x")], "layer-invalid"],
  ["a loop that grows", [symlink("l", "l/l"), file("l/a")], "layer-invalid"],
  ["a loop in the way of a hard link's target", [symlink("l", "l"), hardlink("h", "l/a")], "layer-invalid"],
  ["to a file", [file("f"), symlink("l", "f"), file("l/a")], "layer-invalid"],
]);

testAttacks(
  "a symlinked parent is followed inside the tree only:",
  [
    [
      "for a device",
      [symlink("l", OUTSIDE), { name: "l/null", type: "char", devmajor: 1, devminor: 3 }],
      ["l->/OUTSIDE", "OUTSIDE/null(1,3)"],
    ],
  ],
  MODES.filter(([, privileged]) => privileged),
);

testAttacks("a symlink that a later entry swaps leads nowhere else:", [
  ["symlink, directory, file", [symlink("l", OUTSIDE), dir("l/"), file("l/secret")], ["l/!", "l/secret=inside"]],
  [
    "directory, symlink, file",
    [dir("d/"), symlink("d", OUTSIDE), file("d/secret")],
    ["d->/OUTSIDE", "OUTSIDE/secret=inside"],
  ],
  [
    "full directory, symlink, file",
    [file("d/a"), symlink("d", OUTSIDE), file("d/secret")],
    ["d->/OUTSIDE", "OUTSIDE/secret=inside"],
  ],
  [
    "deep directory, symlink above, file",
    [file("d/e/a"), symlink("d", OUTSIDE), file("d/e/b")],
    ["d->/OUTSIDE", "OUTSIDE/e/", "OUTSIDE/e/b=inside"],
  ],
  [
    "symlink inside, symlink outside",
    [file("t/a"), symlink("l", "t"), file("l/b"), symlink("l", OUTSIDE), file("l/secret")],
    ["l->/OUTSIDE", "t/", "t/a=inside", "t/b=inside", "OUTSIDE/secret=inside"],
  ],
  [
    "second link of a chain",
    [symlink("a", "b"), dir("b/"), file("a/x"), symlink("b", OUTSIDE), file("a/secret")],
    ["a->b", "b->/OUTSIDE", "OUTSIDE/secret=inside"],
  ],
  ["file, symlink of the same name", [file("f"), symlink("f", `${OUTSIDE}/secret`)], ["f->/OUTSIDE/secret"]],
  ["symlink, file of the same name", [symlink("f", `${OUTSIDE}/secret`), file("f")], ["f=inside"]],
  [
    "symlink, file of the same name, twice",
    [symlink("f", `${OUTSIDE}/secret`), file("f", "a"), symlink("f", `${OUTSIDE}/secret`), file("f", "b")],
    ["f=b"],
  ],
  [
    "symlink, large file of the same name",
    [symlink("f", `${OUTSIDE}/secret`), file("f", "x".repeat(3_000_000))],
    ["f=3000000 bytes"],
  ],
  ["symlink, FIFO of the same name", [symlink("f", `${OUTSIDE}/fifo`), { name: "f", type: "fifo" }], ["f|"]],
  [
    "symlink, hard link of the same name",
    [file("a"), symlink("f", `${OUTSIDE}/secret`), hardlink("f", "a")],
    ["a=inside", "f=>a"],
  ],
  [
    "symlink, directory with attributes",
    [symlink("l", `${OUTSIDE}/directory`), dir("l", { mode: 0o777, mtime: 5 })],
    ["l/!"],
  ],
]);
