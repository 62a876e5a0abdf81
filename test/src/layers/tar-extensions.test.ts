import { describe, expect, test } from "vitest";
import { type ReadEntry, readTar } from "../../support/read-tar.ts";
import { buildLayer, encodePax, globalPax, type TarEntry } from "../../support/tar-builder.ts";

const read = (...entries: TarEntry[]): ReadEntry[] => readTar(buildLayer(entries));
const pax = (records: Record<string, string>, type = "x"): TarEntry => ({
  name: "PaxHeaders/x",
  type,
  content: encodePax(records),
});
const long = (type: "L" | "K", content: string): TarEntry => ({ name: "././@LongLink", type, content });

describe("PAX headers", () => {
  test("override what the header says", () => {
    const records = { path: "p", linkpath: "t", uid: "4000000000", gid: "70000", mtime: "1350244992.023960108" };
    expect(read({ name: "a", type: "symlink", linkname: "b", pax: records })[0]).toMatchObject({
      path: "p",
      link: "t",
      uid: 4_000_000_000,
      gid: 70_000,
      mtimeSec: 1_350_244_992,
      mtimeNsec: 23_960_108,
    });
  });

  test("give times before 1970, rounded down", () => {
    expect(read({ name: "a", pax: { mtime: "-5.25" } })[0]).toMatchObject({ mtimeSec: -6, mtimeNsec: 750_000_000 });
  });

  test("leave to the header what is empty in them", () => {
    const records = { path: "", linkpath: "", uid: "", gid: "", mtime: "", size: "" };
    expect(read({ name: "a", content: "xy", uid: 3, gid: 4, mtime: 5, pax: records })[0]).toMatchObject({
      path: "a",
      uid: 3,
      gid: 4,
      mtimeSec: 5,
      stored: "xy",
    });
  });

  test("are about one entry", () => {
    expect(read(pax({ path: "p", uid: "5" }), { name: "a" }, { name: "b" })).toMatchObject([
      { path: "p", uid: 5 },
      { path: "b", uid: 0 },
    ]);
  });

  test("replace one that came before them, all of it", () => {
    const [entry] = read(pax({ path: "p", uid: "5" }), pax({ gid: "7" }), { name: "a" });
    expect(entry).toMatchObject({ path: "a", uid: 0, gid: 7 });
  });

  test("may be Solaris' own", () => {
    expect(read(pax({ path: "p" }, "X"), { name: "a" })[0]?.path).toBe("p");
  });

  test("may be empty", () => {
    expect(read({ name: "x", type: "x" }, { name: "a" })[0]?.path).toBe("a");
  });

  test("may say what charset they are in, and comment", () => {
    const records = { hdrcharset: "BINARY", comment: "no" };
    const name = Buffer.alloc(120, 0xfe);
    expect(read({ name, pax: records })[0]?.path).toBe("\xfe".repeat(120));
  });

  test("have names that are longer than any field, to the last byte", () => {
    const name = `${"d/".repeat(1900)}${"n".repeat(255)}`;
    for (const longNames of ["pax", "gnu"] as const)
      expect(read({ name, type: "symlink", linkname: name, longNames })[0]).toMatchObject({ path: name, link: name });
  });

  test("keep binary attributes, with NULs and newlines", () => {
    const capability = Buffer.from("0100000200200000000000000a00000000000000", "hex");
    const xattrs = { "security.capability": capability, "user.empty": "" };
    expect(read({ name: "ping", xattrs })[0]?.xattrs).toEqual([
      ["security.capability", capability],
      ["user.empty", Buffer.alloc(0)],
    ]);
  });
});

