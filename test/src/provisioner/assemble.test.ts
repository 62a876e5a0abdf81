/** The directories of a root filesystem are the image's, whatever the store's directory and this process are set to. */
import { mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openTree } from "../../../native/index.ts";
import type { Plan } from "../../../src/backends/index.ts";
import type { ImageStack } from "../../../src/layers/ensure-stack.ts";
import { assemble } from "../../../src/provisioner/assemble.ts";
import type { Call, ProvisionerContext } from "../../../src/provisioner/context.ts";
import { ACL_OF_USER_1234, aclsOf, giveDefaultAcl } from "../../support/acl.ts";
import { openTempDir } from "../../support/temp-dir.ts";

/** With neither a copy nor mounts, the plan alone is looked at. */
function makeDirectories(directories: Plan["directories"]): Promise<void> {
  const plan: Plan = { rootfsPath: "/unused", readOnly: false, directories, mounts: [], copy: false };
  return assemble({} as ProvisionerContext, plan, {} as ImageStack, {} as Call);
}

test("directories in a store with a default ACL have no ACL, and hand none on", async () => {
  await using dir = await openTempDir("assemble");
  giveDefaultAcl(dir.path);
  const path = join(dir.path, "upper");
  await makeDirectories([{ path }]);
  mkdirSync(join(path, "inner"));
  using tree = openTree(path);
  expect([aclsOf(tree, "."), aclsOf(tree, "inner")]).toEqual([[], []]);
});

test("an upper directory has the ACLs of the image's root, and those alone", async () => {
  await using dir = await openTempDir("assemble");
  const like = join(dir.path, "like");
  mkdirSync(like, { mode: 0o750 });
  giveDefaultAcl(dir.path);
  const [plain, acl] = [join(dir.path, "plain"), join(dir.path, "acl")];
  await makeDirectories([{ path: plain, like }]);
  using model = openTree(like);
  model.setXattr(".", "system.posix_acl_access", ACL_OF_USER_1234);
  await makeDirectories([{ path: acl, like }]);
  using plainTree = openTree(plain);
  using aclTree = openTree(acl);
  expect(aclsOf(plainTree, ".")).toEqual([]);
  expect(plainTree.lstat(".")?.mode).toBe(0o750);
  expect(aclsOf(aclTree, ".")).toEqual(["system.posix_acl_access"]);
});

test("directories are of mode 0755 whatever the umask, and whatever a default ACL allows", async () => {
  await using dir = await openTempDir("assemble");
  const before = process.umask(0o077);
  try {
    await makeDirectories([{ path: join(dir.path, "a") }]);
    giveDefaultAcl(dir.path);
    await makeDirectories([{ path: join(dir.path, "b") }]);
  } finally {
    process.umask(before);
  }
  for (const name of ["a", "b"]) expect(statSync(join(dir.path, name)).mode & 0o7777).toBe(0o755);
});
