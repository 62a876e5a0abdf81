/** What the calls of a tree do when all is well, and what they say when their arguments are not. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { NativeError, openTree, type Tree } from "../../native/index.ts";
import { bytes, DIRECTORY, errorOf, openTreeFixture, PLAIN } from "./fixtures.ts";

test("names that are not UTF-8 are kept byte by byte", async () => {
  await using fixture = await openTreeFixture();
  const { tree, path } = fixture;
  tree.mkdir("d\xff\xfe", DIRECTORY);
  tree.createFile("d\xff\xfe/f\x80\n", bytes("x"), PLAIN);
  tree.symlink("s\xe9", "t\xff", PLAIN);
  expect(tree.list("d\xff\xfe")).toEqual(["f\x80\n"]);
  expect(tree.readlink("s\xe9")).toBe("t\xff");
  expect(
    readdirSync(path, { encoding: "buffer" })
      .map((name) => name.toString("latin1"))
      .sort(),
  ).toEqual(["d\xff\xfe", "s\xe9"]);
});

test("names are listed bytewise", async () => {
  await using fixture = await openTreeFixture();
  const names = ["b", "\xff", "a", "A", "a.b", "\x01"];
  for (const name of names) fixture.tree.mkdir(name, DIRECTORY);
  expect(fixture.tree.list(".")).toEqual(["\x01", "A", "a", "a.b", "b", "\xff"]);
});

test("a large file is written in pieces, with holes", async () => {
  await using fixture = await openTreeFixture();
  const { tree, path } = fixture;
  {
    using file = tree.openFile("f");
    file.append(bytes("start"));
    file.seek(10_000_000);
    file.append(bytes("middle"));
    file.finish(50_000_000, { ...PLAIN, mode: 0o4750, mtimeSec: 9 });
  }
  expect(tree.lstat("f")).toMatchObject({ size: 50_000_000, mode: 0o4750, mtimeSec: 9 });
  expect((tree.lstat("f")?.blocks ?? 0) * 512).toBeLessThan(1_000_000);
  const content = readFileSync(join(path, "f"));
  expect(content.subarray(0, 5).toString()).toBe("start");
  expect(content.subarray(10_000_000, 10_000_006).toString()).toBe("middle");
});

test("a writer that is finished or disposed refuses to write", async () => {
  await using fixture = await openTreeFixture();
  const { tree } = fixture;
  const finished = tree.openFile("finished");
  expect(errorOf(() => finished.finish(-1, PLAIN)).code).toBe("EINVAL");
  finished.append(bytes("12345"));
  expect(errorOf(() => finished.finish(4, PLAIN)).code).toBe("EINVAL");
  finished.finish(5, PLAIN);
  expect(errorOf(() => finished.append(bytes("x"))).code).toBe("EBADF");
  finished[Symbol.dispose]();
  const disposed = tree.openFile("disposed");
  disposed[Symbol.dispose]();
  expect(errorOf(() => disposed.seek(1)).code).toBe("EBADF");
});

test("reading is bounded, and only of regular files", async () => {
  await using fixture = await openTreeFixture();
  const { tree } = fixture;
  tree.createFile("f", bytes("12345"), PLAIN);
  tree.mkdir("d", DIRECTORY);
  tree.mknod("p", "fifo", 0, 0, PLAIN);
  tree.symlink("s", "d/../f", PLAIN);
  expect(tree.readFile("f", 5).toString()).toBe("12345");
  expect(tree.readFile("s", 5, { followFinal: true }).toString()).toBe("12345");
  expect(errorOf(() => tree.readFile("f", 4)).code).toBe("EFBIG");
  expect(errorOf(() => tree.readFile("d", 5)).code).toBe("EISDIR");
  expect(errorOf(() => tree.readFile("p", 5)).code).toBe("EINVAL");
});

test("what is not there is undefined to lstat and an error to others", async () => {
  await using fixture = await openTreeFixture();
  const { tree } = fixture;
  tree.createFile("f", bytes(""), PLAIN);
  expect(tree.lstat("nothing")).toBeUndefined();
  expect(tree.lstat("f/below")).toBeUndefined();
  expect(errorOf(() => tree.readlink("nothing"))).toMatchObject({ code: "ENOENT", path: "nothing" });
  expect(errorOf(() => tree.list("f")).code).toBe("ENOTDIR");
  expect(errorOf(() => openTree("/nonexistent/directory")).code).toBe("ENOENT");
});

test("more parents than the cache holds are told apart", async () => {
  await using fixture = await openTreeFixture();
  const { tree } = fixture;
  const names = Array.from({ length: 12 }, (_, i) => `d${i}`);
  for (const name of names) tree.mkdir(name, DIRECTORY);
  for (const round of ["x", "y"]) for (const name of names) tree.createFile(`${name}/${round}`, bytes(name), PLAIN);
  for (const name of names) {
    expect(tree.list(name)).toEqual(["x", "y"]);
    tree.link(`${name}/z`, `${names[0]}/x`);
  }
  expect(tree.lstat("d0/x")?.nlink).toBe(13);
});

test("an error says what, where and why", async () => {
  await using fixture = await openTreeFixture();
  const error = errorOf(() => fixture.tree.createFile("caf\xc3\xa9/f", bytes(""), PLAIN));
  expect(error).toBeInstanceOf(NativeError);
  expect(error.message).toBe("Cannot create file café/f: openat2: No such file or directory (ENOENT)");
});

describe("arguments that are no arguments are refused", () => {
  const detached = new Uint8Array(8);
  structuredClone(detached.buffer, { transfer: [detached.buffer] });
  // biome-ignore lint/suspicious/noExplicitAny: the point is to pass what the types forbid
  type Loose = Record<string, (...args: any[]) => unknown>;
  test.each<[string, (tree: Loose) => unknown]>([
    ["an empty path", (tree) => tree["lstat"]?.("")],
    ["a path that is no string", (tree) => tree["lstat"]?.(7)],
    ["no path", (tree) => tree["removeTree"]?.()],
    ["a path with NUL", (tree) => tree["list"]?.("a\0b")],
    ["a path with characters beyond a byte", (tree) => tree["list"]?.("a\u0100")],
    ["data that is a string", (tree) => tree["createFile"]?.("f", "data", PLAIN)],
    ["data that is a Uint16Array", (tree) => tree["createFile"]?.("f", new Uint16Array(2), PLAIN)],
    ["data whose buffer is detached", (tree) => tree["createFile"]?.("f", detached, PLAIN)],
    ["a mode that is too large", (tree) => tree["mkdir"]?.("d", { ...PLAIN, mode: 0o10000 })],
    ["a mode that is NaN", (tree) => tree["mkdir"]?.("d", { ...PLAIN, mode: Number.NaN })],
    ["a uid of -2", (tree) => tree["mkdir"]?.("d", { ...PLAIN, uid: -2 })],
    ["a uid of 2³²-1", (tree) => tree["mkdir"]?.("d", { ...PLAIN, uid: 0xffffffff })],
    ["a time with half a nanosecond", (tree) => tree["mkdir"]?.("d", { ...PLAIN, mtimeNsec: 0.5 })],
    ["no attributes in them", (tree) => tree["mkdir"]?.("d", {})],
    ["an xattr without a value", (tree) => tree["mkdir"]?.("d", { ...PLAIN, xattrs: [["user.x"]] })],
    ["a kind of node that is none", (tree) => tree["mknod"]?.("n", "door", 0, 0, PLAIN)],
    ["a device number beyond the kernel's", (tree) => tree["mknod"]?.("n", "character", 4096, 0, PLAIN)],
    ["a source that is no tree", (tree) => tree["clone"]?.("f", {}, "f", PLAIN)],
    ["a limit that is infinite", (tree) => tree["readFile"]?.("f", Number.POSITIVE_INFINITY)],
    ["an option that is no boolean", (tree) => tree["readFile"]?.("f", 1, { followFinal: "yes" })],
  ])("%s", async (_, act) => {
    await using fixture = await openTreeFixture();
    expect(errorOf(() => act(fixture.tree as unknown as Loose)).code).toBe("EINVAL");
    expect(fixture.tree.list(".")).toEqual([]);
  });

  test("a path of 4096 bytes is too long", async () => {
    await using fixture = await openTreeFixture();
    expect(errorOf(() => fixture.tree.lstat("x/".repeat(2048))).code).toBe("ENAMETOOLONG");
  });

  test("a tree that is closed", async () => {
    await using fixture = await openTreeFixture();
    const tree: Tree = openTree(fixture.path);
    tree[Symbol.dispose]();
    tree[Symbol.dispose]();
    expect(errorOf(() => tree.list(".")).code).toBe("EBADF");
    expect(errorOf(() => fixture.tree.clone("f", tree, "f", PLAIN)).code).toBe("EBADF");
  });
});
