import { describe, expect, test } from "vitest";
import { AppError } from "../../../src/errors.ts";
import { type TarConsumer, type TarEntry, TarReader } from "../../../src/layers/tar-entries.ts";
import { type TarEntry as Built, base256, buildLayer, GNU_MAGIC, globalPax } from "../../support/tar-builder.ts";

class Recorder implements TarConsumer {
  readonly entries: (TarEntry & { content: string })[] = [];
  #content: Buffer[] = [];
  #entry: TarEntry | undefined;
  begin(entry: TarEntry): void {
    this.#entry = entry;
    this.#content = [];
  }
  data(chunk: Uint8Array): void {
    this.#content.push(Buffer.from(chunk));
  }
  end(): void {
    if (this.#entry !== undefined)
      this.entries.push({ ...this.#entry, content: Buffer.concat(this.#content).toString("latin1") });
  }
}

async function read(tar: Buffer, step = 1 << 20): Promise<Recorder["entries"]> {
  const recorder = new Recorder();
  const reader = new TarReader(recorder);
  for (let at = 0; at < tar.length; at += step) await reader.write(tar.subarray(at, at + step));
  await reader.end();
  return recorder.entries;
}

const one = async (entry: Built): Promise<Recorder["entries"][number]> =>
  (await read(buildLayer([entry])))[0] as Recorder["entries"][number];

describe("TarReader", () => {
  test.each([1 << 20, 512, 100, 7])("gives entries and content in order, fed %i bytes at a time", async (step) => {
    const tar = buildLayer([
      { name: "d/", type: "dir" },
      { name: "d/a", content: "x".repeat(5000) },
      { name: "l", type: "symlink", linkname: "d/a" },
    ]);
    const entries = await read(tar, step);
    expect(entries.map(({ path, type, content, link }) => [path, type, content.length, link])).toEqual([
      ["d/", "directory", 0, ""],
      ["d/a", "file", 5000, ""],
      ["l", "symlink", 0, "d/a"],
    ]);
  });

  test("says where a file's content begins", async () => {
    const tar = buildLayer([
      { name: "a", content: "first" },
      { name: "b".repeat(150), content: "second" },
    ]);
    for (const { offset, content } of await read(tar))
      expect(tar.toString("latin1", offset, offset + content.length)).toBe(content);
  });

  test("keeps bytes of names that are no UTF-8, in headers and in PAX records", async () => {
    expect((await one({ name: Buffer.from([0x61, 0xff, 0xe9]) })).path).toBe("a\xff\xe9");
    expect((await one({ name: Buffer.alloc(120, 0xfe) })).path).toBe("\xfe".repeat(120));
  });

  test("keeps binary xattr values", async () => {
    const capability = Buffer.from("0100000200200000000000000000000000000000", "hex");
    expect((await one({ name: "ping", xattrs: { "security.capability": capability } })).xattrs).toEqual([
      ["security.capability", capability],
    ]);
  });

  test.each(["pax", "gnu", "prefix"] as const)("reads a long name written as %s", async (longNames) => {
    const name = `${"d".repeat(90)}/${"n".repeat(90)}`;
    expect((await one({ name, longNames })).path).toBe(name);
  });

  test("reads nanoseconds and large owners from PAX", async () => {
    const entry = await one({ name: "a", pax: { mtime: "1350244992.023960108", uid: "4000000000", gid: "70000" } });
    expect(entry).toMatchObject({ mtimeSec: 1_350_244_992, mtimeNsec: 23_960_108, uid: 4_000_000_000, gid: 70_000 });
  });

  test("reads base-256 numbers", async () => {
    expect(await one({ name: "a", raw: { ...GNU_MAGIC, uid: base256(3_000_000, 8) } })).toMatchObject({
      uid: 3_000_000,
    });
  });

  test("applies a global PAX header to entries without one of their own", async () => {
    const [, own] = await read(buildLayer([globalPax({ uid: "77" }), { name: "a" }, { name: "b", pax: { uid: "5" } }]));
    const [first] = await read(buildLayer([globalPax({ uid: "77" }), { name: "a" }]));
    expect([first?.uid, own?.uid]).toEqual([77, 5]);
  });

  test("reads V7 headers, in which a trailing slash makes a directory", async () => {
    expect(
      (await one({ name: "d/", raw: { magic: Buffer.alloc(6), version: Buffer.alloc(2), typeflag: Buffer.alloc(1) } }))
        .type,
    ).toBe("directory");
  });

  test.each(["hardlink", "symlink", "fifo", "char", "dir"] as const)(
    "reads no body after a %s, whatever size it declares",
    async (type) => {
      const entries = await read(
        buildLayer([
          { name: "a", content: "x" },
          { name: "l", type, linkname: "a", size: 512 },
          { name: "next", content: "y" },
        ]),
      );
      expect(entries.map(({ path }) => path)).toEqual(["a", "l", "next"]);
    },
  );

  test("ends at two zero blocks, whatever follows them", async () => {
    const hidden = buildLayer([{ name: "hidden" }]);
    expect(
      (await read(buildLayer([{ name: "a" }], Buffer.concat([Buffer.alloc(1024), hidden])))).map(({ path }) => path),
    ).toEqual(["a"]);
  });

  test("takes an archive that ends without zero blocks", async () => {
    expect(await read(buildLayer([{ name: "a", content: "x" }], Buffer.alloc(0)))).toHaveLength(1);
  });

  test.each([
    ["text", Buffer.from("this is no tar archive at all ".repeat(100))],
    ["a wrong checksum", buildLayer([{ name: "a", raw: { chksum: "0000000\0" } }])],
    ["an archive that ends in a header", buildLayer([{ name: "a", content: "x".repeat(2000) }]).subarray(0, 300)],
    ["an archive that ends in a file", buildLayer([{ name: "a", content: "x".repeat(2000) }]).subarray(0, 1500)],
    ["a negative owner", buildLayer([{ name: "a", pax: { uid: "-1" } }])],
    ["an owner that is no number", buildLayer([{ name: "a", pax: { uid: "root" } }])],
    ["a time that is none", buildLayer([{ name: "a", pax: { mtime: "noon" } }])],
    ["a negative size", buildLayer([{ name: "a", raw: { size: base256(-5, 12) } }])],
    [
      "a PAX record that lies about its length",
      buildLayer([{ name: "x", type: "x", content: "99 path=b\n" }, { name: "a" }]),
    ],
  ])("refuses %s", async (_what, tar) => {
    await expect(read(tar)).rejects.toMatchObject({ code: "layer-invalid" });
  });

  test.each([
    ["a GNU sparse file", { name: "a", type: "S", raw: GNU_MAGIC }],
    ["a PAX sparse file", { name: "a", pax: { "GNU.sparse.major": "1" } }],
  ])("says that %s is not supported", async (_what, entry) => {
    await expect(read(buildLayer([entry]))).rejects.toMatchObject({ code: "layer-unsupported" });
  });

  test("tells the consumer's own error, and gives it nothing more", async () => {
    const seen: string[] = [];
    const reader = new TarReader({
      begin: ({ path }) => {
        seen.push(path);
        throw new AppError("layer-escape", "no");
      },
      data: () => {},
      end: () => {},
    });
    await expect(reader.write(buildLayer([{ name: "a", content: "x" }, { name: "b" }]))).rejects.toMatchObject({
      code: "layer-escape",
    });
    expect(seen).toEqual(["a"]);
  });
});
