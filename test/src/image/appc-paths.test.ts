import { describe, expect, test } from "vitest";
import { PathList } from "../../../src/image/appc-paths.ts";

describe("PathList", () => {
  test.each([
    ["/a/b", true, true],
    ["/a", false, true],
    ["/", false, true],
    ["/a/b/c", true, false],
    ["/a-b", true, false],
    ["/a/", false, true],
    ["/a/bb", false, false],
    ["/b", false, false],
    ["/z", false, false],
  ])("knows of %s whether it is listed and whether it leads to others", (path, listed, leads) => {
    const list = new PathList(["/a/b/c", "/a/b", "/a-b", "/a!", "/a/b", "/bb"]);
    expect([list.has(path), list.leadsTo(path)]).toEqual([listed, leads]);
  });

  test("takes paths without a slash before them as well", () => {
    const list = new PathList(["a/b", "c"]);
    expect(["", "a", "a/b", "c", "b"].map((path) => list.leadsTo(path))).toEqual([true, true, false, false, false]);
  });

  test("that is empty has nothing, and nothing leads there", () => {
    const list = new PathList([]);
    expect([list.has("/"), list.leadsTo("/"), list.leadsTo("")]).toEqual([false, false, false]);
  });

  test("of long paths answers without writing down all that leads to them", () => {
    const deep = Array.from({ length: 1000 }, (_, at) => `/${at}${"/a".repeat(2040)}`);
    const before = process.memoryUsage().heapUsed;
    const list = new PathList(deep);
    const found = deep.filter((path) => list.has(path) && list.leadsTo(path.slice(0, -2)) && !list.leadsTo(path));
    expect(found.length).toBe(deep.length);
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(64 * 1024 * 1024);
  });
});
