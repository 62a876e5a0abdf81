/** Nothing that a tree contains may lead out of it. */
import { mkdirSync, readdirSync, renameSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { bytes, DIRECTORY, errorOf, openTreeFixture, PLAIN } from "./fixtures.ts";

const SECRET = bytes("secret");

test("a file named with .. is made in the root", async () => {
  await using fixture = await openTreeFixture();
  const { tree, path } = fixture;
  tree.createFile("../../../etc-passwd", SECRET, PLAIN);
  tree.createFile("/../..//../other", SECRET, PLAIN);
  expect(readdirSync(path).sort()).toEqual(["etc-passwd", "other"]);
});

test("an absolute symlink as a parent is resolved in the root", async () => {
  await using fixture = await openTreeFixture();
  const { tree, path, outside } = fixture;
  tree.symlink("link", outside, PLAIN);
  expect(errorOf(() => tree.createFile("link/file", SECRET, PLAIN)).code).toBe("ENOENT");
  for (let at = "", parts = outside.split("/").slice(1); parts.length > 0; ) {
    at += `/${parts.shift()}`;
    tree.mkdir(at, DIRECTORY);
  }
  tree.createFile("link/file", SECRET, PLAIN);
  expect(readdirSync(outside)).toEqual([]);
  expect(readdirSync(join(path, outside))).toEqual(["file"]);
});

test("a relative symlink that climbs over the root stays in it", async () => {
  await using fixture = await openTreeFixture();
  const { tree, outside } = fixture;
  tree.symlink("link", "../../../../../../../../outside", PLAIN);
  tree.mkdir("outside", DIRECTORY);
  tree.createFile("link/file", SECRET, PLAIN);
  expect(readdirSync(outside)).toEqual([]);
  expect(tree.list("outside")).toEqual(["file"]);
});

test("a chain of symlinks stays in the root", async () => {
  await using fixture = await openTreeFixture();
  const { tree, outside } = fixture;
  tree.mkdir("d", DIRECTORY);
  tree.symlink("d/up", "..", PLAIN);
  tree.symlink("d/first", "up/d/up/second", PLAIN);
  tree.symlink("second", "d/up/../outside", PLAIN);
  expect(errorOf(() => tree.createFile("d/first/file", SECRET, PLAIN)).code).toBe("ENOENT");
  tree.mkdir("outside", DIRECTORY);
  tree.createFile("d/first/file", SECRET, PLAIN);
  expect(readdirSync(outside)).toEqual([]);
  expect(tree.list("outside")).toEqual(["file"]);
});

test("a symlink that points to itself is ELOOP", async () => {
  await using fixture = await openTreeFixture();
  fixture.tree.symlink("loop", "loop", PLAIN);
  expect(errorOf(() => fixture.tree.createFile("loop/file", SECRET, PLAIN)).code).toBe("ELOOP");
});

test("magic links of /proc are not followed", async () => {
  await using fixture = await openTreeFixture();
  const { tree } = fixture;
  tree.symlink("cwd", "/proc/self/cwd", PLAIN);
  expect(() => tree.createFile("cwd/file", SECRET, PLAIN)).toThrow();
});

test("a final symlink is never written through", async () => {
  await using fixture = await openTreeFixture();
  const { tree, outside } = fixture;
  tree.symlink("link", join(outside, "file"), PLAIN);
  tree.symlink("dangling", "nowhere", PLAIN);
  expect(errorOf(() => tree.createFile("link", SECRET, PLAIN)).code).toBe("EEXIST");
  expect(errorOf(() => tree.openFile("dangling")).code).toBe("EEXIST");
  expect(errorOf(() => tree.mkdir("dangling", DIRECTORY)).code).toBe("EEXIST");
  expect(readdirSync(outside)).toEqual([]);
});

test("a directory that is replaced by a symlink is not written through the cache", async () => {
  await using fixture = await openTreeFixture();
  const { tree, outside } = fixture;
  tree.mkdir("d", DIRECTORY);
  tree.createFile("d/one", SECRET, PLAIN);
  tree.removeTree("d");
  tree.symlink("d", outside, PLAIN);
  expect(errorOf(() => tree.createFile("d/two", SECRET, PLAIN)).code).toBe("ENOENT");
  expect(readdirSync(outside)).toEqual([]);
});

test("a directory that another process swaps for a symlink does not lead out", async () => {
  await using fixture = await openTreeFixture();
  const { tree, path, outside } = fixture;
  tree.mkdir("d", DIRECTORY);
  tree.createFile("d/one", SECRET, PLAIN);
  renameSync(join(path, "d"), join(path, "was-d"));
  symlinkSync(outside, join(path, "d"));
  // The remembered directory is the one that was renamed: still in the root.
  tree.createFile("d/two", SECRET, PLAIN);
  expect(readdirSync(outside)).toEqual([]);
  expect(readdirSync(join(path, "was-d"))).toEqual(["one", "two"]);
});

test("a hard link cannot name a file outside", async () => {
  await using fixture = await openTreeFixture();
  const { tree, outside } = fixture;
  writeFileSync(join(outside, "file"), "secret");
  expect(errorOf(() => tree.link("stolen", join(outside, "file"))).code).toBe("ENOENT");
  expect(errorOf(() => tree.link("stolen", "../outside/file")).code).toBe("ENOENT");
  tree.symlink("link", outside, PLAIN);
  expect(errorOf(() => tree.link("stolen", "link/file")).code).toBe("ENOENT");
});

test("a hard link to a symlink links the symlink", async () => {
  await using fixture = await openTreeFixture();
  const { tree, outside } = fixture;
  writeFileSync(join(outside, "file"), "secret");
  tree.symlink("link", join(outside, "file"), PLAIN);
  tree.link("second", "link");
  expect(tree.lstat("second")).toMatchObject({ type: "symlink", nlink: 2 });
});

test("reading stays in the root", async () => {
  await using fixture = await openTreeFixture();
  const { tree, outside } = fixture;
  writeFileSync(join(outside, "file"), "secret");
  tree.symlink("link", join(outside, "file"), PLAIN);
  tree.symlink("dir", outside, PLAIN);
  expect(errorOf(() => tree.readFile("link", 100)).code).toBe("ELOOP");
  expect(errorOf(() => tree.readFile("link", 100, { followFinal: true })).code).toBe("ENOENT");
  expect(errorOf(() => tree.readFile("../outside/file", 100)).code).toBe("ENOENT");
  expect(errorOf(() => tree.readFile("dir/file", 100)).code).toBe("ENOENT");
  expect(errorOf(() => tree.list("dir")).code).toBe("ENOTDIR");
  expect(tree.lstat("dir/file")).toBeUndefined();
});

test("attributes and removal do not follow a final symlink", async () => {
  await using fixture = await openTreeFixture();
  const { tree, outside } = fixture;
  mkdirSync(join(outside, "kept"));
  tree.symlink("link", outside, PLAIN);
  tree.setAttributes("link", { ...PLAIN, mode: 0o777, mtimeSec: 5 });
  tree.removeTree("link");
  expect(tree.lstat("link")).toBeUndefined();
  expect(readdirSync(outside)).toEqual(["kept"]);
});

test("the parent of the root is the root, for every operation", async () => {
  await using fixture = await openTreeFixture();
  const { tree } = fixture;
  tree.createFile("only", SECRET, PLAIN);
  expect(tree.list("..")).toEqual(["only"]);
  expect(tree.lstat("../..")?.ino).toBe(tree.lstat(".")?.ino);
  expect(errorOf(() => tree.mkdir("..", DIRECTORY)).code).toBe("EEXIST");
  tree.mkdir("d", DIRECTORY);
  expect(errorOf(() => tree.removeTree("d/..")).code).toBe("EINVAL");
  expect(tree.list("d/../..")).toEqual(["d", "only"]);
});
