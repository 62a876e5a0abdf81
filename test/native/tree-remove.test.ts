/** Recursive removal takes all that is there, and stops at a mount point. */
import { chmodSync, existsSync, mkdirSync, readdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { openTree } from "../../native/index.ts";
import { bytes, DIRECTORY, errorOf, IS_ROOT, openMountFixture, openTreeFixture, PLAIN } from "./fixtures.ts";

test("everything below goes, of every type", async () => {
  await using fixture = await openTreeFixture();
  const { tree, outside } = fixture;
  writeFileSync(join(outside, "kept"), "");
  tree.mkdir("d", DIRECTORY);
  for (let i = 0; i < 300; i++) tree.mkdir(`d/${i}`, DIRECTORY);
  for (let i = 0; i < 300; i++) tree.createFile(`d/${i}/f`, bytes(""), PLAIN);
  tree.symlink("d/s", outside, PLAIN);
  tree.mknod("d/p", "fifo", 0, 0, PLAIN);
  tree.createFile("beside", bytes(""), PLAIN);
  tree.removeTree("d");
  expect(tree.list(".")).toEqual(["beside"]);
  expect(readdirSync(outside)).toEqual(["kept"]);
});

test("what is missing is removed already", async () => {
  await using fixture = await openTreeFixture();
  fixture.tree.createFile("f", bytes(""), PLAIN);
  fixture.tree.removeTree("missing");
  fixture.tree.removeTree("missing/below");
  fixture.tree.removeTree("f/below");
  expect(fixture.tree.list(".")).toEqual(["f"]);
});

test("the root is emptied, not removed", async () => {
  await using fixture = await openTreeFixture();
  fixture.tree.mkdir("d", DIRECTORY);
  fixture.tree.createFile("d/f", bytes(""), PLAIN);
  fixture.tree.removeTree(".");
  expect(readdirSync(fixture.path)).toEqual([]);
});

test("a tree that is deeper than a path is long goes too", async () => {
  await using fixture = await openTreeFixture();
  const levels = ["long-directory-name-that-adds-up", ...Array.from({ length: 200 }, () => "level")];
  const { path, tree } = fixture;
  for (let depth = 0; depth < 4; depth++) {
    // Each round is put into a new nest of 201 levels: no single path names the innermost.
    mkdirSync(join(path, "nest", ...levels), { recursive: true });
    if (depth > 0) renameSync(join(path, "inner"), join(path, "nest", ...levels, "inner"));
    renameSync(join(path, "nest"), join(path, "inner"));
  }
  tree.removeTree("inner");
  expect(tree.list(".")).toEqual([]);
});

test("directories without any permission go too", async () => {
  await using fixture = await openTreeFixture();
  mkdirSync(join(fixture.path, "d/work"), { recursive: true });
  writeFileSync(join(fixture.path, "d/work/f"), "");
  chmodSync(join(fixture.path, "d/work"), 0);
  chmodSync(join(fixture.path, "d"), 0o500);
  fixture.tree.removeTree("d");
  expect(fixture.tree.list(".")).toEqual([]);
});

describe.skipIf(!IS_ROOT)("mount points (needs root)", () => {
  test("a bind mount of the same file system stops the removal, untouched", async () => {
    await using mounts = await openMountFixture();
    const source = mounts.dir("precious");
    writeFileSync(join(source, "data"), "");
    const target = mounts.dir("rootfs/a/mnt");
    await mounts.run({ op: "bind", source, target });
    using tree = openTree(mounts.path);
    const error = errorOf(() => tree.removeTree("rootfs"));
    expect(error).toMatchObject({ code: "EBUSY", details: { detail: "a/mnt" } });
    expect(error.hint).toMatch(/unmount/);
    expect(errorOf(() => tree.removeTree("rootfs/a/mnt")).code).toBe("EBUSY");
    expect(existsSync(join(source, "data"))).toBe(true);
  });

  test("a file that is mounted over stops the removal", async () => {
    await using mounts = await openMountFixture();
    const [source, target] = [join(mounts.path, "source"), join(mounts.dir("rootfs"), "resolv.conf")];
    for (const path of [source, target]) writeFileSync(path, "data");
    await mounts.run({ op: "bind", source, target });
    using tree = openTree(mounts.path);
    expect(errorOf(() => tree.removeTree("rootfs")).code).toBe("EBUSY");
    expect(existsSync(source)).toBe(true);
  });
});
