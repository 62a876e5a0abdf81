/** Whiteouts of what is not below their directory, and entries in the place of the root. */
import type { TarEntry } from "../../../support/tar-builder.ts";
import { type Case, dir, file, hardlink, OUTSIDE, symlink, testAttacks } from "./fixtures.ts";

const empty = (name: string): TarEntry => file(name, "");

testAttacks("a whiteout", [
  ["outside, by ..", [empty("../outside/.wh.secret")], "layer-escape"],
  ["outside, by .. in the middle", [empty("d/../../outside/.wh.secret")], "layer-escape"],
  ["of .., behind the prefix", [empty("d/.wh...")], "layer-invalid"],
  ["of .., at the root", [empty(".wh...")], "layer-invalid"],
  ["of .", [empty(".wh..")], "layer-invalid"],
  ["of nothing", [empty(".wh.")], "layer-invalid"],
  ["of nothing, as a directory", [dir(".wh./")], "layer-invalid"],
  ["of an absolute path", [empty(`.wh.${OUTSIDE}/secret`)], "layer-invalid"],
  ["of a path", [empty(".wh.d/secret")], "layer-invalid"],
  ["of a path by ..", [empty(".wh.d/../secret")], "layer-escape"],
  ["with entries below it", [dir(".wh.d/"), file(".wh.d/x")], "layer-invalid"],
  ["of a whiteout", [empty(".wh..wh.a")], []],
  ["with slashes around it", [empty("//.//.wh.a//")], ["-a"]],
  ["in a directory outside, behind a symlink", [symlink("l", OUTSIDE), empty("l/.wh.secret")], ["l->/OUTSIDE"]],
  [
    "in a directory outside, behind a relative symlink",
    [symlink("l", `../..${OUTSIDE}`), empty("l/.wh.directory")],
    ["l->../../OUTSIDE"],
  ],
  ["in what became a symlink to outside", [dir("d/"), symlink("d", OUTSIDE), empty("d/.wh.secret")], ["d->/OUTSIDE"]],
  ["of a symlink that points outside", [symlink("l", `${OUTSIDE}/secret`), empty(".wh.l")], ["l->/OUTSIDE/secret"]],
  ["at an absolute place", [empty(`${OUTSIDE}/.wh.secret`)], ["-OUTSIDE/secret"]],
  ["that is a symlink outside", [symlink(".wh.a", `${OUTSIDE}/secret`)], ["-a"]],
  ["that is a hard link outside", [hardlink(".wh.a", `${OUTSIDE}/secret`)], ["-a"]],
  ["that is a hard link by ..", [hardlink(".wh.a", "../../outside/secret")], ["-a"]],
  ["that has content", [file(".wh.a", "x".repeat(3_000_000)), file("b")], ["-a", "b=inside"]],
  ["that is a FIFO", [{ name: ".wh.a", type: "fifo" }], ["-a"]],
  ["that is a device", [{ name: ".wh.a", type: "block", devmajor: 8, devminor: 0 }], ["-a"]],
  ["of the longest name", [empty(`.wh.${"n".repeat(251)}`)], [`-${"n".repeat(251)}`]],
  ["of a longer name", [empty(`.wh.${"n".repeat(252)}`)], "layer-invalid"],
  ["whose name is not its own, by PAX", [file("a", "", { pax: { path: "../.wh.b" } })], "layer-escape"],
]);

testAttacks("an opaque marker", [
  ["outside, by ..", [empty("../outside/.wh..wh..opq")], "layer-escape"],
  ["in a directory outside, behind a symlink", [symlink("l", OUTSIDE), empty("l/.wh..wh..opq")], ["l->/OUTSIDE"]],
  ["at an absolute place", [empty(`${OUTSIDE}/.wh..wh..opq`)], ["OUTSIDE/!"]],
  ["below a file", [file("f"), empty("f/.wh..wh..opq")], ["f=inside"]],
  ["with entries below it", [dir("d/.wh..wh..opq/"), file("d/.wh..wh..opq/x")], ["d/!"]],
  ["that is a symlink outside", [symlink("d/.wh..wh..opq", OUTSIDE)], ["d/!"]],
]);

const ROOT_NAMES = ["", ".", "./", "/", "//", "././", "/./"];
const replacements = (name: string): Case[] => [
  [`"${name}", a file`, [file(name)], "layer-invalid"],
  [`"${name}", a symlink`, [symlink(name, OUTSIDE), file("secret")], "layer-invalid"],
  [`"${name}", a hard link`, [file("a"), hardlink(name, "a")], "layer-invalid"],
  [`"${name}", a FIFO`, [{ name, type: "fifo" }], "layer-invalid"],
  [`"${name}", a device`, [{ name, type: "char", devmajor: 1, devminor: 3 }], "layer-invalid"],
  [`"${name}", a directory that locks everybody out`, [dir(name, { mode: 0, uid: 5 }), file("a")], ["a=inside"]],
];
testAttacks("the root entry is not replaced:", ROOT_NAMES.flatMap(replacements));
