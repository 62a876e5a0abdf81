/** Attributes that no file system takes, that would speak to overlayfs, or that mean more here than where they were made. */
import { lstatSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { NativeError, openTree } from "../../../../native/index.ts";
import type { Xattr } from "../../../../src/layers/entry.ts";
import { explainRefusals } from "../../../../src/layers/refused.ts";
import { base256, type TarEntry } from "../../../support/tar-builder.ts";
import { openTempDir } from "../../../support/temp-dir.ts";
import {
  type Case,
  dir,
  file,
  IS_ROOT,
  type Made,
  MODES,
  OUTSIDE,
  symlink,
  testAttacks,
  useRange,
} from "./fixtures.ts";

const withXattrs = (xattrs: TarEntry["xattrs"], more: Partial<TarEntry> = {}): TarEntry =>
  file("a", "x", { ...more, ...(xattrs !== undefined && { xattrs }) });
const OVERLAY = [
  "opaque",
  "redirect",
  "metacopy",
  "whiteout",
  "whiteouts",
  "xwhiteouts",
  "upper",
  "origin",
  "impure",
  "nlink",
  "protattr",
  "uuid",
  "verity",
  "overlay.opaque",
];

describe.each(MODES)("attributes by which overlayfs would be steered (as %s)", (_who, privileged) => {
  const range = useRange();
  const kept = async (entries: readonly TarEntry[]): Promise<readonly string[]> => {
    const made = await range().attack(entries, { privileged });
    if (made.code !== undefined) return [made.code];
    using tree = openTree(made.fsPath);
    return ["a", "d"]
      .flatMap((path) => tree.xattrs(path).map(([name]) => `${path} ${name}`))
      .concat(
        [...made.entries.values()].flatMap(({ path, xattrs }) => xattrs.map(([name]) => `index ${path} ${name}`)),
      );
  };

  test.each(OVERLAY.flatMap((name) => [`trusted.overlay.${name}`, `user.overlay.${name}`]))(
    "%s is left out",
    async (name) => {
      expect(await kept([withXattrs({ [name]: "y" }), dir("d/", { xattrs: { [name]: OUTSIDE } })])).toEqual([]);
    },
  );

  test("are left out in libarchive's spelling as well", async () => {
    const pax = {
      "LIBARCHIVE.xattr.trusted.overlay.redirect": "L2V0Yw",
      "LIBARCHIVE.xattr.trusted%2Eoverlay%2Eredirect": "L2V0Yw",
    };
    expect(await kept([file("a", "x", { pax }), dir("d/", { pax })])).toEqual([]);
  });

  test("are left out when they come by a global header", async () => {
    const global: TarEntry = { name: "g", type: "g", content: "43 SCHILY.xattr.trusted.overlay.redirect=/x\n" };
    const outcome = await kept([global, file("a"), dir("d/")]);
    expect(outcome.filter((line) => line.includes("overlay"))).toEqual([]);
  });

  test("security.selinux, which is a label of the machine that built the image, is left out", async () => {
    expect(await kept([withXattrs({ "security.selinux": "system_u:object_r:shadow_t:s0" }), dir("d/")])).toEqual([]);
  });
});

/** The code of an error, or where an attribute is: `fs` in the tree, `index` in the index. */
type Outcome = string | readonly string[];
type XattrCase = readonly [what: string, layer: readonly TarEntry[], asRoot: Outcome, asUser?: Outcome];

const BOTH = (name: string): Outcome => [`fs a ${name}`, `index a ${name}`];
const IMPOSSIBLE: readonly XattrCase[] = [
  ["larger than the kernel takes", [withXattrs({ "user.big": Buffer.alloc(65_537, "x") })], "layer-unsupported"],
  ["with a name of 255 bytes", [withXattrs({ [`user.${"n".repeat(250)}`]: "x" })], BOTH(`user.${"n".repeat(250)}`)],
  ["with a longer name than the kernel takes", [withXattrs({ [`user.${"n".repeat(251)}`]: "x" })], "layer-invalid"],
  [
    "of which there are more than any file has",
    [withXattrs(Object.fromEntries(Array.from({ length: 1001 }, (_, at) => [`user.${at}`, ""])))],
    "layer-too-large",
  ],
  ["with a NUL in its name", [withXattrs({ "user.a\0b": "x" })], "layer-invalid"],
  ["in user's namespace on a symlink", [{ ...symlink("l", "x"), xattrs: { "user.a": "x" } }], []],
  ["in user's namespace on a FIFO", [{ name: "p", type: "fifo", xattrs: { "user.a": "x" } }], []],
  [
    "in user's namespace on a device",
    [{ name: "c", type: "char", devmajor: 1, devminor: 3, xattrs: { "user.a": "x" } }],
    [],
  ],
  ["without a namespace", [withXattrs({ plain: "x" })], []],
  ["in a namespace that there is not", [withXattrs({ "other.a": "x" })], []],
  [
    "security.capability that is none",
    [withXattrs({ "security.capability": "garbage" })],
    "layer-unsupported",
    ["index a security.capability"],
  ],
  [
    "security.capability of a size that is wrong",
    [withXattrs({ "security.capability": Buffer.alloc(20) })],
    "layer-unsupported",
    ["index a security.capability"],
  ],
  [
    "an access list that is none",
    [withXattrs({ "system.posix_acl_access": "garbage" })],
    "layer-unsupported",
    ["index a system.posix_acl_access"],
  ],
  ["a default access list of a file", [withXattrs({ "system.posix_acl_default": "garbage" })], []],
  ["an access list of a symlink", [{ ...symlink("l", "x"), xattrs: { "system.posix_acl_access": "garbage" } }], []],
];

/** An image that says what cannot be, is told to be so: its attribute, and no bug of ours. */
describe.each(MODES)("an attribute that no file system takes is the layer's fault (as %s)", (_who, privileged) => {
  const range = useRange();
  const outcomeOf = async (layer: readonly TarEntry[]): Promise<Outcome> => {
    const made = await range().attack(layer, { privileged });
    if (made.code !== undefined) return made.code;
    using tree = openTree(made.fsPath);
    const entries = [...made.entries.values()];
    return [
      ...entries.flatMap(({ path }) => tree.xattrs(path || ".").map(([name]) => `fs ${path} ${name}`)),
      ...entries.flatMap(({ path, xattrs }) => xattrs.map(([name]) => `index ${path} ${name}`)),
    ];
  };

  const cases = IMPOSSIBLE.map(
    ([what, layer, asRoot, asUser = asRoot]) => [what, layer, privileged ? asRoot : asUser] as const,
  );
  test.each(cases)("%s", async (_what, layer, expected) => {
    expect(await outcomeOf(layer)).toEqual(expected);
  });

  // half a megabyte: ext4 takes a block, xfs and btrfs all of it
  test("more of them than this file system takes", async () => {
    const xattrs = Array.from({ length: 500 }, (_, at) => [`user.${1000 + at}`, Buffer.alloc(1000, "x")] as const);
    const names = xattrs.map(([name]) => name);
    const all = [...names.map((name) => `fs a ${name}`), ...names.map((name) => `index a ${name}`)];
    const outcome = await outcomeOf([withXattrs(Object.fromEntries(xattrs))]);
    const expected = (await takes(xattrs)) ? all : "layer-unsupported";
    expect(typeof outcome === "string" ? outcome : outcome.toSorted()).toEqual(expected);
  });
});

/** Whether a file of the test's file system can have these attributes. */
async function takes(xattrs: readonly Xattr[]): Promise<boolean> {
  await using temp = await openTempDir("xattrs");
  using tree = openTree(temp.path);
  tree.createFile("a", Buffer.alloc(0), { mode: 0o600, uid: -1, gid: -1, mtimeSec: 0, mtimeNsec: 0 });
  try {
    for (const [name, value] of xattrs) tree.setXattr("a", name, value);
    return true;
  } catch {
    return false;
  }
}

describe("an attribute that the kernel lets nobody set", () => {
  const refused = (code: string, operation: string): Promise<unknown> =>
    explainRefusals("unpack a layer", () => {
      throw new NativeError(code, "Cannot create file a", { errno: code, operation, path: "a" });
    }).catch((error: unknown) => error);

  test.each(["EACCES", "EPERM", "ENOSPC", "EDQUOT"])("is the layer's fault, and not the disk's (%s)", async (errno) => {
    for (const operation of ["fsetxattr", "lsetxattr"])
      expect(await refused(errno, operation)).toMatchObject({
        code: "layer-unsupported",
        hint: expect.stringContaining("attribute"),
        details: { errno },
      });
  });

  test.each(["EACCES", "EPERM", "ENOSPC", "EDQUOT"])("is no other call that fails so (%s)", async (errno) => {
    for (const operation of ["openat", "fchown", "write"])
      expect(await refused(errno, operation)).toBeInstanceOf(NativeError);
  });
});

const madeOf = (outcome: Awaited<ReturnType<ReturnType<ReturnType<typeof useRange>>["attack"]>>): Made => {
  if (outcome.code !== undefined) throw outcome.error;
  return outcome;
};

describe.each(MODES)("mode bits (as %s)", (_who, privileged) => {
  const range = useRange();
  test("beyond 07777 are not kept, so that a file is not taken for something else", async () => {
    const made = madeOf(
      await range().attack(
        [
          file("a", "x", { mode: 0o120644 }),
          dir("d/", { mode: 0o100755 }),
          file("b", "x", { raw: { mode: base256(2 ** 40 + 0o644, 8) } }),
        ].slice(0, 2),
        { privileged },
      ),
    );
    expect([made.entries.get("a")?.mode, made.entries.get("d")?.mode]).toEqual([0o644, 0o755]);
    expect([lstatSync(join(made.fsPath, "a")).isFile(), lstatSync(join(made.fsPath, "d")).isDirectory()]).toEqual([
      true,
      true,
    ]);
  });

  test("of a symlink, set-id among them, are not its target's", async () => {
    const made = madeOf(
      await range().attack(
        [
          file("t", "x", { mode: 0o600 }),
          { ...symlink("l", "t"), mode: 0o6777 },
          { ...symlink("m", `${OUTSIDE}/secret`), mode: 0o6777 },
        ],
        { privileged },
      ),
    );
    expect(lstatSync(join(made.fsPath, "t")).mode & 0o7777).toBe(0o600);
  });

  test("below zero or beyond all numbers are refused or cut", async () => {
    for (const mode of [base256(-1, 8), base256(2 ** 50, 8), "zzzzzzz\0"]) {
      const outcome = await range().attack([file("a", "x", { raw: { mode } })], { privileged });
      if (outcome.code === undefined) expect(outcome.entries.get("a")?.mode ?? -1).toBeLessThanOrEqual(0o7777);
      else expect(outcome.code).toBe("layer-invalid");
    }
  });
});

testAttacks(
  "a time that is none is refused:",
  ["NaN", "noon", "1e9", "Infinity", "--1", "1.2.3", "0x10", "9".repeat(40)].map(
    (mtime): Case => [JSON.stringify(mtime), [file("a", "x", { pax: { mtime } })], "layer-invalid"],
  ),
);

describe.each(MODES)("a time out of every range (as %s)", (_who, privileged) => {
  const range = useRange();
  test.each([
    ["year 1", -62_135_596_800],
    ["before the universe", -500_000_000_000_000],
    ["year 30000", 884_541_340_800],
    ["after all years", 9_007_199_254_740],
  ])("(%s) is kept as the file system can, and exactly in the index", async (_what, seconds) => {
    const made = madeOf(
      await range().attack(
        [file("a", "x", { pax: { mtime: String(seconds) } }), dir("d/", { pax: { mtime: String(seconds) } })],
        { privileged },
      ),
    );
    expect([made.entries.get("a")?.mtimeSec, made.entries.get("d")?.mtimeSec]).toEqual([seconds, seconds]);
  });

  test("in a header of base 256 is kept or refused", async () => {
    for (const mtime of [base256(-62_135_596_800, 12), base256(2 ** 62, 12), base256(-(2 ** 62), 12)]) {
      const outcome = await range().attack([file("a", "x", { raw: { mtime } })], { privileged });
      if (outcome.code !== undefined) expect(outcome.code).toBe("layer-invalid");
    }
  });
});

testAttacks("an owner", [
  ["of 2^32 - 2 is kept", [file("a", "x", { pax: { uid: "4294967294", gid: "4294967294" } })], ["a=x"]],
  ["of 2^32 is refused", [file("a", "x", { pax: { uid: "4294967296" } })], "layer-invalid"],
  ["of 2^32 is refused in base 256", [file("a", "x", { raw: { uid: base256(2 ** 32, 8) } })], "layer-invalid"],
  ["group of 2^32 is refused", [file("a", "x", { pax: { gid: "4294967296" } })], "layer-invalid"],
  // to chown(2) it means: leave the owner as it is, so that the file would be root's
  ["of 2^32 - 1 is refused", [file("a", "x", { pax: { uid: "4294967295" }, mode: 0o4755 })], "layer-invalid"],
  ["group of 2^32 - 1 is refused", [file("a", "x", { pax: { gid: "4294967295" } })], "layer-invalid"],
  ["below zero is refused", [file("a", "x", { pax: { uid: "-1" } })], "layer-invalid"],
  ["below zero in base 256 is refused", [file("a", "x", { raw: { uid: base256(-1, 8) } })], "layer-invalid"],
  ["that is no number is refused", [file("a", "x", { pax: { uid: "root" } })], "layer-invalid"],
  ["with a fraction is refused", [file("a", "x", { pax: { uid: "1.5" } })], "layer-invalid"],
  ["in hexadecimal is refused", [file("a", "x", { pax: { uid: "0x10" } })], "layer-invalid"],
]);

describe.skipIf(!IS_ROOT)("a set-id file (needs root)", () => {
  const range = useRange();
  test("whose owner comes later in a duplicate has the last entry's bits alone", async () => {
    const made = madeOf(
      await range().attack([file("a", "x", { mode: 0o6755, uid: 0 }), file("a", "x", { mode: 0o755, uid: 1000 })]),
    );
    const { mode, uid } = lstatSync(join(made.fsPath, "a"));
    expect([mode & 0o7777, uid]).toEqual([0o755, 1000]);
  });
});
