/** Mounts that were moved, and probes that are interrupted: order and clean-up where the obvious order is wrong. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { mountsBelow } from "../../native/index.ts";
import { run } from "../support/peers.ts";
import { openTempDir } from "../support/temp-dir.ts";

describe.skipIf(process.getuid?.() !== 0)("mountsBelow (needs root)", () => {
  test("lists a parent before a child that is older and was moved there", async () => {
    await using temp = await openTempDir("moved");
    const [from, stack] = [join(temp.path, "from"), join(temp.path, "stack")];
    for (const path of [from, stack]) mkdirSync(path);
    // a mount of a shared parent cannot be moved
    await run("mount", ["--bind", temp.path, temp.path]);
    await run("mount", ["--make-private", temp.path]);
    mkdirSync(join(from, "a"));
    await run("mount", ["-t", "tmpfs", "none", join(from, "a")]);
    await run("mount", ["-t", "tmpfs", "none", stack]);
    mkdirSync(join(stack, "y"));
    await run("mount", ["--move", join(from, "a"), join(stack, "y")]);
    try {
      expect(mountsBelow(stack).map(({ mountPoint }) => mountPoint)).toEqual([stack, join(stack, "y")]);
    } finally {
      for (const path of [join(stack, "y"), stack, temp.path]) await run("umount", [path]);
    }
  });
});

test("an interrupted probe leaves no directory behind", async () => {
  await using temp = await openTempDir("probe");
  const helper = join(import.meta.dirname, "../../native/build/rootwright-helper");
  for (let round = 0; round < 12; round += 1) {
    const child = spawn(helper, ["probe", "--allow", temp.path, temp.path], { stdio: "ignore" });
    await once(child, "spawn");
    const start = performance.now();
    while (performance.now() - start < round / 2);
    child.kill("SIGTERM");
    await once(child, "exit");
  }
  expect(readdirSync(temp.path)).toEqual([]);
});
