/** gzip: decompress.ts as workers use it, Node's zlib without anything around it, and gzip. */
import { createGunzip } from "node:zlib";
import { type Decompressor, openDecompressor } from "../../../src/layers/decompress.ts";
import { here, pieces, type Stage, type StageImage, shell } from "./stage.ts";

export function inflateStage({ blobs, tarBytes, entries, work }: StageImage): Stage {
  const all = (inflate: (blob: string) => Promise<number> | number) => async (): Promise<void> => {
    let size = 0;
    for (const blob of blobs) size += await inflate(blob);
    if (size !== tarBytes) throw new Error(`Inflating gave ${size} bytes instead of ${tarBytes}`);
  };
  return {
    name: "inflate",
    work: "the blobs, by gzip",
    bytes: tarBytes,
    entries,
    ways: [
      here("decompress.ts", all(inflate)),
      here("node:zlib, its handle alone", all(inflateByHandle)),
      shell("gzip -dc", work, 'gzip -dc "$@"', ...blobs),
    ],
  };
}

async function inflate(blob: string): Promise<number> {
  let size = 0;
  let decompressor: Decompressor | undefined;
  for (const piece of pieces(blob)) {
    decompressor ??= await openDecompressor(piece);
    for (const output of decompressor.write(piece)) size += output.length;
  }
  for (const output of decompressor?.end() ?? []) size += output.length;
  return size;
}

/** The binding behind node:zlib, synchronously and into one buffer: what no JavaScript around it can be faster than. */
interface Handle {
  writeSync(
    flush: number,
    input: Uint8Array,
    at: number,
    size: number,
    output: Uint8Array,
    to: number,
    room: number,
  ): void;
}

const ROOM = 64 * 1024;

function inflateByHandle(blob: string): number {
  const gunzip = createGunzip() as unknown as { readonly _handle: Handle; readonly _writeState: Uint32Array };
  const output = Buffer.allocUnsafeSlow(ROOM);
  let size = 0;
  for (const piece of pieces(blob)) {
    let left = piece.length;
    for (;;) {
      gunzip._handle.writeSync(0, piece, piece.length - left, left, output, 0, ROOM);
      const [roomLeft = 0, inputLeft = 0] = gunzip._writeState;
      size += ROOM - roomLeft;
      left = inputLeft;
      if (roomLeft > 0) break;
    }
  }
  return size;
}
