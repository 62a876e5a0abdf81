/** Access lists that contradict the mode: the kernel has one truth of both, and the index must say the same. */
import { lstatSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { openTree } from "../../../../native/index.ts";
import { encodeAcl } from "../../../../src/layers/tar-acl.ts";
import { globalPax, type TarEntry } from "../../../support/tar-builder.ts";
import { dir, file, IS_ROOT, useRange } from "./fixtures.ts";

const TEXT = "user::rw-,user:12:rwx,group::---,mask::rwx,other::r--";
const BINARY = encodeAcl(TEXT) as Buffer;
/** user::rw-, group::r-x, other::r--: what the kernel keeps as a mode, and not as a list. */
const MINIMAL = Buffer.from("0200000001000600ffffffff04000500ffffffff20000400ffffffff", "hex");

const inText: Partial<TarEntry> = { pax: { "SCHILY.acl.access": TEXT } };
const inBytes: Partial<TarEntry> = { xattrs: { "system.posix_acl_access": BINARY } };
const fifo = (name: string, more: Partial<TarEntry>): TarEntry => ({ name, type: "fifo", ...more });
const device = (name: string, more: Partial<TarEntry>): TarEntry => ({
  name,
  type: "char",
  devmajor: 1,
  devminor: 3,
  ...more,
});

const CASES: readonly (readonly [what: string, layer: readonly TarEntry[], mode: number])[] = [
  ["a list in text", [file("a", "x", { ...inText, mode: 0o700 })], 0o674],
  ["a list in bytes", [file("a", "x", { ...inBytes, mode: 0o700 })], 0o674],
  ["a list in a global header", [globalPax({ "SCHILY.acl.access": TEXT }), file("a", "x", { mode: 0o700 })], 0o674],
  ["a list of a set-gid file", [file("a", "x", { ...inText, mode: 0o2700, gid: 34 })], 0o2674],
  ["a list of a file with all bits", [file("a", "x", { ...inBytes, mode: 0o7777, uid: 12, gid: 34 })], 0o7674],
  ["a list of a set-gid directory", [dir("a/", { ...inText, mode: 0o3700, gid: 34 }), file("a/b")], 0o3674],
  ["a list of a pipe", [fifo("a", { ...inText, mode: 0o700 })], 0o674],
  ["a list of a device", [device("a", { ...inBytes, mode: 0o2700, gid: 34 })], 0o2674],
  ["a list that is a mode", [file("a", "x", { xattrs: { "system.posix_acl_access": MINIMAL }, mode: 0o2700 })], 0o2654],
  [
    "a list without a mask that matters",
    [file("a", "x", { pax: { "SCHILY.acl.access": "u::r,g::r,o::r" }, mode: 0o700 })],
    0o700,
  ],
];

describe.skipIf(!IS_ROOT)("a mode and an access list that disagree (needs root)", () => {
  const range = useRange();
  test.each(CASES)("are on disk what the index says: %s", async (_what, layer, mode) => {
    const made = await range().attack(layer);
    if (made.code !== undefined) throw made.error;
    const onDisk = lstatSync(join(made.fsPath, "a")).mode & 0o7777;
    expect([onDisk.toString(8), made.entries.get("a")?.mode.toString(8)]).toEqual([mode.toString(8), mode.toString(8)]);
  });

  test("leave the list as it was", async () => {
    const made = await range().attack([file("a", "x", { ...inText, mode: 0o2700 })]);
    if (made.code !== undefined) throw made.error;
    using tree = openTree(made.fsPath);
    expect(tree.xattrs("a")).toEqual([["system.posix_acl_access", BINARY]]);
    expect(made.entries.get("a")?.xattrs).toEqual([["system.posix_acl_access", BINARY]]);
  });
});

describe("a mode and an access list that disagree (as an ordinary user)", () => {
  const range = useRange();
  test.each(CASES)("are in the index what root would have: %s", async (_what, layer, mode) => {
    const made = await range().attack(layer, { privileged: false });
    if (made.code !== undefined) throw made.error;
    expect(made.entries.get("a")?.mode.toString(8)).toBe(mode.toString(8));
  });
});
