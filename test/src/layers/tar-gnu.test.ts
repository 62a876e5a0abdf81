/** Archives that GNU tar writes, of real files, in all of its formats: what is read is what the files are. */
import { lstatSync, readFileSync } from "node:fs";
import { link, mkdir, open, symlink, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { missingPrograms, run } from "../../support/peers.ts";
import { contentOf, type ReadEntry, readTar } from "../../support/read-tar.ts";
import { openTempDir, type TempDir } from "../../support/temp-dir.ts";

const IS_ROOT = process.getuid?.() === 0;
const noXattrs = missingPrograms("setfattr", "getfattr").length > 0;

let temp: TempDir;
beforeAll(async () => {
  temp = await openTempDir("tar-gnu");
});
afterAll(() => temp[Symbol.asyncDispose]());

/** A directory of its own, packed by GNU tar. */
async function packed(make: (dir: string) => Promise<unknown>, ...args: string[]): Promise<[string, ReadEntry[]]> {
  const dir = join(temp.path, expect.getState().currentTestName?.replace(/[^a-z0-9.]+/gi, "-") ?? "x");
  await mkdir(dir);
  await make(dir);
  const tar = `${dir}.tar`;
  await run("tar", [...args, "--sort=name", "-C", dir, "-cf", tar, "."], { env: { LC_ALL: "C" } });
  return [dir, readTar(readFileSync(tar), 10_007)];
}

const find = (entries: readonly ReadEntry[], path: string): ReadEntry => {
  const found = entries.find((entry) => entry.path === path);
  if (found === undefined) throw new Error(`No ${path} in ${entries.map((entry) => entry.path).join(" ")}`);
  return found;
};

async function writeHoles(path: string, pieces: number, sizeBytes: number): Promise<void> {
  await truncate(path, sizeBytes).catch(() => writeFile(path, "").then(() => truncate(path, sizeBytes)));
  const file = await open(path, "r+");
  try {
    for (let at = 0; at < pieces; at += 1)
      await file.write(`piece ${at}`, Math.floor((sizeBytes / pieces) * at) + 4096);
  } finally {
    await file.close();
  }
}

describe("what GNU tar writes of sparse files", () => {
  const formats = [
    ["GNU's own", ["--format=gnu"]],
    ["old GNU", ["--format=oldgnu"]],
    ["PAX 0.0", ["--format=pax", "--sparse-version=0.0"]],
    ["PAX 0.1", ["--format=pax", "--sparse-version=0.1"]],
    ["PAX 1.0", ["--format=pax", "--sparse-version=1.0"]],
  ] as const;
  test.each(formats.flatMap(([name, args]) => [1, 3, 60].map((pieces) => [name, pieces, args] as const)))(
    "is read: %s, %i pieces",
    async (_name, pieces, args) => {
      const name = `${"sparse-file-with-a-name-".repeat(6)}s`;
      const make = async (dir: string): Promise<void> => {
        await writeHoles(join(dir, name), pieces, 6_000_000);
        await writeFile(join(dir, "z"), "behind it");
      };
      const [dir, entries] = await packed(make, "--sparse", ...args);
      const entry = find(entries, `./${name}`);
      expect(entry.size).toBe(6_000_000);
      expect(entry.sparse?.length).toBeGreaterThanOrEqual(1);
      expect(contentOf(entry).equals(readFileSync(join(dir, name)))).toBe(true);
      expect(find(entries, "./z").stored).toBe("behind it");
    },
  );

  test("is read: nothing but a hole, and none", async () => {
    const make = async (dir: string): Promise<void> => {
      await writeHoles(join(dir, "hole"), 0, 1_000_000);
      await writeFile(join(dir, "solid"), "x".repeat(10_000));
    };
    const [, entries] = await packed(make, "--sparse", "--format=pax");
    expect(find(entries, "./hole")).toMatchObject({ size: 1_000_000, sparse: [], stored: "" });
    expect(find(entries, "./solid")).not.toHaveProperty("sparse");
  });
});

describe.each(["v7", "ustar", "oldgnu", "gnu", "pax"])("what GNU tar writes in format %s", (format) => {
  test("is read: types, modes, owners, times, targets and content", async () => {
    const make = async (dir: string): Promise<void> => {
      await mkdir(join(dir, "d"), { mode: 0o750 });
      await writeFile(join(dir, "d/f"), "content", { mode: 0o640 });
      await symlink("../no where", join(dir, "d/l"));
      await link(join(dir, "d/f"), join(dir, "d/second"));
      if (format !== "v7") await run("mkfifo", ["-m", "600", join(dir, "d/p")]);
    };
    const args = [`--format=${format}`, "--owner=1234", "--group=2345", "--numeric-owner", "--mtime=@1234567890"];
    const [, entries] = await packed(make, ...args);
    const owned = { uid: 1234, gid: 2345, mtimeSec: 1_234_567_890, mtimeNsec: 0 };
    expect(find(entries, "./d/")).toMatchObject({ type: "directory", mode: 0o750, ...owned });
    expect(find(entries, "./d/f")).toMatchObject({ type: "file", mode: 0o640, stored: "content", ...owned });
    expect(find(entries, "./d/l")).toMatchObject({ type: "symlink", link: "../no where", ...owned });
    expect(find(entries, "./d/second")).toMatchObject({ type: "hardlink", link: "./d/f" });
    if (format !== "v7") expect(find(entries, "./d/p")).toMatchObject({ type: "fifo", mode: 0o600 });
  });

  test("is read: names that are no UTF-8", async () => {
    const name = Buffer.from("caf\xe9 \xff\n", "latin1");
    const make = (dir: string) => writeFile(Buffer.concat([Buffer.from(`${dir}/`), name]), "x");
    const [, entries] = await packed(make, `--format=${format}`);
    expect(find(entries, "./caf\xe9 \xff\n").stored).toBe("x");
  });
});

describe.each(["oldgnu", "gnu", "pax"])(
  "what GNU tar writes in format %s, which the older ones cannot say",
  (format) => {
    test("is read: paths and targets over 255 bytes", async () => {
      const parent = ["a".repeat(200), "b".repeat(200)].join("/");
      const target = "t/".repeat(200);
      const make = async (dir: string): Promise<void> => {
        await mkdir(join(dir, parent), { recursive: true });
        await writeFile(join(dir, parent, "f"), "x");
        await symlink(target, join(dir, parent, "l"));
      };
      const [, entries] = await packed(make, `--format=${format}`);
      expect(find(entries, `./${parent}/f`).stored).toBe("x");
      expect(find(entries, `./${parent}/l`).link).toBe(target);
    });

    test("is read: large owners and times before 1970", async () => {
      const args = ["--owner=4000000000", "--group=3999999999", "--numeric-owner", "--mtime=@-5.25"];
      const [, entries] = await packed((dir) => writeFile(join(dir, "f"), ""), `--format=${format}`, ...args);
      const mtimeNsec = format === "pax" ? 750_000_000 : 0;
      expect(find(entries, "./f")).toMatchObject({ uid: 4_000_000_000, gid: 3_999_999_999, mtimeSec: -6, mtimeNsec });
    });
  },
);

test("what GNU tar writes is read: nanoseconds", async () => {
  const [dir, entries] = await packed((path) => writeFile(join(path, "f"), ""), "--format=pax");
  const { mtimeNs } = lstatSync(join(dir, "f"), { bigint: true });
  const { mtimeSec, mtimeNsec } = find(entries, "./f");
  expect(BigInt(mtimeSec) * 1_000_000_000n + BigInt(mtimeNsec)).toBe(mtimeNs);
});

describe.skipIf(!IS_ROOT || noXattrs)("what GNU tar writes of attributes (as root)", () => {
  const capability = "0100000200200000000000000a00000000000000";
  /** user::rw-, user:4000000001:r--, group::r--, mask::r--, other::r-- */
  const acl =
    "02000000" +
    ["01000600ffffffff", "02000400012c6bee", "04000400ffffffff", "10000400ffffffff", "20000400ffffffff"].join("");
  const set = (path: string, name: string, hex: string) => run("setfattr", ["-n", name, "-v", `0x${hex}`, path]);
  const hexOf = (entry: ReadEntry): unknown =>
    entry.xattrs.map(([name, value]) => [name, Buffer.from(value).toString("hex")]);

  test("is read: binary values", async () => {
    const make = async (dir: string): Promise<void> => {
      await writeFile(join(dir, "f"), "");
      await set(join(dir, "f"), "security.capability", capability);
      await set(join(dir, "f"), "user.lines", "0a003d20ff0a");
    };
    const [, entries] = await packed(make, "--format=pax", "--xattrs", "--xattrs-include=*");
    expect(hexOf(find(entries, "./f"))).toEqual([
      ["security.capability", capability],
      ["user.lines", "0a003d20ff0a"],
    ]);
  });

  test("is read: access control lists, which become the attributes that they were", async () => {
    const make = async (dir: string): Promise<void> => {
      await mkdir(join(dir, "d"));
      await writeFile(join(dir, "d/f"), "", { mode: 0o644 });
      await set(join(dir, "d/f"), "system.posix_acl_access", acl);
      await set(join(dir, "d"), "system.posix_acl_default", acl);
    };
    const [, entries] = await packed(make, "--format=pax", "--acls");
    expect(hexOf(find(entries, "./d/f"))).toEqual([["system.posix_acl_access", acl]]);
    expect(hexOf(find(entries, "./d/"))).toEqual([["system.posix_acl_default", acl]]);
  });

  test("is read: devices", async () => {
    const make = async (dir: string): Promise<void> => {
      await run("mknod", [join(dir, "c"), "c", "1", "3"]);
      await run("mknod", [join(dir, "b"), "b", "4095", "1048575"]);
    };
    const [, entries] = await packed(make, "--format=gnu");
    expect(find(entries, "./c")).toMatchObject({ type: "character", major: 1, minor: 3 });
    expect(find(entries, "./b")).toMatchObject({ type: "block", major: 4095, minor: 1_048_575 });
  });
});
