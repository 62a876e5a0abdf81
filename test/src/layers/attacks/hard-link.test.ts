/** Hard links to what is not the layer's own, and what comes of writing to one of the names afterwards. */
import { describe, expect, test } from "vitest";
import { buildLayer, type TarEntry } from "../../../support/tar-builder.ts";
import { dir, file, hardlink, OUTSIDE, symlink, testAttacks, useRange } from "./fixtures.ts";

const meddling: Partial<TarEntry> = { mode: 0o4777, uid: 99, gid: 99, mtime: 5, xattrs: { "user.x": "y" } };

testAttacks("a hard link", [
  ["to a file outside is one to a file of a lower layer", [hardlink("h", `${OUTSIDE}/secret`)], ["h=>>OUTSIDE/secret"]],
  ["to a file outside, written to, is a new file", [hardlink("h", `${OUTSIDE}/secret`), file("h")], ["h=inside"]],
  [
    "with other attributes changes nothing of its target",
    [file("a"), { ...hardlink("h", "a"), ...meddling }],
    ["a=inside", "h=>a"],
  ],
  [
    "to a symlink that points outside links the symlink",
    [symlink("l", `${OUTSIDE}/secret`), hardlink("h", "l")],
    ["h=>l", "l->/OUTSIDE/secret"],
  ],
  [
    "to such a symlink, written to, is a new file",
    [symlink("l", `${OUTSIDE}/secret`), hardlink("h", "l"), file("h")],
    ["h=inside", "l->/OUTSIDE/secret"],
  ],
  [
    "to such a symlink, with other attributes, changes nothing outside",
    [symlink("l", `${OUTSIDE}/secret`), { ...hardlink("h", "l"), ...meddling }],
    ["h=>l", "l->/OUTSIDE/secret"],
  ],
  [
    "to a symlink to a directory outside is walked through inside",
    [symlink("l", OUTSIDE), hardlink("h", "l"), file("h/secret")],
    ["OUTSIDE/secret=inside", "h=>l", "l->/OUTSIDE"],
  ],
  [
    "to a FIFO, written to, is a new file",
    [{ name: "p", type: "fifo" }, hardlink("h", "p"), file("h")],
    ["h=inside", "p|"],
  ],
  [
    "to a device, written to, is a new file",
    [{ name: "n", type: "char", devmajor: 1, devminor: 3 }, hardlink("h", "n"), file("h")],
    ["h=inside", "n(1,3)"],
  ],
  ["to a directory is refused", [dir("d/"), hardlink("h", "d")], "layer-invalid"],
  ["to an implied directory is refused", [file("d/a"), hardlink("h", "d")], "layer-invalid"],
  ["to the root is refused", [hardlink("h", "/")], "layer-invalid"],
  ["to the root by a dot is refused", [hardlink("h", ".")], "layer-invalid"],
  ["to nothing is refused", [hardlink("h", "")], "layer-invalid"],
  ["to itself is refused", [hardlink("h", "h")], "layer-invalid"],
  ["to itself in other words is refused", [hardlink("h", ".//h")], "layer-invalid"],
  ["to itself through a symlink is refused", [symlink("l", "."), hardlink("h", "l/h")], "layer-invalid"],
  ["to itself, with a file there before, is refused", [file("h"), hardlink("h", "h")], "layer-invalid"],
  ["to a whiteout is refused", [file(".wh.a", ""), hardlink("h", "a")], "layer-invalid"],
  ["before its target is one to a file of a lower layer", [hardlink("h", "a"), file("a")], ["a=inside", "h=>>a"]],
  [
    "to a name that is not there yet, both ways, is one to lower layers",
    [hardlink("a", "b"), hardlink("b", "a")],
    ["a=>>b", "b=>>b"],
  ],
  ["in the place of the directory that holds its target", [file("d/a"), hardlink("d", "d/a")], ["d=>>d/a"]],
  ["below its own target is refused", [file("a"), hardlink("a/h", "a")], "layer-invalid"],
  ["through a file is refused, whatever lower layers have", [file("a"), hardlink("h", "a/b")], "layer-invalid"],
]);

describe("hard links", () => {
  const range = useRange();
  test("of a setuid file keep the bits that its own entry gave it, whatever they say", async () => {
    const outcome = await range().attack([file("a", "x", { mode: 0o600 }), { ...hardlink("h", "a"), mode: 0o6777 }]);
    expect(outcome.code).toBeUndefined();
    if (outcome.code === undefined) expect(outcome.entries.get("a")?.mode).toBe(0o600);
  });

  test("beyond what a file system allows for one file are told as the layer's fault", async () => {
    const names = Array.from({ length: 65_100 }, (_, at) => hardlink(`h${at}`, "a"));
    const outcome = await range().attack(buildLayer([file("a"), ...names]));
    // file systems without such a limit take it
    expect([undefined, "layer-invalid", "layer-unsupported", "layer-too-large"]).toContain(outcome.code);
  });
});
