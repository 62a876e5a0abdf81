/** Owner, mode, xattrs and times are exactly those that were given. */
import { statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { bytes, DIRECTORY, errorOf, IS_ROOT, openTreeFixture, PLAIN } from "./fixtures.ts";

const EMPTY = new Uint8Array();

test("times are kept to the nanosecond", async () => {
  await using fixture = await openTreeFixture();
  fixture.tree.createFile("f", EMPTY, { ...PLAIN, mtimeSec: 1_234_567_890, mtimeNsec: 123_456_789 });
  expect(fixture.tree.lstat("f")).toMatchObject({ mtimeSec: 1_234_567_890, mtimeNsec: 123_456_789 });
  const { atimeNs } = statSync(join(fixture.path, "f"), { bigint: true });
  expect(atimeNs).toBe(1_234_567_890_123_456_789n);
});

test("times before 1970 are kept", async () => {
  await using fixture = await openTreeFixture();
  fixture.tree.createFile("f", EMPTY, { ...PLAIN, mtimeSec: -1, mtimeNsec: 999_999_999 });
  expect(fixture.tree.lstat("f")).toMatchObject({ mtimeSec: -1, mtimeNsec: 999_999_999 });
});

test("a mode is not masked by the umask", async () => {
  await using fixture = await openTreeFixture();
  const { tree } = fixture;
  tree.createFile("f", EMPTY, { ...PLAIN, mode: 0o666 });
  tree.mkdir("d", { ...DIRECTORY, mode: 0o1777 });
  expect([tree.lstat("f")?.mode, tree.lstat("d")?.mode]).toEqual([0o666, 0o1777]);
});

test("a symlink has a time of its own", async () => {
  await using fixture = await openTreeFixture();
  const { tree } = fixture;
  tree.createFile("f", EMPTY, { ...PLAIN, mtimeSec: 1 });
  tree.symlink("s", "f", { ...PLAIN, mtimeSec: 2 });
  tree.setAttributes("s", { ...PLAIN, mode: 0o600, mtimeSec: 3 });
  expect(tree.lstat("s")?.mtimeSec).toBe(3);
  expect(tree.lstat("f")).toMatchObject({ mtimeSec: 1, mode: 0o644 });
});

test("attributes of the root itself can be set", async () => {
  await using fixture = await openTreeFixture();
  const { tree } = fixture;
  for (const [mtimeSec, name] of [".", "/", "./", "//."].entries()) {
    tree.setAttributes(name, { ...DIRECTORY, mode: 0o711, mtimeSec });
    expect(tree.lstat(name)).toMatchObject({ mode: 0o711, mtimeSec });
  }
});

test("user xattrs are set and listed, empty ones too", async () => {
  await using fixture = await openTreeFixture();
  const { tree } = fixture;
  const xattrs = [
    ["user.empty", EMPTY],
    ["user.name\xff", bytes("\0\xff\n")],
  ] as const;
  tree.createFile("f", EMPTY, { ...PLAIN, xattrs });
  tree.mkdir("d", { ...DIRECTORY, xattrs });
  for (const name of ["f", "d"]) {
    const found = new Map(tree.xattrs(name).map(([key, value]) => [key, Buffer.from(value).toString("latin1")]));
    expect(found).toEqual(
      new Map([
        ["user.empty", ""],
        ["user.name\xff", "\0\xff\n"],
      ]),
    );
  }
});

test("a file whose attributes cannot be set is not left behind", async () => {
  await using fixture = await openTreeFixture();
  const xattrs = [["nonsense", EMPTY]] as const;
  const error = errorOf(() => fixture.tree.createFile("f", EMPTY, { ...PLAIN, xattrs }));
  expect(error).toMatchObject({ code: "ENOTSUP", operation: "fsetxattr", path: "f", details: { detail: "nonsense" } });
  expect(errorOf(() => fixture.tree.mkdir("d", { ...DIRECTORY, xattrs })).code).toBe("ENOTSUP");
  expect(fixture.tree.list(".")).toEqual([]);
});

test("a thousand xattrs with the longest names reach the kernel; more are refused before anything is made", async () => {
  await using fixture = await openTreeFixture();
  const { tree } = fixture;
  const many = Array.from({ length: 1001 }, (_, at) => [`user.${at}`.padEnd(255, "x"), EMPTY] as const);
  const failure = errorOf(() => tree.createFile("f", EMPTY, { ...PLAIN, xattrs: many }));
  expect(failure).toMatchObject({ code: "E2BIG", operation: "xattrs", message: expect.stringContaining("1000") });
  // which has room for some of them, and takes them in their order
  const room = errorOf(() => tree.createFile("f", EMPTY, { ...PLAIN, xattrs: many.slice(0, 1000) }));
  expect(room).toMatchObject({ operation: "fsetxattr" });
  expect(tree.list(".")).toEqual([]);
});

test("xattrs of many lengths have the names and values that they were given", async () => {
  await using fixture = await openTreeFixture();
  const xattrs = Array.from(
    { length: 20 },
    (_, at) => [`user.${"n".repeat(at * 3 + 1)}`, bytes(`value ${at}`)] as const,
  );
  fixture.tree.createFile("f", EMPTY, { ...PLAIN, xattrs });
  const found = fixture.tree.xattrs("f").map(([name, value]) => [name, Buffer.from(value).toString()] as const);
  expect(new Map(found)).toEqual(new Map(xattrs.map(([name, value]) => [name, value.toString()])));
});

describe.skipIf(!IS_ROOT)("foreign owners and privileged attributes (needs root)", () => {
  const capability = Buffer.from("0100000200200000000000000000000000000000", "hex");

  test("set-id bits and capabilities survive the change of owner", async () => {
    await using fixture = await openTreeFixture();
    const { tree } = fixture;
    const attributes = { ...PLAIN, mode: 0o6755, uid: 1000, gid: 4_000_000_000 };
    tree.createFile("f", bytes("x"), { ...attributes, xattrs: [["security.capability", capability]] });
    expect(tree.lstat("f")).toMatchObject({ mode: 0o6755, uid: 1000, gid: 4_000_000_000 });
    expect(tree.xattrs("f")).toEqual([["security.capability", capability]]);
  });

  test("-1 leaves that part of the owner", async () => {
    await using fixture = await openTreeFixture();
    const { tree } = fixture;
    tree.createFile("f", EMPTY, { ...PLAIN, uid: 7, gid: 8 });
    tree.setAttributes("f", { ...PLAIN, uid: -1, gid: 9 });
    expect(tree.lstat("f")).toMatchObject({ uid: 7, gid: 9 });
  });

  test("symlinks, devices and FIFOs have owners and xattrs", async () => {
    await using fixture = await openTreeFixture();
    const { tree } = fixture;
    const attributes = { ...PLAIN, uid: 3, gid: 4, mtimeSec: 5, xattrs: [["trusted.x", bytes("y")]] as const };
    tree.symlink("s", "anywhere", attributes);
    tree.mknod("c", "character", 1, 3, attributes);
    tree.mknod("b", "block", 259, 70_000, attributes);
    tree.mknod("p", "fifo", 0, 0, attributes);
    for (const name of ["s", "c", "b", "p"]) {
      expect(tree.lstat(name), name).toMatchObject({ uid: 3, gid: 4, mtimeSec: 5 });
      expect(tree.xattrs(name), name).toEqual([["trusted.x", bytes("y")]]);
    }
    expect(tree.lstat("c")).toMatchObject({ type: "character", rdevMajor: 1, rdevMinor: 3, mode: 0o644 });
    expect(tree.lstat("b")).toMatchObject({ type: "block", rdevMajor: 259, rdevMinor: 70_000 });
    expect(tree.lstat("p")).toMatchObject({ type: "fifo" });
  });

  test("an overlay whiteout and an opaque marker can be made", async () => {
    await using fixture = await openTreeFixture();
    const { tree } = fixture;
    tree.mknod("gone", "character", 0, 0, { ...PLAIN, mode: 0 });
    tree.mkdir("d", DIRECTORY);
    tree.setXattr("d", "trusted.overlay.opaque", bytes("y"));
    expect(tree.lstat("gone")).toMatchObject({ type: "character", rdevMajor: 0, rdevMinor: 0, mode: 0 });
    expect(tree.xattrs("d")).toEqual([["trusted.overlay.opaque", bytes("y")]]);
  });
});
