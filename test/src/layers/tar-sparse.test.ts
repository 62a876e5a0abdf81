import { describe, expect, test } from "vitest";
import { AppError } from "../../../src/errors.ts";
import { contentOf, type ReadEntry, readTar } from "../../support/read-tar.ts";
import {
  base256,
  buildLayer,
  encodePax,
  GNU_MAGIC,
  globalPax,
  type Sparse,
  type TarEntry,
} from "../../support/tar-builder.ts";

const FORMATS = ["gnu", "0.0", "0.1", "1.0"] as const;
type Pieces = Sparse["pieces"];

/** Stored bytes that differ from piece to piece. */
function sparse(format: Sparse["format"], pieces: Pieces, sizeBytes: number, more: Partial<TarEntry> = {}): TarEntry {
  const content = pieces.map(([, length], at) => String.fromCharCode(97 + (at % 26)).repeat(length)).join("");
  return { name: "d/s", content, sparse: { format, pieces, sizeBytes }, ...more };
}

const read = (...entries: TarEntry[]): ReadEntry[] => readTar(buildLayer(entries), 700);
const readOne = (entry: TarEntry): ReadEntry => read(entry)[0] as ReadEntry;

function code(...entries: TarEntry[]): string {
  try {
    read(...entries);
  } catch (error) {
    return error instanceof AppError ? `${error.code} ${error.message}` : String(error);
  }
  return "none";
}

const many = (count: number): Pieces => Array.from({ length: count }, (_, at) => [at * 1000, 10] as const);

describe.each(FORMATS)("a sparse file in format %s", (format) => {
  test("has its name, its size, its stored bytes and where they belong", () => {
    const pieces: Pieces = [
      [512, 512],
      [4096, 1000],
    ];
    const [entry, next] = read(sparse(format, pieces, 9999), { name: "next", content: "n" });
    expect(entry).toMatchObject({
      path: "d/s",
      type: "file",
      size: 9999,
      stored: "a".repeat(512) + "b".repeat(1000),
      sparse: [
        { offset: 512, length: 512 },
        { offset: 4096, length: 1000 },
      ],
    });
    expect(next).toMatchObject({ path: "next", stored: "n" });
  });

  test("says where the stored bytes begin", () => {
    const tar = buildLayer([{ name: "before", content: "x" }, sparse(format, many(30), 2 ** 20)]);
    const entry = readTar(tar)[1] as ReadEntry;
    expect(tar.toString("latin1", entry.offset, entry.offset + 300)).toBe(entry.stored);
  });

  test.each([4, 5, 25, 26, 200])("may have %i pieces", (count) => {
    expect(readOne(sparse(format, many(count), 2 ** 20)).sparse).toHaveLength(count);
  });

  test("may be nothing but a hole", () => {
    expect(readOne(sparse(format, [[4096, 0]], 4096))).toMatchObject({ size: 4096, sparse: [], stored: "" });
  });

  test("may have no pieces at all", () => {
    const entry = readOne(sparse(format, [], format === "0.0" || format === "0.1" ? 0 : 4096));
    expect(entry.size).toBe(format === "0.0" || format === "0.1" ? 0 : 4096);
    expect(entry.stored).toBe("");
  });

  test("may be empty", () => {
    expect(readOne(sparse(format, [[0, 0]], 0))).toMatchObject({ size: 0, stored: "" });
  });

  test("is none when it has no holes", () => {
    const pieces: Pieces = [
      [0, 600],
      [600, 400],
    ];
    expect(readOne(sparse(format, pieces, 1000))).not.toHaveProperty("sparse");
  });

  test("has pieces that touch as one, and none that are empty", () => {
    const pieces: Pieces = [
      [0, 100],
      [100, 0],
      [100, 50],
      [1000, 0],
      [2000, 5],
    ];
    expect(readOne(sparse(format, pieces, 3000)).sparse).toEqual([
      { offset: 0, length: 150 },
      { offset: 2000, length: 5 },
    ]);
  });

  test("may be larger than any disk", () => {
    const entry = readOne(sparse(format, [[2 ** 45, 5]], 2 ** 50));
    expect(entry).toMatchObject({ size: 2 ** 50, sparse: [{ offset: 2 ** 45, length: 5 }] });
  });

  test("keeps its other metadata", () => {
    const more = { mode: 0o4755, uid: 7, xattrs: { "user.a": "v" }, pax: { mtime: "1.5" } };
    expect(readOne(sparse(format, [[9, 1]], 100, more))).toMatchObject({
      mode: 0o4755,
      uid: 7,
      mtimeNsec: 500_000_000,
      ...(format !== "gnu" && { mtimeSec: 1 }),
    });
  });

  test.each<readonly [string, Pieces, number]>([
    [
      "overlap",
      [
        [0, 512],
        [256, 512],
      ],
      4096,
    ],
    [
      "go backwards",
      [
        [2048, 512],
        [0, 512],
      ],
      4096,
    ],
    ["lie behind the end", [[4000, 512]], 4096],
    ["begin behind the end and are empty", [[5000, 0]], 4096],
  ])("is refused when its pieces %s", (_what, pieces, size) => {
    expect(code(sparse(format, pieces, size))).toMatch(/^layer-invalid .*entry "d\/s" is a sparse file whose map has /);
  });

  test.each([
    ["more", "x".repeat(600)],
    ["less", "x".repeat(400)],
  ])("is refused when it stores %s than its pieces have", (_what, content) => {
    expect(code(sparse(format, [[0, 512]], 4096, { content }))).toMatch(/^layer-invalid/);
  });
});

