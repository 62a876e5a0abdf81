import { extract } from "tar-stream";
import { describe, expect, test } from "vitest";
import { AppError } from "../../../src/errors.ts";
import { TarReader } from "../../../src/layers/tar-entries.ts";
import { readTar } from "../../support/read-tar.ts";
import { type TarEntry as Built, base256, buildLayer, GNU_MAGIC, globalPax } from "../../support/tar-builder.ts";

const one = (entry: Built) => readTar(buildLayer([entry]))[0];
const paths = (tar: Buffer): string[] => readTar(tar).map(({ path }) => path);
const code = (tar: Buffer): string => {
  try {
    readTar(tar);
  } catch (error) {
    return error instanceof AppError ? error.code : String(error);
  }
  return "none";
};

describe("TarReader", () => {
  test.each([1 << 20, 512, 100, 7])("gives entries and content in order, fed %i bytes at a time", (step) => {
    const tar = buildLayer([
      { name: "d/", type: "dir" },
      { name: "d/a", content: "x".repeat(5000) },
      { name: "n".repeat(300), content: "y" },
      { name: "l", type: "symlink", linkname: "d/a" },
    ]);
    expect(readTar(tar, step).map(({ path, type, stored, link }) => [path, type, stored.length, link])).toEqual([
      ["d/", "directory", 0, ""],
      ["d/a", "file", 5000, ""],
      ["n".repeat(300), "file", 1, ""],
      ["l", "symlink", 0, "d/a"],
    ]);
  });

  test("stands on what it was written for of tar-stream, which its types do not promise", () => {
    const frames = extract() as unknown as Record<string, unknown>;
    const { _buffer: buffer } = frames as { _buffer: Record<string, unknown> };
    for (const name of ["_write", "_consumeHeader", "_decodeLongHeader"]) expect(frames[name]).toBeTypeOf("function");
    expect(frames).toMatchObject({ _stream: null, _missing: 0, _longHeader: false, _header: null });
    expect(buffer).toMatchObject({ buffered: 0, shifted: 0 });
    for (const name of ["push", "shift"]) expect(buffer[name]).toBeTypeOf("function");
  });

  test("gives a body that lies in one chunk in one piece, which is a view", () => {
    const tar = buildLayer([{ name: "a", content: "x".repeat(50_000) }]);
    const pieces: Uint8Array[] = [];
    const reader = new TarReader({ begin: () => {}, data: (chunk) => void pieces.push(chunk), end: () => {} });
    reader.write(tar);
    expect(pieces.map(({ length, buffer }) => [length, buffer === tar.buffer])).toEqual([[50_000, true]]);
  });

  test("gives everything that is complete before it asks for more", () => {
    const seen: string[] = [];
    const tar = buildLayer([{ name: "a", content: "x" }, { name: "b" }]);
    const reader = new TarReader({ begin: ({ path }) => void seen.push(path), data: () => {}, end: () => {} });
    reader.write(tar.subarray(0, 1536));
    expect(seen).toEqual(["a", "b"]);
  });

  test("says where a file's content begins", () => {
    const tar = buildLayer([
      { name: "a", content: "first" },
      { name: "b".repeat(150), content: "second" },
    ]);
    for (const { offset, stored } of readTar(tar, 100))
      expect(tar.toString("latin1", offset, offset + stored.length)).toBe(stored);
  });

  test.each(["pax", "gnu", "prefix"] as const)("reads a long name written as %s", (longNames) => {
    const name = `${"d".repeat(90)}/${"n".repeat(90)}`;
    expect(one({ name, longNames })?.path).toBe(name);
  });

  test.each(["hardlink", "symlink", "fifo", "char", "block", "dir"] as const)(
    "reads no body after a %s, whatever size it declares",
    (type) => {
      const entry: Built = { name: "l", type, linkname: "a", size: 512, pax: { size: "1024" } };
      expect(paths(buildLayer([{ name: "a", content: "x" }, entry, { name: "next", content: "y" }]))).toEqual([
        "a",
        "l",
        "next",
      ]);
    },
  );

  test("takes a body's length from PAX", () => {
    const tar = buildLayer([{ name: "a", content: "x".repeat(600), size: 0, pax: { size: "600" } }, { name: "b" }]);
    expect(readTar(tar).map(({ path, size, stored }) => [path, size, stored.length])).toEqual([
      ["a", 600, 600],
      ["b", 0, 0],
    ]);
  });

  test("makes a V7 file with a slash at its end a directory without a body, and no other", () => {
    const v7 = { magic: Buffer.alloc(6), version: Buffer.alloc(2), typeflag: Buffer.alloc(1) };
    expect(one({ name: "d/", raw: v7 })?.type).toBe("directory");
    expect(one({ name: "d", raw: v7 })?.type).toBe("file");
    expect(one({ name: "d/", raw: GNU_MAGIC, content: "x" })).toMatchObject({ type: "file", stored: "x" });
  });

  test("takes GNU's directories with a list of names, and leaves the list out", () => {
    const tar = buildLayer([{ name: "d/", type: "D", content: "Ya\0Yb\0\0", raw: GNU_MAGIC }, { name: "d/a" }]);
    expect(readTar(tar).map(({ path, type, size, stored }) => [path, type, size, stored])).toEqual([
      ["d/", "directory", 0, ""],
      ["d/a", "file", 0, ""],
    ]);
  });

  test("takes contiguous files for files", () => {
    expect(one({ name: "a", type: "7", content: "x" })).toMatchObject({ type: "file", stored: "x" });
  });

  test.each(["A", "E", "I", "M", "N", "V", "Z", "8", "\xff"])("refuses an entry of type %j", (flag) => {
    const raw = { typeflag: Buffer.from(flag, "latin1") };
    expect(code(buildLayer([{ name: "a", raw }]))).toBe("layer-unsupported");
  });

  test("ends at two zero blocks, whatever follows them", () => {
    const trailer = Buffer.concat([Buffer.alloc(1024), buildLayer([{ name: "hidden" }])]);
    expect(paths(buildLayer([{ name: "a" }], trailer))).toEqual(["a"]);
  });

  test.each([
    ["no zero blocks", 0],
    ["one", 512],
  ])("takes an archive that ends with %s", (_what, length) => {
    expect(paths(buildLayer([{ name: "a", content: "x" }], Buffer.alloc(length)))).toEqual(["a"]);
  });

  test.each([
    ["text", Buffer.from("this is no tar archive at all ".repeat(100))],
    ["a wrong checksum", buildLayer([{ name: "a", raw: { chksum: "0000000\0" } }])],
    ["an end in a header", buildLayer([{ name: "a", content: "x".repeat(2000) }]).subarray(0, 300)],
    ["an end in a file", buildLayer([{ name: "a", content: "x".repeat(2000) }]).subarray(0, 1500)],
    ["an end in the padding of a file", buildLayer([{ name: "a", content: "xyz" }]).subarray(0, 515)],
    ["an end in a list of names", buildLayer([{ name: "d", type: "D", content: "x".repeat(600) }]).subarray(0, 1100)],
    ["an end in a PAX header", buildLayer([{ name: "a", pax: { uid: "5" } }]).subarray(0, 600)],
    ["an end behind a PAX header", buildLayer([{ name: "x", type: "x", content: "9 path=b\n" }])],
    ["an end behind a GNU long name", buildLayer([{ name: "x", type: "L", content: "b\0" }], Buffer.alloc(0))],
    [
      "one zero block between entries",
      Buffer.concat([buildLayer([{ name: "a" }], Buffer.alloc(512)), buildLayer([{ name: "b" }])]),
    ],
    ["an owner that is no number", buildLayer([{ name: "a", pax: { uid: "root" } }])],
    ["an owner in hexadecimal", buildLayer([{ name: "a", pax: { uid: "0x10" } }])],
    ["a negative owner", buildLayer([{ name: "a", pax: { uid: "-1" } }])],
    ["a negative owner in a header", buildLayer([{ name: "a", uid: -1 }])],
    ["an owner beyond 32 bits", buildLayer([{ name: "a", pax: { gid: "4294967296" } }])],
    ["an owner that is the kernel's word for none", buildLayer([{ name: "a", uid: 0xffffffff }])],
    ["a time that is none", buildLayer([{ name: "a", pax: { mtime: "noon" } }])],
    ["a time beyond all times", buildLayer([{ name: "a", raw: { mtime: base256(2n ** 60n, 12) } }])],
    ["a negative size", buildLayer([{ name: "a", raw: { size: base256(-5, 12) } }])],
    ["a size beyond all numbers", buildLayer([{ name: "a", raw: { size: base256(2n ** 64n, 12) } }])],
    ["a device number that is none", buildLayer([{ name: "a", type: "char", raw: { devmajor: "xx" } }])],
    ["a major device number that the kernel would cut", buildLayer([{ name: "a", type: "char", devmajor: 4096 }])],
    ["a minor device number that the kernel would cut", buildLayer([{ name: "a", type: "char", devminor: 2 ** 20 }])],
    ["a PAX record that lies", buildLayer([{ name: "x", type: "x", content: "99 path=b\n" }, { name: "a" }])],
  ])("refuses %s", (_what, tar) => {
    expect(code(tar)).toBe("layer-invalid");
  });

  test.each(["x", "g", "L", "K"])(
    "refuses an extension header (%s) that no memory is for, before it is there",
    (type) => {
      const tar = buildLayer([{ name: "h", type, content: "9 path=b\n", size: 2 ** 40 }]);
      expect(code(tar.subarray(0, 512))).toBe("layer-too-large");
    },
  );

  test("refuses more extended attributes than memory is for", () => {
    const value = "x".repeat(900_000);
    const tar = buildLayer([{ name: "a", xattrs: { "user.a": value } }], Buffer.alloc(0));
    const reader = new TarReader({ begin: () => {}, data: () => {}, end: () => {} });
    expect(() => {
      for (let count = 0; count < 300; count += 1) reader.write(tar);
    }).toThrow(expect.objectContaining({ code: "layer-too-large" }));
  });

  test("counts what an extended attribute costs beside its name and value, for each entry that has it", () => {
    const records = Object.fromEntries(Array.from({ length: 1000 }, (_, at) => [`SCHILY.xattr.user.${at}`, ""]));
    const tar = buildLayer([{ name: "a" }], Buffer.alloc(0));
    const entries: string[] = [];
    const reader = new TarReader({ begin: ({ path }) => void entries.push(path), data: () => {}, end: () => {} });
    reader.write(buildLayer([globalPax(records)], Buffer.alloc(0)));
    expect(() => {
      for (let count = 0; count < 1100; count += 1) reader.write(tar);
    }).toThrow(expect.objectContaining({ code: "layer-too-large" }));
    expect(entries).toHaveLength(Math.floor((256 * 2 ** 20) / (1000 * (256 + 5) + 2890)));
  });

  test("names the entry and the field that is no number", () => {
    expect(() => readTar(buildLayer([{ name: "etc/a", raw: { gid: "12x" } }]))).toThrow(
      'Cannot unpack a layer: entry "etc/a" has a header whose group is no number',
    );
  });

  test("tells the consumer's own error, again too, and gives it nothing more", () => {
    const seen: string[] = [];
    const reader = new TarReader({
      begin: ({ path }) => {
        seen.push(path);
        throw new AppError("layer-escape", "no");
      },
      data: () => {},
      end: () => {},
    });
    const tar = buildLayer([{ name: "a", content: "x" }, { name: "b" }]);
    for (let times = 0; times < 2; times += 1)
      expect(() => reader.write(tar)).toThrow(expect.objectContaining({ code: "layer-escape" }));
    expect(() => reader.end()).toThrow(expect.objectContaining({ code: "layer-escape" }));
    expect(seen).toEqual(["a"]);
  });

  test("tells the consumer's error about a sparse file whose map stood in front of it", () => {
    const reader = new TarReader({
      begin: () => {
        throw new AppError("layer-escape", "no");
      },
      data: () => {},
      end: () => {},
    });
    const sparse = { format: "1.0", pieces: [[512, 1]], sizeBytes: 4096 } as const;
    const tar = buildLayer([{ name: "a", content: "x", sparse }]);
    expect(() => reader.write(tar)).toThrow(expect.objectContaining({ code: "layer-escape" }));
  });
});

describe("what many small entries cost", () => {
  test("is no memory beyond the chunk: nothing is kept of what was read", () => {
    const reader = new TarReader({ begin: () => {}, data: () => {}, end: () => {} });
    const tar = buildLayer(
      [{ name: "a", content: "x".repeat(500), pax: { mtime: "1.5", comment: "x" } }],
      Buffer.alloc(0),
    );
    for (let count = 0; count < 1000; count += 1) reader.write(tar);
    const { arrayBuffers } = process.memoryUsage();
    for (let count = 0; count < 20_000; count += 1) reader.write(tar);
    reader.end();
    expect(process.memoryUsage().arrayBuffers - arrayBuffers).toBeLessThan(64 * 2 ** 20);
  });
});
