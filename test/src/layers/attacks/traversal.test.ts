/** Traversal by `..`, and absolute names: what a tar calls its entries leads to a place in the tree, or is refused. */
import { globalPax } from "../../../support/tar-builder.ts";
import { dir, file, hardlink, OUTSIDE, symlink, testAttacks, UP } from "./fixtures.ts";

const long = "n".repeat(120);

testAttacks("traversal by .. is refused:", [
  ["a file", [file("../secret")], "layer-escape"],
  ["a file far up", [file(`${UP}${OUTSIDE}/secret`)], "layer-escape"],
  ["nothing but ..", [dir("..")], "layer-escape"],
  ["nothing but ../", [dir("../")], "layer-escape"],
  ["in the middle of a name", [file("a/../../outside/secret")], "layer-escape"],
  ["in the middle, without leaving", [file("a/b"), file("a/../c")], "layer-escape"],
  ["at the end of a name", [dir("a/"), dir("a/..")], "layer-escape"],
  ["behind a slash", [file("/../secret")], "layer-escape"],
  ["behind dots and slashes", [file(".//.//..//secret")], "layer-escape"],
  ["after a symlink to a directory inside", [dir("a/b/"), symlink("l", "a/b"), file("l/../c")], "layer-escape"],
  ["after a symlink out of the tree", [symlink("l", OUTSIDE), file("l/../outside/secret")], "layer-escape"],
  ["a directory", [dir("../outside/directory/", { mode: 0o777 })], "layer-escape"],
  ["a symlink", [symlink("../outside/secret", "/etc/passwd")], "layer-escape"],
  ["a FIFO", [{ name: "../outside/pipe", type: "fifo" }], "layer-escape"],
  ["a device", [{ name: "../outside/null", type: "char", devmajor: 1, devminor: 3 }], "layer-escape"],
  ["the name of a hard link", [file("a"), hardlink("../outside/h", "a")], "layer-escape"],
  ["the target of a hard link", [hardlink("h", "../../outside/secret")], "layer-escape"],
  [
    "the target of a hard link, behind a symlink",
    [symlink("l", OUTSIDE), hardlink("h", "l/../secret")],
    "layer-escape",
  ],
  ["ustar's prefix", [{ name: "secret", content: "x", raw: { prefix: "../outside" } }], "layer-escape"],
  ["a PAX path", [file("harmless", "x", { pax: { path: "../outside/secret" } })], "layer-escape"],
  ["a PAX linkpath", [{ ...hardlink("h", "harmless"), pax: { linkpath: "../../outside/secret" } }], "layer-escape"],
  ["a PAX path of a global header", [globalPax({ path: "../outside/secret" }), file("harmless")], "layer-escape"],
  ["a GNU long name", [file(`../${long}`, "x", { longNames: "gnu" })], "layer-escape"],
  ["a GNU long link", [{ ...hardlink("h", `../${long}`), longNames: "gnu" }], "layer-escape"],
]);

testAttacks("what only looks like .. is a name:", [
  ["dots", [file("..."), file("..a"), file("a..")], ["...=inside", "..a=inside", "a..=inside"]],
  ["backslashes", [file("..\\..\\secret")], ["..\\..\\secret=inside"]],
  ["percent signs", [file("%2e%2e/secret")], ["%2e%2e/", "%2e%2e/secret=inside"]],
  ["wide dots", [dir("\uff0e\uff0e/")], [`${Buffer.from("\uff0e\uff0e").toString("latin1")}/`]],
  [
    "dots in overlong UTF-8",
    [dir(Buffer.from([0xc0, 0xae, 0xc0, 0xae, 0x2f]))],
    [`${Buffer.from([0xc0, 0xae, 0xc0, 0xae]).toString("latin1")}/`],
  ],
  ["a symlink's target is kept as it is", [symlink("l", "../../../etc")], ["l->../../../etc"]],
]);

testAttacks("an absolute name is one in the tree:", [
  ["a file", [file(`${OUTSIDE}/secret`)], ["OUTSIDE/secret=inside"]],
  ["a file behind many slashes", [file("///a")], ["a=inside"]],
  ["a directory", [dir(`${OUTSIDE}/directory/`, { mode: 0o777 })], ["OUTSIDE/directory/"]],
  ["a PAX path", [file("x", "inside", { pax: { path: `${OUTSIDE}/secret` } })], ["OUTSIDE/secret=inside"]],
  ["a hard link's target", [file("a"), hardlink("h", "/a")], ["a=inside", "h=>a"]],
  ["a hard link's target outside", [hardlink("h", `${OUTSIDE}/secret`)], ["h=>>OUTSIDE/secret"]],
  ["a symlink's target is kept as it is", [symlink("l", "/etc/passwd")], ["l->/etc/passwd"]],
]);
