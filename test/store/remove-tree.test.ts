import { execFileSync, spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { removeTree } from "../../store/remove-tree.ts";
import { codeOf, temporaryRoot } from "./fixtures/temporary-store.ts";

const notRoot = process.getuid?.() !== 0;

function tree() {
  const directory = temporaryRoot();
  const path = join(directory.path, "staging/tree");
  mkdirSync(path, { recursive: true });
  return { outside: directory.path, path, [Symbol.dispose]: () => directory[Symbol.dispose]() };
}

describe("removeTree", () => {
  test("removes what links point to nowhere: neither files, nor directories", () => {
    using it = tree();
    mkdirSync(join(it.outside, "kept"));
    writeFileSync(join(it.outside, "kept/file"), "precious");
    symlinkSync(join(it.outside, "kept"), join(it.path, "directory"));
    symlinkSync("../../kept/file", join(it.path, "file"));
    symlinkSync("/does/not/exist", join(it.path, "dangling"));
    removeTree(it.path);
    expect(existsSync(it.path)).toBe(false);
    expect(readFileSync(join(it.outside, "kept/file"), "utf8")).toBe("precious");
  });

  test("removes a link where a tree was expected, not what it points to", () => {
    using it = tree();
    const link = join(it.outside, "staging/link");
    symlinkSync(it.path, link);
    removeTree(link);
    expect(existsSync(link)).toBe(false);
    expect(existsSync(it.path)).toBe(true);
  });

  test("is content with nothing", () => {
    using it = tree();
    removeTree(join(it.path, "missing"));
  });

  test("removes names that are no UTF-8", () => {
    using it = tree();
    const name = Buffer.concat([Buffer.from(`${it.path}/`), Buffer.from([0xff, 0xfe, 0x2f, 0xc3])]);
    mkdirSync(name.subarray(0, -2));
    writeFileSync(name, "");
    removeTree(it.path);
    expect(existsSync(it.path)).toBe(false);
  });

  test("removes a tree deeper than any path can be long", () => {
    using it = tree();
    // made step by step from inside: no single path reaches the bottom
    const script = `for (let i = 0; i < 150; i++) { fs.mkdirSync("d".repeat(200)); process.chdir("d".repeat(200)); } fs.writeFileSync("file", "");`;
    execFileSync(process.execPath, ["-e", script], { cwd: it.path });
    removeTree(it.path);
    expect(readdirSync(join(it.outside, "staging"))).toEqual([]);
  });

  test("removes pipes, and directories without permission bits", () => {
    using it = tree();
    mkdirSync(join(it.path, "closed/inner"), { recursive: true });
    execFileSync("mkfifo", [join(it.path, "closed/inner/pipe")]);
    for (const path of ["closed/inner", "closed", "."]) chmodSync(join(it.path, path), 0);
    removeTree(it.path);
    expect(lstatSync(it.path, { throwIfNoEntry: false })).toBeUndefined();
  });
});

describe.skipIf(notRoot)("removeTree (needs root)", () => {
  test("removes, as an ordinary user, directories that their modes close to him", () => {
    using it = tree();
    mkdirSync(join(it.path, "closed/inner"), { recursive: true });
    writeFileSync(join(it.path, "closed/inner/file"), "");
    execFileSync("chown", ["-R", "65534:65534", it.outside]);
    for (const path of ["closed/inner/file", "closed/inner", "closed", "."]) chmodSync(join(it.path, path), 0);
    const module = new URL("../../store/remove-tree.ts", import.meta.url).href;
    const script = `import { removeTree } from ${JSON.stringify(module)}; removeTree(${JSON.stringify(it.path)});`;
    const ids = { uid: 65_534, gid: 65_534 };
    const done = spawnSync(process.execPath, ["--input-type=module", "-e", script], {
      ...ids,
      cwd: "/",
      encoding: "utf8",
    });
    expect(done.stderr).toBe("");
    expect(existsSync(it.path)).toBe(false);
  });

  test("does, as an ordinary user, nothing to what belongs to others", () => {
    using it = tree();
    writeFileSync(join(it.path, "file"), "");
    chownSync(join(it.outside), 65_534, 65_534);
    const module = new URL("../../store/remove-tree.ts", import.meta.url).href;
    const script = `import { removeTree } from ${JSON.stringify(module)}; removeTree(${JSON.stringify(it.path)});`;
    const ids = { uid: 65_534, gid: 65_534 };
    const done = spawnSync(process.execPath, ["--input-type=module", "-e", script], {
      ...ids,
      cwd: "/",
      encoding: "utf8",
    });
    expect(done.stderr).toContain("EACCES");
    expect(existsSync(join(it.path, "file"))).toBe(true);
  });

  test.each([
    ["another file system", (point: string) => ["-t", "tmpfs", "none", point]],
    ["a directory of the same one", (point: string, outside: string) => ["--bind", join(outside, "kept"), point]],
  ])("stops before the first file when %s is mounted inside", (_, mount) => {
    using it = tree();
    mkdirSync(join(it.outside, "kept"));
    writeFileSync(join(it.outside, "kept/file"), "precious");
    writeFileSync(join(it.path, "a"), "");
    const point = join(it.path, "point");
    mkdirSync(point);
    expect(spawnSync("mount", mount(point, it.outside)).status).toBe(0);
    using _unmount = { [Symbol.dispose]: () => void spawnSync("umount", [point]) };
    expect(codeOf(() => removeTree(it.path))).toBe("rootfs-mounted");
    expect(existsSync(join(it.path, "a"))).toBe(true);
    expect(existsSync(join(it.outside, "kept/file"))).toBe(true);
  });
});
