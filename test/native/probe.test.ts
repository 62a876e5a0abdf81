/** A probe answers by trying, and leaves nothing. */
import { spawnSync } from "node:child_process";
import { chmodSync, chownSync, copyFileSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { release } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type Probe, probe } from "../../native/index.ts";
import { openTempDir } from "../support/temp-dir.ts";
import { HELPER, IS_ROOT, openMountFixture, rejectionOf } from "./fixtures.ts";

const BUILT = HELPER ?? join(import.meta.dirname, "../../native/build/rootwright-helper");
const NOBODY = 65534;

test("it says what works here, and leaves neither files nor mounts", async () => {
  await using dir = await openTempDir("probe");
  const before = readFileSync("/proc/self/mountinfo", "utf8");
  const answer = await probe(dir.path, { helper: HELPER });
  expect(answer).toMatchObject({ directory: dir.path, kernel: release(), euid: process.geteuid?.() });
  expect(answer.filesystem.ok).toBe(true);
  expect(answer.userXattrs.reason === "").toBe(answer.userXattrs.ok);
  expect(readdirSync(dir.path)).toEqual([]);
  expect(readFileSync("/proc/self/mountinfo", "utf8")).toBe(before);
});

test("a directory that is not there is an error; one that is no real path is refused", async () => {
  expect(await rejectionOf(probe("/nonexistent/d"))).toMatchObject({ code: "operation-failed", errno: "ENOENT" });
  expect((await rejectionOf(probe("/tmp/../tmp"))).code).toBe("helper-refused");
});

describe.skipIf(!IS_ROOT)("in other places (needs root)", () => {
  test("root with a tmpfs can do all but reflinks", async () => {
    await using fixture = await openMountFixture();
    const target = fixture.dir("t");
    await fixture.run({ op: "tmpfs", target, size: 1 << 20 });
    const answer = await probe(target, { helper: HELPER });
    expect(answer.filesystem).toEqual({ ok: true, type: "tmpfs", reason: "" });
    const { overlay, overlayUserns, bind, bindUserns, mknod, trustedXattrs, dType, reflink } = answer;
    for (const finding of [overlay, overlayUserns, bind, bindUserns, mknod, trustedXattrs, dType]) {
      expect(finding).toMatchObject({ ok: true });
    }
    expect(reflink).toMatchObject({ ok: false, reason: expect.stringMatching(/Cannot share/) });
    expect(answer.capSysAdmin).toBe(true);
  });

  test("a read-only directory has a reason for every no", async () => {
    await using fixture = await openMountFixture();
    const target = fixture.dir("t");
    await fixture.run({ op: "tmpfs", target, readonly: true });
    const answer = await probe(target, { helper: HELPER });
    for (const finding of [answer.overlay, answer.bind, answer.mknod, answer.userXattrs]) {
      expect(finding).toEqual({ ok: false, reason: expect.stringMatching(/Cannot create a directory.*EROFS/) });
    }
  });

  test("an overlay cannot be the upper of another, which the probe finds out", async () => {
    await using fixture = await openMountFixture();
    const [target, upper, work, one, two] = ["t", "u", "w", "l1", "l2"].map((name) => fixture.dir(name)) as [
      string,
      string,
      string,
      string,
      string,
    ];
    await fixture.run({ op: "overlay", target, lower: [one, two], upper, work });
    const answer = await probe(target, { helper: HELPER });
    expect(answer.filesystem.type).toBe("overlay");
    expect(answer.overlay.ok).toBe(false);
    expect(answer.overlay.reason).not.toBe("");
    expect(readdirSync(target)).toEqual([]);
  });

  test("an ordinary user may do it in a user namespace only, and is told why", async () => {
    await using dir = await openTempDir("probe");
    const [program, own] = [join(dir.path, "helper"), join(dir.path, "own")];
    copyFileSync(BUILT, program);
    chmodSync(program, 0o755);
    chmodSync(dir.path, 0o755);
    mkdirSync(own);
    chownSync(own, NOBODY, NOBODY);
    const { stdout } = spawnSync(program, ["probe", "--allow", own, own], { uid: NOBODY, gid: NOBODY });
    const answer = JSON.parse(stdout.toString()) as Probe;
    expect(answer).toMatchObject({ euid: NOBODY, capSysAdmin: false });
    expect(answer.overlay).toEqual({ ok: false, reason: expect.stringMatching(/mount namespace.*EPERM/) });
    expect(answer.trustedXattrs.ok).toBe(false);
    expect(answer.overlayUserns).toMatchObject({ ok: true });
    expect(answer.bindUserns).toMatchObject({ ok: true });
    expect(readdirSync(own)).toEqual([]);
  });
});
