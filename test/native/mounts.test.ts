/** Binds, tmpfs, remounts, propagation and unmounting; and taking back what was done when something fails. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { mountsBelow, type OperationResult, runOperations } from "../../native/index.ts";
import { HELPER, IS_ROOT, openMountFixture, rejectionOf } from "./fixtures.ts";

const pointsBelow = (path: string): string[] => mountsBelow(path).map(({ mountPoint }) => mountPoint);

describe.skipIf(!IS_ROOT)("bind (needs root)", () => {
  test("shows the source, writable", async () => {
    await using fixture = await openMountFixture();
    const [source, target] = [fixture.dir("a"), fixture.dir("b")];
    expect(await fixture.run({ op: "bind", source, target })).toEqual([{ index: 0, op: "bind", target, ok: true }]);
    writeFileSync(join(target, "f"), "through");
    expect(readFileSync(join(source, "f"), "utf8")).toBe("through");
  });

  test("readonly is really read-only, and the source stays writable", async () => {
    await using fixture = await openMountFixture();
    const [source, target] = [fixture.dir("a"), fixture.dir("b")];
    await fixture.run({ op: "bind", source, target, readonly: true, nosuid: true, nodev: true, noexec: true });
    expect(() => writeFileSync(join(target, "f"), "")).toThrow(/EROFS/);
    writeFileSync(join(source, "f"), "");
    const flags = ["ro", "nosuid", "nodev", "noexec"];
    expect(mountsBelow(target)[0]?.options).toEqual(expect.arrayContaining(flags));
  });

  test("does not take mounts below the source along unless told to", async () => {
    await using fixture = await openMountFixture();
    const [source, one, all] = [fixture.dir("a"), fixture.dir("one"), fixture.dir("all")];
    await fixture.run({ op: "tmpfs", target: fixture.dir("a/sub") });
    writeFileSync(join(source, "sub/f"), "");
    await fixture.run({ op: "bind", source, target: one }, { op: "bind", source, target: all, recursive: true });
    expect(readdirSync(join(one, "sub"))).toEqual([]);
    expect(readdirSync(join(all, "sub"))).toEqual(["f"]);
  });

  test.skipIf(HELPER?.endsWith("506"))("recursive and readonly reaches the mounts below", async () => {
    await using fixture = await openMountFixture();
    const [source, target] = [fixture.dir("a"), fixture.dir("b")];
    await fixture.run({ op: "tmpfs", target: fixture.dir("a/sub") });
    await fixture.run({ op: "bind", source, target, recursive: true, readonly: true });
    expect(() => writeFileSync(join(target, "sub/f"), "")).toThrow(/EROFS/);
    writeFileSync(join(source, "sub/f"), "");
  });

  test("takes files too, and the allowed root itself as a source", async () => {
    await using fixture = await openMountFixture();
    const [source, target] = [join(fixture.path, "a"), join(fixture.path, "b")];
    writeFileSync(source, "content");
    writeFileSync(target, "");
    await fixture.run({ op: "bind", source, target });
    expect(readFileSync(target, "utf8")).toBe("content");
    const whole = fixture.dir("whole");
    await fixture.run({ op: "bind", source: fixture.path, target: whole, readonly: true });
    expect(readdirSync(whole)).toContain("a");
  });
});

describe.skipIf(!IS_ROOT)("tmpfs, remount and propagation (needs root)", () => {
  test("a tmpfs has its size, mode and flags", async () => {
    await using fixture = await openMountFixture();
    const target = fixture.dir("t");
    await fixture.run({ op: "tmpfs", target, size: 1 << 20, mode: 0o1777, noexec: true });
    const [entry] = mountsBelow(target);
    expect(entry).toMatchObject({ type: "tmpfs", options: expect.arrayContaining(["noexec"]) });
    expect(entry?.superOptions).toEqual(expect.arrayContaining(["size=1024k"]));
    expect(() => writeFileSync(join(target, "f"), Buffer.alloc(2 << 20))).toThrow(/ENOSPC/);
  });

  test("a remount changes the flags that it names and no other", async () => {
    await using fixture = await openMountFixture();
    const target = fixture.dir("t");
    await fixture.run({ op: "tmpfs", target, nodev: true }, { op: "remount", target, readonly: true, nosuid: true });
    expect(mountsBelow(target)[0]?.options).toEqual(expect.arrayContaining(["ro", "nosuid", "nodev"]));
    await fixture.run({ op: "remount", target, readonly: false });
    expect(mountsBelow(target)[0]?.options).toEqual(expect.arrayContaining(["rw", "nosuid", "nodev"]));
  });

  test.each([
    ["private", { shared: false, master: false, unbindable: false }],
    ["shared", { shared: true, master: false, unbindable: false }],
    ["unbindable", { shared: false, master: false, unbindable: true }],
    ["slave", { shared: false, master: true, unbindable: false }],
    ["slave+shared", { shared: true, master: true, unbindable: false }],
  ] as const)("%s", async (mode, expected) => {
    await using fixture = await openMountFixture();
    const [source, target] = [fixture.dir("a"), fixture.dir("b")];
    // Something shared must be bound, for a slave to have a master.
    await fixture.run(
      { op: "tmpfs", target: source },
      { op: "propagation", target: source, mode: "shared" },
      { op: "bind", source, target },
      { op: "propagation", target, mode },
    );
    const [entry] = mountsBelow(target);
    const { shared, master, unbindable } = entry ?? {};
    expect({ shared: shared !== undefined, master: master !== undefined, unbindable }).toEqual(expected);
  });

  test("an unmount in a slave+shared copy does not reach its master", async () => {
    await using fixture = await openMountFixture();
    const [source, target] = [fixture.dir("a"), fixture.dir("b")];
    await fixture.run(
      { op: "tmpfs", target: source },
      { op: "propagation", target: source, mode: "shared" },
      { op: "bind", source, target },
      { op: "propagation", target, mode: "slave+shared" },
    );
    const inner = fixture.dir("a/inner");
    await fixture.run({ op: "tmpfs", target: inner });
    expect(pointsBelow(target)).toEqual([target, join(target, "inner")]);
    await fixture.run({ op: "unmount", target: join(target, "inner") });
    expect(pointsBelow(source)).toEqual([source, inner]);
  });
});

describe.skipIf(!IS_ROOT)("unmount (needs root)", () => {
  test("takes the topmost mount away, and nothing else", async () => {
    await using fixture = await openMountFixture();
    const target = fixture.dir("t");
    await fixture.run({ op: "tmpfs", target }, { op: "tmpfs", target });
    await fixture.run({ op: "unmount", target });
    expect(pointsBelow(target)).toEqual([target]);
  });

  test("of what is not mounted is EINVAL, with a hint", async () => {
    await using fixture = await openMountFixture();
    const error = await rejectionOf(fixture.run({ op: "unmount", target: fixture.dir("t") }));
    expect(error).toMatchObject({ errno: "EINVAL", hint: expect.stringMatching(/nothing is mounted/) });
  });

  test("of what is in use is EBUSY; detach takes it away at once", async () => {
    await using fixture = await openMountFixture();
    const target = fixture.dir("t");
    await fixture.run({ op: "tmpfs", target });
    const inside = spawn("cat", [], { cwd: target, stdio: ["pipe", "pipe", "ignore"] });
    // Echoed input: the process is surely there.
    inside.stdin.write("here");
    await once(inside.stdout, "data");
    expect(await rejectionOf(fixture.run({ op: "unmount", target }))).toMatchObject({ errno: "EBUSY" });
    await fixture.run({ op: "unmount", target, detach: true });
    expect(pointsBelow(target)).toEqual([]);
    inside.stdin.end();
    await once(inside, "close");
  });
});

describe.skipIf(!IS_ROOT)("when an operation fails (needs root)", () => {
  test("those before it are undone in reverse, and reported", async () => {
    await using fixture = await openMountFixture();
    const [a, b] = [fixture.dir("a"), fixture.dir("b")];
    const missing = join(fixture.path, "missing");
    const error = await rejectionOf(
      fixture.run(
        { op: "tmpfs", target: a },
        { op: "bind", source: a, target: b, readonly: true },
        { op: "propagation", target: b, mode: "slave+shared" },
        { op: "unmount", target: missing },
        { op: "tmpfs", target: b },
      ),
    );
    expect(error).toMatchObject({
      code: "operation-failed",
      operation: "unmount",
      path: missing,
      details: { left: [] },
    });
    const results = error.details["results"] as OperationResult[];
    expect(results.map(({ index, ok, undo = false }) => [index, ok, undo])).toEqual([
      [0, true, false],
      [1, true, false],
      [2, true, false],
      [3, false, false],
      [2, true, true],
      [1, true, true],
      [0, true, true],
    ]);
    expect(pointsBelow(fixture.path)).toEqual([]);
  });

  test("a mount that was there before gets back its flags, its propagation and itself", async () => {
    await using fixture = await openMountFixture();
    const [a, b, c] = [fixture.dir("a"), fixture.dir("b"), fixture.dir("c")];
    await fixture.run(
      { op: "tmpfs", target: a, nosuid: true },
      { op: "tmpfs", target: b },
      { op: "propagation", target: b, mode: "unbindable" },
      { op: "tmpfs", target: c },
    );
    writeFileSync(join(c, "f"), "kept");
    const states = () =>
      mountsBelow(fixture.path).map(({ mountPoint, options, unbindable }) => [mountPoint, options, unbindable]);
    const before = states();
    await rejectionOf(
      fixture.run(
        { op: "remount", target: a, readonly: true, nosuid: false },
        { op: "propagation", target: b, mode: "private" },
        { op: "unmount", target: c },
        { op: "unmount", target: join(fixture.path, "missing") },
      ),
    );
    expect(states()).toEqual(before);
    expect(readFileSync(join(c, "f"), "utf8")).toBe("kept");
  });

  test("an abort undoes what was done, or comes too late", async () => {
    await using fixture = await openMountFixture();
    const target = fixture.dir("t");
    const controller = new AbortController();
    const operations = Array.from({ length: 500 }, () => ({ op: "tmpfs", target }) as const);
    const running = runOperations(operations, { allow: [fixture.path], helper: HELPER, signal: controller.signal });
    setImmediate(() => controller.abort(new Error("enough")));
    const done = await running.then(
      (results) => results.length,
      (reason: Error) => reason.message,
    );
    expect(pointsBelow(target)).toHaveLength(done === "enough" ? 0 : operations.length);
    expect([operations.length, "enough"]).toContain(done);
  });
});
