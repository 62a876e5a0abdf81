/** A tree's root loses the ACLs that it got from the directory it was made in; the ACLs of an image are its own. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openTree, type Tree } from "../../native/index.ts";
import { ACL_OF_USER_1234, aclsOf, giveDefaultAcl } from "../support/acl.ts";
import { DIRECTORY, errorOf, openTreeFixture, PLAIN } from "./fixtures.ts";

const EMPTY = new Uint8Array();

/** One of everything, in a directory too. */
function fill(tree: Tree, from: Tree): void {
  tree.mkdir("d", DIRECTORY);
  tree.createFile("d/f", EMPTY, PLAIN);
  tree.clone("d/clone", from, "source", PLAIN);
  tree.mknod("d/p", "fifo", 0, 0, PLAIN);
  using file = tree.openFile("large");
  file.finish(10, PLAIN);
}

const ALL = [".", "d", "d/f", "d/clone", "d/p", "large"];

test("without it, a default ACL of the directory around a tree comes to be on all that is in it", async () => {
  await using fixture = await openTreeFixture();
  giveDefaultAcl(fixture.outside);
  writeFileSync(join(fixture.path, "source"), "");
  mkdirSync(join(fixture.outside, "inner"));
  using tree = openTree(join(fixture.outside, "inner"));
  fill(tree, fixture.tree);
  for (const name of ALL) expect(aclsOf(tree, name), name).not.toEqual([]);
});

test("a root whose ACLs were dropped has none, and hands none on", async () => {
  await using fixture = await openTreeFixture();
  giveDefaultAcl(fixture.outside);
  writeFileSync(join(fixture.path, "source"), "");
  mkdirSync(join(fixture.outside, "inner"));
  using tree = openTree(join(fixture.outside, "inner"));
  tree.dropAcls();
  fill(tree, fixture.tree);
  for (const name of ALL) expect(aclsOf(tree, name), name).toEqual([]);
  expect(tree.lstat("d/f")?.mode).toBe(0o644);
});

test("ACLs that are set afterwards stay", async () => {
  await using fixture = await openTreeFixture();
  const { tree } = fixture;
  tree.dropAcls();
  tree.createFile("f", EMPTY, { ...PLAIN, xattrs: [["system.posix_acl_access", ACL_OF_USER_1234]] });
  expect(aclsOf(tree, "f")).toEqual(["system.posix_acl_access"]);
  tree.setXattr(".", "system.posix_acl_default", ACL_OF_USER_1234);
  tree.dropAcls();
  expect(aclsOf(tree, ".")).toEqual([]);
  expect(aclsOf(tree, "f")).toEqual(["system.posix_acl_access"]);
});

test("dropping what is not there is fine, as often as one likes; of a closed tree it is EBADF", async () => {
  await using fixture = await openTreeFixture();
  fixture.tree.dropAcls();
  fixture.tree.dropAcls();
  const closed = openTree(fixture.path);
  closed[Symbol.dispose]();
  expect(errorOf(() => closed.dropAcls()).code).toBe("EBADF");
});

test("a file system that has no ACLs is fine", () => {
  using tree = openTree("/proc/self");
  expect(() => tree.dropAcls()).not.toThrow();
});
