import { describe, expect, test } from "vitest";
import { encodeAcl, modeWithAcl } from "../../../src/layers/tar-acl.ts";

const BASE = "user::rwx,group::r-x,other::r--";

/** Version 2; user::rwx, user:1000:r-x, group::r-x, mask::rwx, other::r-- */
const WITH_USER =
  "02000000" +
  ["01000700ffffffff", "02000500e8030000", "04000500ffffffff", "10000700ffffffff", "20000400ffffffff"].join("");

describe("encodeAcl", () => {
  test.each([
    ["lines, as GNU tar writes them", "user::rwx\nuser:1000:r-x\ngroup::r-x\nmask::rwx\nother::r--\n\n"],
    ["commas, with a name and its number, as star does", "user::rwx,user:al:r-x:1000,group::r-x,mask::rwx,other::r--"],
    ["short words", "u::rwx,u:1000:rx,g::rx,m::rwx,o::r"],
    ["any order", "other::r--,mask::rwx,user:1000:r-x,group::r-x,user::rwx"],
    ["blanks and comments", " user::rwx , user:1000:r-x\t#effective:r-x\ngroup::r-x\nmask::rwx\nother::r--"],
    ["no field for a name where none can be", "user::rwx,user:1000:r-x,group::r-x,mask:rwx,other:r--"],
  ])("reads %s", (_what, text) => {
    expect(encodeAcl(text)?.toString("hex")).toBe(WITH_USER);
  });

  test("sorts users and groups by number, as the kernel's own tools do", () => {
    const acl = encodeAcl(`${BASE},mask::rwx,group:9:r--,user:7:r--,user:3:r--`);
    const ids = Array.from({ length: 7 }, (_, at) => acl?.readUInt32LE(8 + 8 * at));
    expect(ids).toEqual([0xffffffff, 3, 7, 0xffffffff, 9, 0xffffffff, 0xffffffff]);
  });

  test("reads no further in a line than its comment, whatever is in that", () => {
    expect(encodeAcl(`${BASE},mask::rwx,user:1:r--#r-x\r#x`)).toBeDefined();
  });

  test("takes no time for comments in comments without an end", () => {
    const start = performance.now();
    expect(encodeAcl(`${"#".repeat(65_000)}\rx`)).toBeUndefined();
    expect(performance.now() - start).toBeLessThan(500);
  });

  test("gives nothing for a list of more than 64 KiB, however much of it is comment", () => {
    const list = (comment: string): string => `${BASE},mask::rwx,user:1:r--\n#${comment}`;
    expect(encodeAcl(list("x".repeat(60_000)))).toBeDefined();
    expect(encodeAcl(list("x".repeat(65_536)))).toBeUndefined();
  });

  test.each([
    ["says no more than the mode", BASE],
    ["names a user without a number", `${BASE},mask::rwx,user:alice:---`],
    ["has no mask", `${BASE},user:1:r--`],
    ["has no entry for others", "user::rwx,user:1:r--,group::r-x,mask::rwx"],
    ["has a user twice", `${BASE},mask::rwx,user:1:r--,user:1:rwx`],
    ["has a number that is none", `${BASE},mask::rwx,user:x:r--:1e3`],
    ["has a number beyond 32 bits", `${BASE},mask::rwx,user:4294967295:r--`],
    ["has letters that are no permissions", `${BASE},mask::rwx,user:1:rwz`],
    ["has no permissions", `${BASE},mask::rwx,user:1`],
    ["has words of Object's own", `${BASE},mask::rwx,constructor:1:r--`],
    ["names somebody for the mask", `${BASE},mask:1:rwx,user:1:r--`],
    ["is nothing", ""],
  ])("gives nothing for a list that %s", (_what, text) => {
    expect(encodeAcl(text)).toBeUndefined();
  });
});

describe("modeWithAcl", () => {
  const acl = (text: string): Buffer => encodeAcl(text) as Buffer;
  const [OWNER, GROUP, OTHER] = ["01000600ffffffff", "04000500ffffffff", "20000400ffffffff"];

  test("takes the owner's bits, the mask's for the group, and everybody else's; other bits stay", () => {
    const list = acl("user::rw-,user:12:rwx,group::---,mask::rwx,other::r--");
    expect([0o700, 0o2700, 0o7777].map((mode) => modeWithAcl(mode, list))).toEqual([0o674, 0o2674, 0o7674]);
  });

  test("takes the group's bits where there is no mask", () => {
    expect(modeWithAcl(0o4000, Buffer.from(`02000000${OWNER}${GROUP}${OTHER}`, "hex"))).toBe(0o4654);
  });

  test.each([
    ["no bytes", ""],
    ["a header without rules", "02000000"],
    ["another version", `03000000${OWNER}${GROUP}${OTHER}`],
    ["half a rule", `02000000${OWNER}${GROUP}${OTHER}0100`],
    ["no owner", `02000000${GROUP}${OTHER}`],
    ["no group", `02000000${OWNER}${OTHER}`],
    ["no others", `02000000${OWNER}${GROUP}`],
  ])("changes nothing for a list with %s", (_what, hex) => {
    expect(modeWithAcl(0o2711, Buffer.from(hex, "hex"))).toBe(0o2711);
  });
});
