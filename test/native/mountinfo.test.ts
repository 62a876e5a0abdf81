/** Parsing mountinfo: escapes, optional fields, and lines that are none. */
import { expect, test } from "vitest";
import { mountsBelow, parseMountInfo } from "../../native/index.ts";

test("all fields of a line are read", () => {
  const line =
    "36 35 98:0 /mnt1 /mnt2 rw,noatime shared:7 master:1 propagate_from:2 - ext3 /dev/root rw,errors=continue\n";
  expect(parseMountInfo(line)).toEqual([
    {
      id: 36,
      parentId: 35,
      device: "98:0",
      root: "/mnt1",
      mountPoint: "/mnt2",
      options: ["rw", "noatime"],
      shared: 7,
      master: 1,
      unbindable: false,
      type: "ext3",
      source: "/dev/root",
      superOptions: ["rw", "errors=continue"],
    },
  ]);
});

test("octal escapes and UTF-8 are undone, backslashes last", () => {
  const path = Buffer.from("/a\\040b\\011c\\012d\\134040\\043ü", "utf8").toString("latin1");
  const [entry] = parseMountInfo(`1 2 0:3 / ${path} rw unbindable - tmpfs none\\040x rw`);
  expect(entry).toMatchObject({ mountPoint: "/a b\tc\nd\\040#ü", unbindable: true, source: "none x" });
});

test("a source may be empty, and a line that is cut off is skipped", () => {
  const entries = parseMountInfo("1 2 0:3 / /x rw - tmpfs  rw\n1 2 0:3 / /y\n\n");
  expect(entries).toMatchObject([{ mountPoint: "/x", source: "", superOptions: ["rw"] }]);
});

test("mounts below a directory include its own, and not its neighbours'", () => {
  const all = mountsBelow("/");
  expect(all.map(({ mountPoint }) => mountPoint)).toContain("/");
  expect(mountsBelow("/proc").map(({ mountPoint }) => mountPoint)).toContain("/proc");
  expect(mountsBelow("/pro")).toEqual([]);
});
