/** The mount program refuses what is malformed or hostile before it does anything. */
import { spawnSync } from "node:child_process";
import { readFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { mountsBelow, type Operation, runOperations } from "../../native/index.ts";
import { HELPER, openMountFixture, rejectionOf } from "./fixtures.ts";

const PROGRAM = HELPER ?? join(import.meta.dirname, "../../native/build/rootwright-helper");
const mountinfo = (): string => readFileSync("/proc/self/mountinfo", "utf8");

function send(allow: string, request: string | Buffer) {
  const { status, stdout, stderr } = spawnSync(PROGRAM, ["run", "--allow", allow], { input: request });
  return { status, lines: stdout.toString().split("\n").slice(0, -1), stderr: stderr.toString() };
}

describe("a request is refused, and nothing of it is done", () => {
  // R is the allowed root; a good bind, which would be done if anything were, goes before each
  const good = "bind\0source=R/a\0target=R/b\0\0";
  test.each<[string, string, string | undefined]>([
    ["an unknown operation", "mount\0target=R/b\0\0", undefined],
    ["an unknown key", "bind\0source=R/a\0target=R/b\0options=suid\0\0", "options=suid"],
    ["a key of another operation", "bind\0source=R/a\0target=R/b\0upper=R/a\0\0", "upper=R/a"],
    ["a field without =", "bind\0source=R/a\0target=R/b\0readonly\0\0", "readonly"],
    ["a key that is given twice", "bind\0source=R/a\0target=R/b\0target=R/a\0\0", "target"],
    ["a missing target", "bind\0source=R/a\0\0", "target"],
    ["a missing source", "bind\0target=R/b\0\0", "source"],
    ["a missing mode", "propagation\0target=R/b\0\0", "mode"],
    ["an overlay without lower", "overlay\0target=R/b\0upper=R/a\0work=R/w\0\0", "lower"],
    ["an overlay without work", "overlay\0target=R/b\0lower=R/a\0upper=R/u\0\0", "work"],
    ["an overlay of one lower alone", "overlay\0target=R/b\0lower=R/a\0\0", "lower"],
    ["a relative path", "bind\0source=a\0target=R/b\0\0", "source"],
    ["an empty path", "bind\0source=\0target=R/b\0\0", "source"],
    ["..", "bind\0source=R/a\0target=R/../b\0\0", "target"],
    [".", "bind\0source=R/a\0target=R/./b\0\0", "target"],
    ["an empty component", "bind\0source=R/a\0target=R//b\0\0", "target"],
    ["a trailing slash", "bind\0source=R/a\0target=R/b/\0\0", "target"],
    ["a target outside", "bind\0source=R/a\0target=/mnt\0\0", "target"],
    ["a source outside", "bind\0source=/etc\0target=R/b\0\0", "source"],
    ["a lower outside", "overlay\0target=R/b\0lower=/etc\0lower=R/a\0\0", "lower"],
    ["an upper outside", "overlay\0target=R/b\0lower=R/a\0upper=/mnt\0work=R/w\0\0", "upper"],
    ["a neighbour of the root with its name as a prefix", "bind\0source=R/a\0target=R-not/b\0\0", "target"],
    ["the root itself as a target", "tmpfs\0target=R\0\0", "target"],
    ["a boolean that is none", "bind\0source=R/a\0target=R/b\0readonly=1\0\0", "readonly"],
    ["an option that is smuggled into a value", "overlay\0target=R/b\0lower=R/a\0lower=R/a\0xino=on,suid\0\0", "xino"],
    ["two choices in one", "propagation\0target=R/b\0mode=private|slave\0\0", "mode"],
    ["a size that is no number", "tmpfs\0target=R/b\0size=1m,suid\0\0", "size"],
    ["a mode that is not octal", "tmpfs\0target=R/b\0mode=888\0\0", "mode"],
    ["a component longer than 255 bytes", `tmpfs\0target=R/${"x".repeat(256)}\0\0`, "target"],
    ["an empty operation", "\0", undefined],
    ["garbage after the end", "rubbish", undefined],
    ["a record that does not end", "unmount\0target=R/b\0", undefined],
  ])("%s", async (_, bad, field) => {
    await using fixture = await openMountFixture();
    for (const name of ["a", "b", "u", "w"]) fixture.dir(name);
    const before = mountinfo();
    const { status, lines } = send(fixture.path, (good + bad).replaceAll("R", fixture.path));
    expect(status).toBe(64);
    expect(lines).toHaveLength(1);
    const answer = JSON.parse(lines[0] ?? "");
    expect(answer).toMatchObject({ ok: false, refused: true, index: bad === "rubbish" ? 0 : 1 });
    expect(answer.field).toBe(field?.replaceAll("R", fixture.path));
    expect(mountinfo()).toBe(before);
  });

  test("more than 1 MiB", async () => {
    await using fixture = await openMountFixture();
    const { status, lines } = send(fixture.path, Buffer.alloc(1024 * 1024 + 1, "unmount\0"));
    expect(status).toBe(64);
    expect(lines[0]).toMatch(/larger than 1 MiB/);
  });

  test("nothing at all", async () => {
    await using fixture = await openMountFixture();
    expect(send(fixture.path, "")).toMatchObject({ status: 64, lines: [expect.stringMatching(/empty/)] });
  });

  test("bytes that are not UTF-8, answered in JSON that is", async () => {
    await using fixture = await openMountFixture();
    const { status, lines } = send(fixture.path, Buffer.from('un"mo\x01\xff\xe9\0\0', "latin1"));
    expect(status).toBe(64);
    expect(JSON.parse(lines[0] ?? "")).toMatchObject({ op: 'un"mo\x01\ufffd\ufffd' });
  });
});

test.each([
  [[]],
  [["run"]],
  [["run", "--allow"]],
  [["run", "--allow", "/"]],
  [["run", "--allow", "tmp"]],
  [["mount"]],
  [["run", "--allow", "/tmp", "extra"]],
  [["probe", "/tmp"]],
  [["exec", "--root", "/usr"]],
  [["exec", "--root", "usr", "--", "true"]],
  [["--version", "x"]],
])("the arguments %j are answered with the usage", (args) => {
  const { status, stdout, stderr } = spawnSync(PROGRAM, args, { input: "" });
  expect({ status, stdout: stdout.toString() }).toEqual({ status: 64, stdout: "" });
  expect(stderr.toString()).toMatch(/usage: rootwright-helper run/);
});

test("a target behind a symlink is not mounted on", async () => {
  await using fixture = await openMountFixture();
  const source = fixture.dir("a");
  fixture.dir("real/b");
  symlinkSync("real", join(fixture.path, "link"));
  symlinkSync("/mnt", join(fixture.path, "out"));
  const before = mountinfo();
  for (const target of ["link/b", "link", "out"]) {
    const operation: Operation = { op: "bind", source, target: join(fixture.path, target) };
    const error = await rejectionOf(fixture.run(operation));
    expect(error).toMatchObject({ code: "operation-failed", operation: "bind" });
    expect(["ELOOP", "EPERM"]).toContain(error.errno);
  }
  expect(mountinfo()).toBe(before);
});

describe("from JavaScript", () => {
  test("a refusal names the operation and the field", async () => {
    await using fixture = await openMountFixture();
    const error = await rejectionOf(fixture.run({ op: "unmount", target: "/etc" }));
    expect(error).toMatchObject({
      code: "helper-refused",
      operation: "unmount",
      details: { index: 0, field: "target" },
    });
    expect(error.message).toMatch(/operation 0 \(unmount\), target: the path is not beneath an allowed root/);
  });

  test("a NUL in a value never reaches the wire", async () => {
    await using fixture = await openMountFixture();
    const error = await rejectionOf(fixture.run({ op: "unmount", target: `${fixture.path}/a\0detach=true` }));
    expect(error.code).toBe("helper-refused");
  });

  test("no operations are done without a process", async () => {
    expect(await runOperations([], { allow: [], helper: "/nonexistent" })).toEqual([]);
  });

  test("a program that is not built is helper-missing, with what to do", async () => {
    const operation: Operation = { op: "unmount", target: "/nonexistent/x" };
    const error = await rejectionOf(runOperations([operation], { allow: ["/nonexistent"], helper: "/nonexistent/p" }));
    expect(error).toMatchObject({ code: "helper-missing", hint: expect.stringMatching(/npm run build/) });
  });

  test("a signal that is aborted already starts nothing", async () => {
    await using fixture = await openMountFixture();
    const signal = AbortSignal.abort(new Error("enough"));
    const operations: Operation[] = [{ op: "unmount", target: join(fixture.path, "x") }];
    await expect(runOperations(operations, { allow: [fixture.path], signal })).rejects.toThrow("enough");
    expect(mountsBelow(fixture.path)).toEqual([]);
  });
});
