/** Sparse maps that lie: pieces that overlap, go backwards, lie beyond the file, or are more than there is. */
import { lstatSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { base256, buildLayer, encodePax, GNU_MAGIC, type TarEntry } from "../../../support/tar-builder.ts";
import { file, MODES, useRange } from "./fixtures.ts";

/** What a file declares of itself: its pieces, and its size with holes. */
interface SparseMap {
  readonly pieces: readonly (readonly [offset: number | bigint, length: number | bigint])[];
  readonly size: number | bigint;
  /** Bytes that are stored. Default: as many as the pieces have. */
  readonly stored?: number;
  /** The count that is declared. */
  readonly count?: string;
}

const storedOf = ({ pieces, stored }: SparseMap): number =>
  stored ??
  Math.min(
    4096,
    pieces.reduce((sum, [, length]) => sum + Math.max(0, Number(length)), 0),
  );
const data = (map: SparseMap): Buffer => Buffer.alloc(storedOf(map), "s");

function oldGnu(map: SparseMap): TarEntry[] {
  // from the prefix field on: times (24), offset (12), long names (4), unused (1), four pieces, is extended, real size
  const tail = Buffer.alloc(155);
  const number = (value: number | bigint): Buffer => {
    const big = BigInt(value);
    return big >= 0n && big < 2n ** 33n
      ? Buffer.from(`${big.toString(8).padStart(11, "0")}\0`)
      : base256(Number(value), 12);
  };
  map.pieces.slice(0, 4).forEach(([offset, length], at) => {
    number(offset).copy(tail, 41 + at * 24);
    number(length).copy(tail, 41 + at * 24 + 12);
  });
  if (map.count !== undefined) tail[137] = 1;
  number(map.size).copy(tail, 138);
  return [{ name: "s", type: "S", content: data(map), raw: { ...GNU_MAGIC, prefix: tail } }];
}

const pax = (content: Buffer): TarEntry => ({ name: "PaxHeaders/s", type: "x", content });

function pax00(map: SparseMap): TarEntry[] {
  const records = map.pieces.map(([offset, length]) =>
    encodePax({ "GNU.sparse.offset": String(offset), "GNU.sparse.numbytes": String(length) }),
  );
  const head = encodePax({
    "GNU.sparse.size": String(map.size),
    "GNU.sparse.numblocks": map.count ?? String(map.pieces.length),
  });
  return [pax(Buffer.concat([head, ...records])), { name: "s", content: data(map) }];
}

function pax01(map: SparseMap): TarEntry[] {
  const head = encodePax({
    "GNU.sparse.size": String(map.size),
    "GNU.sparse.numblocks": map.count ?? String(map.pieces.length),
    "GNU.sparse.map": map.pieces.flat().join(","),
    "GNU.sparse.name": "s",
  });
  return [pax(head), { name: "GNUSparseFile.1/s", content: data(map) }];
}

function pax10(map: SparseMap): TarEntry[] {
  const head = encodePax({
    "GNU.sparse.major": "1",
    "GNU.sparse.minor": "0",
    "GNU.sparse.name": "s",
    "GNU.sparse.realsize": String(map.size),
  });
  const text = Buffer.from([map.count ?? String(map.pieces.length), ...map.pieces.flat().map(String), ""].join("\n"));
  const padded = Buffer.concat([text, Buffer.alloc((512 - (text.length % 512)) % 512)]);
  return [pax(head), { name: "GNUSparseFile.1/s", content: Buffer.concat([padded, data(map)]) }];
}

const FORMATS = [
  ["old GNU", oldGnu],
  ["PAX 0.0", pax00],
  ["PAX 0.1", pax01],
  ["PAX 1.0", pax10],
] as const;

type Lie = readonly [what: string, map: SparseMap];
const LIES: readonly Lie[] = [
  [
    "overlap",
    {
      pieces: [
        [0, 512],
        [256, 512],
      ],
      size: 4096,
    },
  ],
  [
    "are there twice",
    {
      pieces: [
        [0, 512],
        [0, 512],
      ],
      size: 4096,
    },
  ],
  [
    "go backwards",
    {
      pieces: [
        [2048, 512],
        [0, 512],
      ],
      size: 4096,
    },
  ],
  ["go beyond the file's size", { pieces: [[4000, 512]], size: 4096 }],
  ["begin beyond the file's size", { pieces: [[8192, 512]], size: 4096 }],
  [
    "are more than is stored",
    {
      pieces: [
        [0, 512],
        [1024, 512],
      ],
      size: 4096,
      stored: 512,
    },
  ],
  ["are less than is stored", { pieces: [[0, 512]], size: 4096, stored: 1024 }],
  ["begin below zero", { pieces: [[-512, 512]], size: 4096 }],
  ["are shorter than nothing", { pieces: [[0, -512]], size: 4096, stored: 0 }],
];

/** Beyond a limit, or beyond what a file system or a number can be: which one is all the same. */
const BEYOND: readonly Lie[] = [
  ["add up to more than all numbers", { pieces: [[2n ** 62n, 2n ** 62n]], size: 4096, stored: 512 }],
  ["wrap around at 64 bits", { pieces: [[2n ** 64n - 512n, 1024]], size: 4096, stored: 512 }],
  ["are of a file below zero", { pieces: [[0, 512]], size: -1 }],
  ["are of a file of 2^62 bytes", { pieces: [[0, 512]], size: 2n ** 62n }],
  ["are of a file beyond the limit", { pieces: [[0, 512]], size: 2 ** 41 }],
];

describe.each(MODES)("a sparse file's pieces (as %s)", (_who, privileged) => {
  const range = useRange();
  describe.each(FORMATS)("in %s", (_format, encode) => {
    test("are what they say, when they do not lie", async () => {
      const map: SparseMap = {
        pieces: [
          [4096, 1000],
          [1_000_000, 96],
        ],
        size: 2_000_000,
      };
      const outcome = await range().attack([...encode(map), file("b")], { privileged });
      if (outcome.code !== undefined) throw outcome.error;
      expect(outcome.lines).toEqual(["b=inside", "s=2000000 bytes"]);
      expect(lstatSync(join(outcome.fsPath, "s")).size).toBe(2_000_000);
    });

    test.each(LIES)("that %s are refused", async (_what, map) => {
      const outcome = await range().attack([...encode(map), file("b")], { privileged });
      expect(outcome.code ?? outcome.lines).toBe("layer-invalid");
    });

    test.each(BEYOND)("that %s are refused", async (_what, map) => {
      const outcome = await range().attack([...encode(map), file("b")], { privileged });
      expect(["layer-invalid", "layer-too-large"]).toContain(outcome.code ?? outcome.lines);
    });

    test("that are said to be a billion are refused, and no memory", async () => {
      const before = process.memoryUsage().rss;
      const outcome = await range().attack(encode({ pieces: [[0, 512]], size: 4096, count: "1000000000" }), {
        privileged,
      });
      expect(outcome.code).toBe("layer-invalid");
      expect(process.memoryUsage().rss - before).toBeLessThan(100 * 2 ** 20);
    });

    test("are written as holes, however large the file", async () => {
      const map: SparseMap = { pieces: [[2 ** 32, 512]], size: 2 ** 33 - 1 };
      const outcome = await range().attack([...encode(map)], { privileged });
      if (outcome.code !== undefined) throw outcome.error;
      const stat = lstatSync(join(outcome.fsPath, "s"));
      expect([stat.size, stat.blocks < 1000]).toEqual([2 ** 33 - 1, true]);
    });
  });

  test("in a map without end are refused, and no memory", async () => {
    const head = encodePax({
      "GNU.sparse.major": "1",
      "GNU.sparse.minor": "0",
      "GNU.sparse.name": "s",
      "GNU.sparse.realsize": "4096",
    });
    const before = process.memoryUsage().arrayBuffers;
    const digits = Buffer.alloc(64 * 2 ** 20, "1");
    const outcome = await range().attack(buildLayer([pax(head), { name: "x", content: digits }]), { privileged });
    expect(outcome.code).toBe("layer-invalid");
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(200 * 2 ** 20);
  });

  test("in extension blocks without end are refused, and no memory", async () => {
    const extended = oldGnu({ pieces: [[0, 0]], size: 4096, count: "extended", stored: 0 });
    // each says that another one follows
    const block = Buffer.alloc(512);
    block[504] = 1;
    const bytes = Buffer.concat([
      buildLayer(extended, Buffer.alloc(0)),
      ...Array.from({ length: 100_000 }, () => block),
    ]);
    const outcome = await range().attack(bytes, { privileged });
    expect(["layer-invalid", "layer-too-large"]).toContain(outcome.code);
  });

  test.each(["../../outside/secret", "/../x"])("under a name that leaves the tree are refused (%s)", async (name) => {
    const head = encodePax({
      "GNU.sparse.major": "1",
      "GNU.sparse.minor": "0",
      "GNU.sparse.name": name,
      "GNU.sparse.realsize": "4096",
    });
    const outcome = await range().attack([pax(head), { name: "x", content: Buffer.from(`0\n${"\0".repeat(510)}`) }], {
      privileged,
    });
    expect(outcome.code).toBe("layer-escape");
  });
});
