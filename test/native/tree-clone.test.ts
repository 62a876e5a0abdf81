/** Cloning copies the content of a file between trees, holes included. */
import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { openTree } from "../../native/index.ts";
import { bytes, errorOf, IS_ROOT, openMountFixture, openTreeFixture, PLAIN } from "./fixtures.ts";

/** 20 MB with data in the middle and at the end. */
function writeSparse(path: string): void {
  const fd = openSync(path, "wx");
  writeSync(fd, "middle", 8_000_000);
  writeSync(fd, "end", 19_999_997);
  ftruncateSync(fd, 20_000_000);
  closeSync(fd);
}

test("content and attributes arrive, and holes stay holes", async () => {
  await using from = await openTreeFixture();
  await using to = await openTreeFixture();
  writeSparse(join(from.path, "f"));
  const { method, bytes: copied } = to.tree.clone("g", from.tree, "f", { ...PLAIN, mode: 0o4711, mtimeSec: 3 });
  expect(["reflink", "copy_file_range"]).toContain(method);
  if (method !== "reflink") expect(copied).toBeLessThan(100_000);
  expect(to.tree.lstat("g")).toMatchObject({ size: 20_000_000, mode: 0o4711, mtimeSec: 3 });
  expect((to.tree.lstat("g")?.blocks ?? 0) * 512).toBeLessThan(1_000_000);
  expect(readFileSync(join(to.path, "g")).equals(readFileSync(join(from.path, "f")))).toBe(true);
});

test("an empty file and one of a few bytes are cloned", async () => {
  await using fixture = await openTreeFixture();
  const { tree } = fixture;
  tree.createFile("empty", bytes(""), PLAIN);
  tree.createFile("small", bytes("abc"), PLAIN);
  expect(tree.clone("empty2", tree, "empty", PLAIN).bytes).toBe(0);
  expect(tree.clone("small2", tree, "small", PLAIN).bytes).toBe(3);
  expect(tree.readFile("small2", 9).toString()).toBe("abc");
});

test("what exists is not overwritten, and only regular files are read", async () => {
  await using fixture = await openTreeFixture();
  const { tree } = fixture;
  tree.createFile("f", bytes("abc"), PLAIN);
  tree.symlink("s", "f", PLAIN);
  tree.mknod("p", "fifo", 0, 0, PLAIN);
  expect(errorOf(() => tree.clone("f", tree, "f", PLAIN)).code).toBe("EEXIST");
  expect(errorOf(() => tree.clone("g", tree, "s", PLAIN)).code).toBe("ELOOP");
  expect(errorOf(() => tree.clone("g", tree, "p", PLAIN)).code).toBe("EINVAL");
  expect(errorOf(() => tree.clone("g", tree, "missing", PLAIN)).code).toBe("ENOENT");
  expect(tree.list(".")).toEqual(["f", "p", "s"]);
});

describe.skipIf(!IS_ROOT)("between file systems (needs root)", () => {
  test("the content arrives from a tmpfs, with its holes", async () => {
    await using mounts = await openMountFixture();
    const target = mounts.dir("tmpfs");
    await mounts.run({ op: "tmpfs", target, size: 1 << 20 });
    writeSparse(join(target, "f"));
    using tree = openTree(mounts.path);
    const { bytes: copied } = tree.clone("g", tree, "tmpfs/f", PLAIN);
    expect(copied).toBeLessThan(100_000);
    expect(readFileSync(join(mounts.path, "g")).equals(readFileSync(join(target, "f")))).toBe(true);
    expect((tree.lstat("g")?.blocks ?? 0) * 512).toBeLessThan(1_000_000);
  });
});