describe("global PAX headers", () => {
  test("hold for all entries behind them, until they are overridden", () => {
    const entries = read(
      { name: "before" },
      globalPax({ uid: "77", gid: "88" }),
      { name: "a" },
      { name: "b", pax: { uid: "5" } },
      { name: "c" },
    );
    expect(entries.map(({ uid, gid }) => [uid, gid])).toEqual([
      [0, 0],
      [77, 88],
      [5, 88],
      [77, 88],
    ]);
  });

  test("add to those before them", () => {
    const entries = read(globalPax({ uid: "1", gid: "2" }), globalPax({ gid: "3" }), { name: "a" });
    expect(entries[0]).toMatchObject({ uid: 1, gid: 3 });
  });

  test("are taken back by an empty value, for one entry or for all", () => {
    const entries = read(
      globalPax({ uid: "77" }),
      { name: "a", uid: 3, pax: { uid: "" } },
      { name: "b", uid: 3 },
      globalPax({ uid: "" }),
      { name: "c", uid: 3 },
    );
    expect(entries.map(({ uid }) => uid)).toEqual([3, 77, 3]);
  });

  test("do not come between a PAX header and its entry", () => {
    expect(read(pax({ uid: "5" }), globalPax({ gid: "6" }), { name: "a" })[0]).toMatchObject({ uid: 5, gid: 6 });
  });

  test("give extended attributes, which an entry's own go before", () => {
    const key = "SCHILY.xattr.user.a";
    const entries = read(globalPax({ [key]: "all" }), { name: "a" }, { name: "b", pax: { [key]: "own" } });
    expect(entries.map(({ xattrs }) => String(xattrs[0]?.[1]))).toEqual(["all", "own"]);
  });

  describe("of extended attributes", () => {
    const acl = "user::rw-,user:12:rwx,group::---,mask::rwx,other::r--";
    const global = globalPax({ "SCHILY.xattr.user.a": "all", "SCHILY.acl.access": acl });

    test("are decoded once for all entries of a type, which have the same array", () => {
      const own = { name: "d", pax: { "SCHILY.xattr.user.b": "own" } };
      const unrelated = globalPax({ "SCHILY.xattr.user.c": "x" });
      const [a, b, c, d, e] = read(
        global,
        { name: "a" },
        { name: "b" },
        { name: "c", pax: { uid: "5" } },
        own,
        unrelated,
        {
          name: "e",
        },
      );
      expect(a?.xattrs.map(([name]) => name)).toEqual(["system.posix_acl_access", "user.a"]);
      expect([b?.xattrs === a?.xattrs, c?.xattrs === a?.xattrs]).toEqual([true, true]);
      for (const other of [d, e]) expect(other?.xattrs[0]?.[1]).toBe(a?.xattrs[0]?.[1]);
      expect(d?.xattrs.map(([name]) => name)).toEqual(["system.posix_acl_access", "user.a", "user.b"]);
      expect(e?.xattrs.map(([name]) => name)).toEqual(["system.posix_acl_access", "user.a", "user.c"]);
    });

    test("are for each type what it can have", () => {
      const types = ["dir", "file", "symlink", "fifo"] as const;
      const entries = read(global, ...types.map((type) => ({ name: type, type, linkname: "a" })));
      expect(entries.map(({ xattrs }) => xattrs.map(([name]) => name))).toEqual([
        ["system.posix_acl_access", "user.a"],
        ["system.posix_acl_access", "user.a"],
        [],
        ["system.posix_acl_access"],
      ]);
    });

    test("change with a later header, for what is behind it", () => {
      const later = globalPax({ "SCHILY.xattr.user.a": "later" });
      const entries = read(global, { name: "a" }, later, { name: "b" });
      expect(entries.map(({ xattrs }) => String(xattrs[1]?.[1]))).toEqual(["all", "later"]);
    });

    test.each([
      ["an access list in text", { "SCHILY.acl.access": "u::r,u:3:r,g::r,m::r,o::r" }, 1],
      ["one that says no more than the mode, so that there is none", { "SCHILY.acl.access": "u::r,g::r,o::r" }, 0],
      ["one in libarchive's spelling", { "LIBARCHIVE.xattr.system.posix_acl_access": "AgAAAA" }, 1],
    ])("give way to an entry's own, in whatever spelling: %s", (_what, own, count) => {
      const binary = globalPax({ "SCHILY.xattr.system.posix_acl_access": "all" });
      const [entry] = read(binary, { name: "a", pax: own });
      expect(entry?.xattrs.map(([, value]) => String(value) === "all")).toEqual(Array(count).fill(false));
    });
  });

  test("say nothing of what extension headers are about", () => {
    const entries = read(globalPax({ size: "1" }), { ...pax({ path: "p" }) }, { name: "a", content: "x" });
    expect(entries).toMatchObject([{ path: "p", stored: "x" }]);
  });

  test.each([
    ["records", Object.fromEntries(Array.from({ length: 1025 }, (_, at) => [`k${at}`, "v"]))],
    ["bytes", { a: "x".repeat(600_000), b: "x".repeat(400_000), c: "x".repeat(100_000) }],
  ])("do not gather %s without end", (_what, records) => {
    const headers = Object.entries(records).map(([key, value]) => globalPax({ [key]: value }));
    expect(() => read(...headers, { name: "a" })).toThrow(expect.objectContaining({ code: "layer-too-large" }));
  });

  test("may say the same again and again", () => {
    const headers = Array.from({ length: 3000 }, (_, at) => globalPax({ uid: String(at) }));
    expect(read(...headers, { name: "a" })[0]?.uid).toBe(2999);
  });
});

describe("GNU's long names", () => {
  test("end at their NUL, and are about one entry", () => {
    const entries = read(
      long("L", "name\0behind"),
      long("K", "target\0"),
      { name: "a", type: "symlink" },
      { name: "b" },
    );
    expect(entries.map(({ path, link }) => [path, link])).toEqual([
      ["name", "target"],
      ["b", ""],
    ]);
  });

  test("need no NUL", () => {
    expect(read(long("L", "name"), { name: "a" })[0]?.path).toBe("name");
  });

  test("say nothing when they are empty", () => {
    expect(read(long("L", "\0"), { name: "a" })[0]?.path).toBe("a");
  });

  test.each([
    ["before", [long("L", "gnu\0"), pax({ path: "pax" })]],
    ["behind", [pax({ path: "pax" }), long("L", "gnu\0")]],
  ])("go before PAX paths, standing %s them, as in archive/tar", (_where, headers) => {
    expect(read(...headers, { name: "a" })[0]?.path).toBe("gnu");
  });
});
