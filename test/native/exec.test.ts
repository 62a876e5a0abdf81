/** Running a program in a root filesystem: what it sees, and with which status it ends. */
import { spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { execInRoot } from "../../native/index.ts";
import { openTempDir } from "../support/temp-dir.ts";
import { findBusybox, HELPER, IS_ROOT, rejectionOf } from "./fixtures.ts";

const BUSYBOX = findBusybox();
const BUILT = HELPER ?? join(import.meta.dirname, "../../native/build/rootwright-helper");
const NOBODY = 65534;

/** A root filesystem of busybox, that everybody may enter. */
async function openRootfs() {
  const dir = await openTempDir("exec");
  const root = join(dir.path, "rootfs");
  for (const name of ["bin", "proc", "etc", "tmp"]) mkdirSync(join(root, name), { recursive: true });
  copyFileSync(BUSYBOX ?? "", join(root, "bin/busybox"));
  for (const name of ["sh", "ls", "pwd", "env", "id", "cat", "kill", "mount"])
    symlinkSync("busybox", join(root, "bin", name));
  writeFileSync(join(root, "etc/plain"), "not a program", { mode: 0o644 });
  chmodSync(dir.path, 0o755);
  return {
    root,
    dir: dir.path,
    run: (argv: string[], options = {}) => execInRoot(root, argv, { stdio: "pipe", helper: HELPER, ...options }),
    [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose](),
  };
}

describe.skipIf(!IS_ROOT || !BUSYBOX)("exec (needs root, and busybox-static)", () => {
  test("the program sees the root filesystem and nothing else", async () => {
    await using rootfs = await openRootfs();
    const { code, stdout } = await rootfs.run(["ls", "/"]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: "bin\netc\nproc\ntmp\n" });
    expect((await rootfs.run(["sh", "-c", "cd ../../../..; pwd; ls ../.."])).stdout).toBe("/\nbin\netc\nproc\ntmp\n");
  });

  test.each([
    [0, ["sh", "-c", "exit 0"]],
    [7, ["sh", "-c", "exit 7"]],
    [127, ["no-such-program"]],
    [127, ["/no/such/program"]],
    [126, ["/etc/plain"]],
    [126, ["/etc"]],
    [143, ["sh", "-c", "kill -TERM $$"]],
  ])("ends with %i for %j", async (expected, argv) => {
    await using rootfs = await openRootfs();
    const { code, signal } = await rootfs.run(argv);
    expect(code).toBe(expected);
    expect(signal).toBe(expected === 143 ? "SIGTERM" : undefined);
  });

  test("a root or working directory that is not there is 125, with one line why", async () => {
    await using rootfs = await openRootfs();
    const { code, stderr } = await rootfs.run(["true"], { cwd: "/missing" });
    expect(code).toBe(125);
    expect(stderr).toMatch(/^rootwright-helper: Cannot change to \/missing.*ENOENT.*\n$/);
    expect((await execInRoot(join(rootfs.root, "missing"), ["true"], { stdio: "pipe" })).code).toBe(125);
  });

  test("the environment is what was given, and a PATH", async () => {
    await using rootfs = await openRootfs();
    const { stdout } = await rootfs.run(["env"], { env: { B: "2=2", A: "" } });
    expect(stdout?.split("\n").sort()).toEqual(["", "A=", "B=2=2", expect.stringMatching(/^PATH=.*:\/bin$/)]);
    const own = await rootfs.run(["/bin/env"], { env: { PATH: "/nowhere" } });
    expect(own.stdout).toBe("PATH=/nowhere\n");
    expect((await rootfs.run(["env"], { env: { PATH: "/nowhere" } })).code).toBe(127);
  });

  test("the working directory is the given one", async () => {
    await using rootfs = await openRootfs();
    expect((await rootfs.run(["pwd"], { cwd: "/etc" })).stdout).toBe("/etc\n");
  });

  test("proc is mounted inside, and no mount is seen outside", async () => {
    await using rootfs = await openRootfs();
    const before = readFileSync("/proc/self/mountinfo", "utf8");
    const { stdout } = await rootfs.run(["sh", "-c", "mount -t tmpfs none /tmp; cat /proc/mounts"]);
    expect(stdout).toMatch(/^proc \/proc proc /m);
    expect(stdout).toMatch(/ \/tmp tmpfs /);
    expect(stdout?.split("\n")).toHaveLength(4);
    expect(readFileSync("/proc/self/mountinfo", "utf8")).toBe(before);
  });

  test("a proc that is a symlink is not mounted through", async () => {
    await using rootfs = await openRootfs();
    symlinkSync("/etc", join(rootfs.root, "tmp/proc"));
    const { code, stdout } = await execInRoot(join(rootfs.root, "tmp"), ["ls"], { stdio: "pipe" });
    expect({ code, stdout }).toEqual({ code: 127, stdout: "" });
  });

  test("an abort ends the program", async () => {
    await using rootfs = await openRootfs();
    const controller = new AbortController();
    const running = rootfs.run(["sh", "-c", "while :; do :; done"], { signal: controller.signal });
    setImmediate(() => controller.abort(new Error("enough")));
    await expect(running).rejects.toThrow("enough");
  });

  test("arguments that cannot be are refused before anything starts", async () => {
    await using rootfs = await openRootfs();
    for (const running of [
      rootfs.run([]),
      rootfs.run(["a\0b"]),
      rootfs.run(["env"], { cwd: "etc" }),
      rootfs.run(["env"], { env: { "A=B": "c" } }),
      execInRoot("/", ["true"]),
      execInRoot("relative", ["true"]),
      execInRoot("/usr/../usr", ["true"]),
    ]) {
      expect((await rejectionOf(running)).code).toBe("helper-refused");
    }
  });

  test("root in a user namespace maps to the caller", async () => {
    await using rootfs = await openRootfs();
    const { code, stdout } = await rootfs.run(["id", "-u"], { userns: true });
    expect({ code, stdout }).toEqual({ code: 0, stdout: "0\n" });
  });

  test("an ordinary user is root in a namespace of its own, and 125 without", async () => {
    await using rootfs = await openRootfs();
    const program = join(rootfs.dir, "helper");
    copyFileSync(BUILT, program);
    chmodSync(program, 0o755);
    const runAs = (...args: string[]) => {
      const { status, stdout, stderr } = spawnSync(program, ["exec", "--root", rootfs.root, ...args], {
        uid: NOBODY,
        gid: NOBODY,
      });
      return { status, stdout: stdout.toString(), stderr: stderr.toString() };
    };
    expect(runAs("--userns", "--", "id", "-u")).toEqual({ status: 0, stdout: "0\n", stderr: "" });
    expect(runAs("--userns", "--", "sh", "-c", "exit 9").status).toBe(9);
    expect(runAs("--userns", "--", "nothing").status).toBe(127);
    expect(runAs("--", "id")).toMatchObject({ status: 125, stderr: expect.stringMatching(/EPERM/) });
  });
});
