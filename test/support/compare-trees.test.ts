import { chmod, link, mkdir, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { describeTree, diffTrees } from "./compare-trees.ts";
import { missingPrograms, run } from "./peers.ts";
import { openTempDir } from "./temp-dir.ts";

async function makeTree(root: string): Promise<void> {
  await mkdir(join(root, "d"), { recursive: true });
  await writeFile(join(root, "d/f"), "same");
  await link(join(root, "d/f"), join(root, "d/g"));
  await symlink("d/f", join(root, "l"));
  await writeFile(Buffer.concat([Buffer.from(`${root}/latin1-`), Buffer.from([0xe9])]), "");
  for (const path of ["d/f", "d", "."]) await utimes(join(root, path), 1, 1);
}

/** Differences between two trees of makeTree, one of which `change` has changed; times of the change itself left out. */
async function differencesAfter(change: (root: string) => Promise<unknown>): Promise<string[]> {
  await using temp = await openTempDir();
  const [a, b] = [join(temp.path, "a"), join(temp.path, "b")];
  await makeTree(a);
  await makeTree(b);
  await change(b);
  const ignoreWhere = (path: string, fact: string) => fact === "mtime" && path !== "d/f";
  return diffTrees(await describeTree(a), await describeTree(b), { ignoreWhere }).filter(
    (line) => !line.startsWith("d/g"),
  );
}

describe.skipIf(missingPrograms("getfattr", "setfattr").length > 0)("diffTrees (needs attr)", () => {
  it("finds two copies of a tree the same", async () => {
    expect(await differencesAfter(() => Promise.resolve())).toEqual([]);
  });

  it("reports contents, size and time of a changed file", async () => {
    const lines = await differencesAfter((root) => writeFile(join(root, "d/f"), "other"));
    expect(lines.map((line) => line.split(" ").slice(0, 2).join(" "))).toEqual([
      "d/f: size",
      "d/f: mtime",
      "d/f: content",
    ]);
  });

  it("reports set-id bits", async () => {
    expect(await differencesAfter((root) => chmod(join(root, "d/f"), 0o4755))).toEqual([
      "d/f: mode 0644 expected, 4755 found",
    ]);
  });

  it("reports an extended attribute", async () => {
    const setAttribute = (root: string) => run("setfattr", ["-n", "user.x", "-v", "0x00ff", join(root, "d")]);
    expect(await differencesAfter(setAttribute)).toEqual(["d: xattrs none expected, user.x=0x00ff found"]);
  });

  it("reports a link that is a copy", async () => {
    const copy = async (root: string) => {
      await rm(join(root, "d/g"));
      await writeFile(join(root, "d/g"), "same");
    };
    expect(await differencesAfter(copy)).toEqual(["d/f: links d/f = d/g expected, none found"]);
  });

  it("reports missing and unexpected paths, also with names that are no UTF-8", async () => {
    const rename = (root: string) =>
      run("sh", ["-c", 'for name in latin1-*; do mv "$name" plain; done'], { cwd: root });
    expect(await differencesAfter(rename)).toEqual(['"latin1-é": missing (file)', "plain: unexpected (file)"]);
  });
});
