/** gzip and zstd, through the native half of node:zlib: members, frames, what follows them, and what is relied on. */
import { createHash } from "node:crypto";
import { constants, gzipSync, zstdCompressSync } from "node:zlib";
import { Gunzip, ZstdDecompress } from "minizlib";
import { describe, expect, test } from "vitest";
import { AppError } from "../../../src/errors.ts";
import { openDecompressor } from "../../../src/layers/decompress.ts";

/** What does not compress well. */
const NOISE = Buffer.concat(Array.from({ length: 500 }, (_, at) => createHash("sha256").update(`${at}`).digest()));

interface NativeHalf {
  writeSync(...args: [number, Uint8Array, number, number, Uint8Array, number, number]): void;
  onerror: (...failure: unknown[]) => void;
}

async function decompress(bytes: Buffer, step: number): Promise<Buffer> {
  const starts = Array.from({ length: Math.ceil(bytes.length / step) }, (_, at) => at * step);
  return await undo(
    starts.map((at) => bytes.subarray(at, at + step)),
    bytes,
  );
}

/** `head` tells the format, as it does where the layer is read. */
async function undo(chunks: readonly Buffer[], head: Buffer): Promise<Buffer> {
  const output: Buffer[] = [];
  const decompressor = await openDecompressor(head);
  // each piece may lie in the memory of the one before
  for (const chunk of chunks) for (const piece of decompressor.write(chunk)) output.push(Buffer.from(piece));
  for (const piece of decompressor.end()) output.push(Buffer.from(piece));
  return Buffer.concat(output);
}

/** How much comes of it, or why nothing does. */
async function outcomeOf(chunks: readonly Buffer[]): Promise<string> {
  try {
    return `${(await undo(chunks, Buffer.concat(chunks))).length} bytes`;
  } catch (error) {
    if (error instanceof AppError && error.code === "layer-invalid") return error.message;
    throw error;
  }
}

describe("behind the end of a gzip stream", () => {
  const one = gzipSync("one ".repeat(256));
  const two = gzipSync("second");
  const [zeros, garbage] = [Buffer.alloc(3), Buffer.from("garbage")];
  const behind = /Cannot unpack a layer: bytes other than zeros follow the end of the gzip stream/;
  const cases: readonly (readonly [what: string, parts: Buffer[], expected: number | RegExp])[] = [
    ["zeros are dropped", [one, zeros], 1024],
    ["zeros and garbage are refused", [one, zeros, garbage], behind],
    ["zeros and garbage and zeros are refused", [one, zeros, garbage, zeros], behind],
    ["garbage is refused", [one, garbage], /the gzip stream is damaged/],
    ["a second member belongs to it", [one, two], 1030],
    ["a second member and zeros belong to it", [one, two, zeros], 1030],
    ["half a member is a truncation", [one, two.subarray(0, 15)], /the gzip stream is truncated/],
    ["zeros and a second member are refused", [one, zeros, two], behind],
  ];

  test.each(cases)("%s, wherever the input is cut", async (_what, parts, expected) => {
    const bytes = Buffer.concat(parts);
    const outcomes = new Set<string>();
    for (let cut = 1; cut <= bytes.length; cut += 1)
      outcomes.add(await outcomeOf([bytes.subarray(0, cut), bytes.subarray(cut)]));
    outcomes.add(await outcomeOf(Array.from(bytes, (byte) => Buffer.from([byte]))));
    expect([...outcomes]).toEqual([
      typeof expected === "number" ? `${expected} bytes` : expect.stringMatching(expected),
    ]);
  });

  test("zeros are dropped when they are many, and one other byte among them is found", async () => {
    const padding = Buffer.alloc(200_000);
    expect(await outcomeOf([one, padding, padding])).toBe("1024 bytes");
    for (const place of [0, 65_535, 65_536, 199_999]) {
      const spoilt = Buffer.from(padding);
      spoilt[place] = 1;
      expect(await outcomeOf([Buffer.concat([one, zeros]), padding, spoilt])).toMatch(behind);
    }
  });

  test("a stream that fills the output to the last byte ends where it ends", async () => {
    const full = gzipSync(Buffer.alloc(256 * 1024));
    expect(await outcomeOf([Buffer.concat([full, zeros])])).toBe(`${256 * 1024} bytes`);
    expect(await outcomeOf([Buffer.concat([full, zeros, garbage])])).toMatch(behind);
    expect(await outcomeOf([Buffer.concat([full, two])])).toBe(`${256 * 1024 + 6} bytes`);
  });
});

