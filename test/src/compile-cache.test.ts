import { spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { compileCacheDirectory } from "../../src/compile-cache.ts";
import { openTempDir } from "../support/temp-dir.ts";

const MAIN = join(import.meta.dirname, "../../src/main.ts");
const STRANGER = 12_345;

describe("compileCacheDirectory", () => {
  test("makes its directories for this user alone, and finds them again", async () => {
    await using home = await openTempDir("home");
    const directory = join(home.path, ".cache/rootwright/node");
    expect(compileCacheDirectory(home.path)).toBe(directory);
    for (const name of [".cache", ".cache/rootwright", ".cache/rootwright/node"])
      expect(statSync(join(home.path, name)).mode & 0o777, name).toBe(0o700);
    expect(compileCacheDirectory(home.path)).toBe(directory);
  });

  test("takes directories that others may read", async () => {
    await using home = await openTempDir("home");
    mkdirSync(join(home.path, ".cache"));
    chmodSync(join(home.path, ".cache"), 0o755);
    expect(compileCacheDirectory(home.path)).toBeDefined();
    expect(statSync(join(home.path, ".cache")).mode & 0o777).toBe(0o755);
  });

  test.each(["", ".", "home", "~"])("makes nothing below a home that is not absolute: %j", async (home) => {
    const before = readdirSync(".");
    expect(compileCacheDirectory(home)).toBeUndefined();
    expect(readdirSync(".")).toEqual(before);
  });

  test.each(["/proc", "/dev/null", "/dev/null/home", "/\0"])("does without one below %j", (home) => {
    expect(compileCacheDirectory(home)).toBeUndefined();
  });

  test.each(["", ".cache", ".cache/rootwright", ".cache/rootwright/node"])(
    "does without one when others may write to home/%s",
    async (name) => {
      await using home = await openTempDir("home");
      compileCacheDirectory(home.path);
      for (const mode of [0o770, 0o707, 0o1777]) {
        chmodSync(join(home.path, name), mode);
        expect(compileCacheDirectory(home.path), mode.toString(8)).toBeUndefined();
      }
    },
  );

  test.each([".cache", ".cache/rootwright", ".cache/rootwright/node"])(
    "does without one when home/%s is a link or a file",
    async (name) => {
      await using home = await openTempDir("home");
      await using elsewhere = await openTempDir("elsewhere");
      mkdirSync(join(home.path, name, ".."), { recursive: true, mode: 0o700 });
      symlinkSync(elsewhere.path, join(home.path, name));
      expect(compileCacheDirectory(home.path)).toBeUndefined();
      expect(readdirSync(elsewhere.path)).toEqual([]);
    },
  );

  test("does without one when its name is a file's", async () => {
    await using home = await openTempDir("home");
    writeFileSync(join(home.path, ".cache"), "");
    expect(compileCacheDirectory(home.path)).toBeUndefined();
  });

  test.skipIf(process.getuid?.() !== 0).each(["", ".cache", ".cache/rootwright", ".cache/rootwright/node"])(
    "does without one when home/%s belongs to somebody else (needs root)",
    async (name) => {
      await using home = await openTempDir("home");
      compileCacheDirectory(home.path);
      chownSync(join(home.path, name), STRANGER, STRANGER);
      expect(compileCacheDirectory(home.path)).toBeUndefined();
    },
  );

  test.skipIf(process.getuid?.() !== 0)("makes nothing in somebody else's home (needs root)", async () => {
    await using home = await openTempDir("home");
    chownSync(home.path, STRANGER, STRANGER);
    expect(compileCacheDirectory(home.path)).toBeUndefined();
    expect(readdirSync(home.path)).toEqual([]);
  });
});

describe("the program", () => {
  const start = (home: string, cwd: string) =>
    spawnSync(process.execPath, [MAIN, "--version"], {
      cwd,
      env: { PATH: process.env["PATH"], HOME: home },
      encoding: "utf8",
      timeout: 30_000,
    });

  test("fills its cache", async () => {
    await using home = await openTempDir("home");
    expect(start(home.path, "/").status).toBe(0);
    expect(readdirSync(join(home.path, ".cache/rootwright/node"))).toHaveLength(1);
  });

  test.each(["", ".", "/proc"])("starts with HOME=%s, and leaves the current directory as it is", async (home) => {
    await using current = await openTempDir("current");
    expect(start(home, current.path)).toMatchObject({ status: 0, stderr: "" });
    expect(readdirSync(current.path)).toEqual([]);
    expect(existsSync("/proc/.cache")).toBe(false);
  });
});
