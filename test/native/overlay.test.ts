/** Overlays of few and of many layers, at places with difficult names. */
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { mountsBelow } from "../../native/index.ts";
import { IS_ROOT, type MountFixture, openMountFixture, rejectionOf } from "./fixtures.ts";

/** Layers base first, each with a file `common` that says which it is, and one of its own. */
function makeLayers(fixture: MountFixture, count: number, prefix = "layers"): string[] {
  return Array.from({ length: count }, (_, i) => {
    const layer = fixture.dir(join(prefix, `${i}`));
    writeFileSync(join(layer, "common"), `${i}`);
    writeFileSync(join(layer, `only-${i}`), "");
    return layer;
  });
}

describe.skipIf(!IS_ROOT)("overlay (needs root)", () => {
  test.each([1, 2, 128, 500])("%i lower directories show the topmost file", async (count) => {
    await using fixture = await openMountFixture();
    const lower = makeLayers(fixture, count).reverse();
    const [target, upper, work] = ["t", "u", "w"].map((name) => fixture.dir(name)) as [string, string, string];
    await fixture.run({ op: "overlay", target, lower, upper, work });
    expect(readFileSync(join(target, "common"), "utf8")).toBe(`${count - 1}`);
    expect(readdirSync(target)).toHaveLength(count + 1);
    writeFileSync(join(target, "new"), "");
    rmSync(join(target, "common"));
    expect(statSync(join(upper, "common")).isCharacterDevice()).toBe(true);
    expect(existsSync(join(upper, "new"))).toBe(true);
  });

  test("without upper it is read-only", async () => {
    await using fixture = await openMountFixture();
    const target = fixture.dir("t");
    await fixture.run({ op: "overlay", target, lower: makeLayers(fixture, 2) });
    expect(() => writeFileSync(join(target, "new"), "")).toThrow(/EROFS/);
  });

  test("readonly holds with an upper too", async () => {
    await using fixture = await openMountFixture();
    const [target, upper, work] = ["t", "u", "w"].map((name) => fixture.dir(name)) as [string, string, string];
    await fixture.run({
      op: "overlay",
      target,
      lower: makeLayers(fixture, 1),
      upper,
      work,
      readonly: true,
      nodev: true,
    });
    expect(() => writeFileSync(join(target, "new"), "")).toThrow(/EROFS/);
    expect(mountsBelow(target)[0]?.options).toEqual(expect.arrayContaining(["ro", "nodev"]));
  });

  test.each(["with space", "co:lon", "com,ma", "back\\slash", "all: ,\\of, them\\\\:", "new\nline", "quo\"te'", "ünï"])(
    "directories named %j",
    async (name) => {
      await using fixture = await openMountFixture();
      const lower = makeLayers(fixture, 2, join(name, "layers")).reverse();
      const [target, upper, work] = ["t", "u", "w"].map((part) => fixture.dir(join(name, part))) as [
        string,
        string,
        string,
      ];
      await fixture.run({ op: "overlay", target, lower, upper, work });
      expect(readFileSync(join(target, "common"), "utf8")).toBe("1");
      writeFileSync(join(target, "new"), "");
      expect(existsSync(join(upper, "new"))).toBe(true);
      expect(mountsBelow(fixture.path).map(({ mountPoint }) => mountPoint)).toEqual([target]);
    },
  );

  test("directories whose paths are longer than an option string may be", async () => {
    await using fixture = await openMountFixture();
    const deep = join("x".repeat(200), "y".repeat(200));
    const lower = makeLayers(fixture, 40, deep).reverse();
    const [target, upper, work] = ["t", "u", "w"].map((part) => fixture.dir(join(deep, part))) as [
      string,
      string,
      string,
    ];
    await fixture.run({ op: "overlay", target, lower, upper, work });
    expect(readFileSync(join(target, "common"), "utf8")).toBe("39");
  });

  test("options that are named are taken, and seen in mountinfo", async () => {
    await using fixture = await openMountFixture();
    const [target, upper, work] = ["t", "u", "w"].map((name) => fixture.dir(name)) as [string, string, string];
    const lower = makeLayers(fixture, 1);
    const options = { xino: "off", metacopy: "on", redirect_dir: "on", index: "off", volatile: true } as const;
    await fixture.run({ op: "overlay", target, lower, upper, work, ...options });
    const shown = mountsBelow(target)[0]?.superOptions;
    expect(shown).toEqual(expect.arrayContaining(["metacopy=on", "redirect_dir=on"]));
    // Newer kernels show it as fsync=volatile.
    expect(shown?.join()).toMatch(/volatile/);
  });

  test("a lower directory that is missing or a symlink is told by its path", async () => {
    await using fixture = await openMountFixture();
    const target = fixture.dir("t");
    const lower = [...makeLayers(fixture, 1), join(fixture.path, "missing")];
    const error = await rejectionOf(fixture.run({ op: "overlay", target, lower }));
    expect(error).toMatchObject({ code: "operation-failed", errno: "ENOENT", operation: "overlay", path: target });
    expect(error.message).toContain(join(fixture.path, "missing"));
    expect(mountsBelow(fixture.path)).toEqual([]);
  });
});