describe("zstd frames, all through one decoder", () => {
  const EMPTY = Buffer.from("28b52ffd2000010000", "hex");

  test.each([1, 5, 1000])(
    "a frame that is truncated is not made whole by the next one (chunks of %d)",
    async (step) => {
      const frame = zstdCompressSync(NOISE);
      for (const missing of [1, 2, 5, 1000]) {
        const bytes = Buffer.concat([EMPTY, frame.subarray(0, frame.length - missing), frame]);
        await expect(decompress(bytes, step)).rejects.toMatchObject({ code: "layer-invalid" });
      }
    },
  );

  test("the largest window that is accepted is the same for the first frame and the hundredth", async () => {
    // a window descriptor of 2^27 bytes and of 2^28; one raw block, the last, of nothing
    const window = (log: number): Buffer => Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0, (log - 10) << 3, 1, 0, 0]);
    const before = Array.from({ length: 100 }, () => EMPTY);
    for (const frames of [[], before]) {
      const last = zstdCompressSync(NOISE);
      expect((await decompress(Buffer.concat([...frames, window(27), last]), 4096)).equals(NOISE)).toBe(true);
      await expect(decompress(Buffer.concat([...frames, window(28), last]), 4096)).rejects.toThrow(/damaged/);
    }
  });

  test("a checksum is that of its own frame", async () => {
    const frame = (text: string): Buffer =>
      zstdCompressSync(Buffer.from(text), { params: { [constants.ZSTD_c_checksumFlag]: 1 } });
    const [a, b] = [frame("first"), frame("second")];
    expect((await decompress(Buffer.concat([a, EMPTY, b]), 3)).toString()).toBe("firstsecond");
    const swapped = Buffer.concat([a.subarray(0, -4), b.subarray(-4), b]);
    await expect(decompress(swapped, 3)).rejects.toThrow(/damaged/);
  });
});

describe("the internals of Node that are driven here", () => {
  test.each([
    ["gzip", new Gunzip({}), gzipSync, constants.Z_NO_FLUSH],
    ["zstd", new ZstdDecompress({}), zstdCompressSync, constants.ZSTD_e_continue],
  ] as const)("are what they were (%s)", (_name, stream, compress, flush) => {
    const { handle } = stream as unknown as { handle: { _handle: NativeHalf; _writeState: unknown } };
    const { _handle: native, _writeState: state } = handle;
    expect(state).toBeInstanceOf(Uint32Array);
    const failures: unknown[] = [];
    native.onerror = (...failure) => failures.push(failure);
    const output = Buffer.alloc(1000);
    const write = (input: Buffer, at: number, room: number): number[] => {
      native.writeSync(flush, input, at, input.length - at, output, 0, room);
      return [...(state as Uint32Array)];
    };
    const input = compress("hello");
    // room left in the output, input left
    expect(write(input, 0, 100)).toEqual([95, 0]);
    expect(output.toString("latin1", 0, 5)).toBe("hello");
    // the next member or frame begins without another call
    expect(write(Buffer.concat([Buffer.alloc(7), input]), 7, 50)).toEqual([45, 0]);
    // output that did not fit comes with the next call
    const long = compress("x".repeat(500));
    const [room, left = 0] = write(long, 0, 100);
    expect(room).toBe(0);
    expect(write(long, long.length - left, 1000)).toEqual([600, 0]);
    expect(failures).toEqual([]);
    // a failure is told before the call returns
    write(Buffer.alloc(20, "y"), 0, 100);
    expect(failures).toEqual([[expect.any(String), expect.any(Number), expect.any(String)]]);
  });

  test("stop at a zero behind a gzip member, and only there", () => {
    const { handle } = new Gunzip({}) as unknown as { handle: { _handle: NativeHalf; _writeState: Uint32Array } };
    const input = Buffer.concat([gzipSync("a"), gzipSync("b"), Buffer.alloc(3), gzipSync("c")]);
    handle._handle.writeSync(constants.Z_NO_FLUSH, input, 0, input.length, Buffer.alloc(100), 0, 100);
    expect([...handle._writeState]).toEqual([98, 3 + gzipSync("c").length]);
  });
});