describe("GNU's own sparse format", () => {
  test("is refused when a number is none", () => {
    const slots = Buffer.concat([Buffer.from("0000000000x\0"), base256(5, 12)]);
    expect(code(sparse("gnu", [[0, 5]], 100, { raw: { sparse: slots } }))).toMatch(/^layer-invalid/);
  });

  test.each([base256(-1, 12), Buffer.from("0000000000x\0"), base256(2n ** 64n, 12)])(
    "is refused when the real size is none",
    (realsize) => {
      expect(code(sparse("gnu", [[0, 5]], 100, { raw: { realsize } }))).toMatch(/^layer-invalid .*invalid size/);
    },
  );

  test("is not looked for in the headers of other formats", () => {
    const raw = { ...GNU_MAGIC, magic: "ustar\0", version: "00" };
    expect(code(sparse("gnu", [[0, 5]], 100, { raw }))).toMatch(/^layer-unsupported/);
  });

  test("is refused when blocks that would go on with the map are not there", () => {
    const tar = buildLayer([sparse("gnu", many(30), 2 ** 20)]);
    expect(() => readTar(tar.subarray(0, 1100))).toThrow(expect.objectContaining({ code: "layer-invalid" }));
  });
});

describe("GNU's sparse formats in PAX headers", () => {
  const records = (pax: Record<string, string>, content = "x".repeat(512)): TarEntry => ({ name: "a", content, pax });
  const one = { "GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "4096" };
  const zero = { "GNU.sparse.size": "4096", "GNU.sparse.numblocks": "1", "GNU.sparse.map": "0,512" };

  test("are known by their version", () => {
    expect(code(records({ ...one, "GNU.sparse.minor": "1" }))).toMatch(/^layer-unsupported .*version 1\.1/);
    expect(code(records({ "GNU.sparse.major": "1" }))).toMatch(/^layer-unsupported/);
    const explicit = { ...zero, "GNU.sparse.major": "0", "GNU.sparse.minor": "1" };
    expect(readOne(records(explicit))).toMatchObject({ size: 4096, sparse: [{ offset: 0, length: 512 }] });
  });

  test("are refused for what is no file", () => {
    expect(code({ name: "d/", type: "dir", pax: zero })).toMatch(/^layer-invalid/);
    expect(code({ name: "l", type: "hardlink", linkname: "a", pax: one })).toMatch(/^layer-invalid/);
  });

  test("mean nothing in global headers", () => {
    expect(read(globalPax(zero), { name: "a", content: "x" })[0]).toMatchObject({ path: "a", size: 1, stored: "x" });
  });

  test.each([
    ["another number of pieces", { "GNU.sparse.numblocks": "2" }],
    ["no number of pieces", { "GNU.sparse.numblocks": "" }],
    ["half a piece", { "GNU.sparse.map": "0,512,700" }],
    ["blanks", { "GNU.sparse.map": "0, 512" }],
    ["a sign", { "GNU.sparse.map": "-0,512" }],
    ["an empty number", { "GNU.sparse.map": ",512" }],
    ["a number beyond all", { "GNU.sparse.map": `0,${"9".repeat(20)}` }],
    ["a size that is none", { "GNU.sparse.size": "0x1000" }],
    ["a negative size", { "GNU.sparse.size": "-1" }],
  ])("are refused with %s in the records", (_what, wrong) => {
    expect(code(records({ ...zero, ...wrong }))).toMatch(/^layer-invalid/);
  });

  const body = (map: string): string => map.padEnd(512, "\0") + "x".repeat(512);
  test.each([
    ["no numbers", "\n"],
    ["letters", "1\n0\nx512\n"],
    ["a sign", "1\n-0\n512\n"],
    ["blanks", "1 \n0\n512\n"],
    ["an empty line", "1\n\n0\n512\n"],
    ["a number beyond all", `1\n0\n${"9".repeat(400)}\n`],
    ["a count beyond all", `${"9".repeat(400)}\n`],
    ["more pieces than there are lines", "3\n0\n512\n"],
    ["half a piece", "1\n0\n"],
  ])("are refused with %s in the lines before the body", (_what, map) => {
    expect(code(records(one, body(map)))).toMatch(/^layer-invalid/);
  });

  test("are refused when the lines do not end", () => {
    expect(code(records(one, "1".repeat(2000)))).toMatch(/^layer-invalid/);
    expect(code(records(one, "1"))).toMatch(/^layer-invalid/);
    expect(code(records(one, ""))).toMatch(/^layer-invalid/);
  });

  test("may have lines that lie in two blocks", () => {
    const map = `${"0".repeat(505)}1\n3000\n512\n`;
    const content = map.padEnd(1024, "\0") + "x".repeat(512);
    expect(readOne(records(one, content)).sparse).toEqual([{ offset: 3000, length: 512 }]);
  });

  test("give the name that counts, before PAX's path and GNU's long name", () => {
    const pax = { ...zero, "GNU.sparse.name": "real", path: "hidden" };
    const long = { name: "L", type: "L", content: "long\0" };
    expect(read(long, records(pax))[0]?.path).toBe("real");
  });

  test("refuse a name with a NUL", () => {
    const content = encodePax({ ...zero, "GNU.sparse.name": Buffer.from("a\0b") });
    expect(code({ name: "x", type: "x", content }, { name: "a" })).toMatch(/^layer-invalid/);
  });
});

test("pieces of sparse files are not kept without end", () => {
  const pieces = Array.from({ length: 40_000 }, (_, at) => [at * 2, 1] as const);
  const tar = buildLayer([sparse("1.0", pieces, 100_000)], Buffer.alloc(0));
  expect(() => readTar(Buffer.concat(Array.from({ length: 30 }, () => tar)))).toThrow(
    expect.objectContaining({ code: "layer-too-large" }),
  );
});

test("a sparse file's content is what the pieces make of it", () => {
  const entry = readOne(sparse("1.0", [[3, 2]], 8));
  expect(contentOf(entry).toString("latin1")).toBe("\0\0\0aa\0\0\0");
});
