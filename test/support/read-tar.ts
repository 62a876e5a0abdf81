/** Reads a tar with the reader that layers go through, and keeps all of it. */
import { type TarEntry, TarReader } from "../../src/layers/tar-entries.ts";

/** `stored`: the bytes that the archive has of a file, latin1. */
export type ReadEntry = TarEntry & { readonly stored: string };

/** Throws what the reader throws. The chunk's memory is overwritten when the reader says that it is through with it. */
export function readTar(tar: Uint8Array, stepBytes = 1 << 20): ReadEntry[] {
  const entries: ReadEntry[] = [];
  let entry: TarEntry | undefined;
  let content: Buffer[] = [];
  const reader = new TarReader({
    begin(next) {
      entry = next;
      content = [];
    },
    data: (chunk) => void content.push(Buffer.from(chunk)),
    end() {
      if (entry !== undefined) entries.push({ ...entry, stored: Buffer.concat(content).toString("latin1") });
    },
  });
  const chunk = Buffer.alloc(Math.min(stepBytes, tar.length));
  for (let at = 0; at < tar.length; at += stepBytes) {
    const step = tar.subarray(at, at + stepBytes);
    chunk.set(step);
    reader.write(chunk.subarray(0, step.length));
    chunk.fill("!");
  }
  reader.end();
  return entries;
}

/** The file as it is with its holes. */
export function contentOf({ size, sparse, stored }: ReadEntry): Buffer {
  const bytes = Buffer.from(stored, "latin1");
  if (sparse === undefined) return bytes;
  const content = Buffer.alloc(size);
  let at = 0;
  for (const { offset, length } of sparse) {
    bytes.copy(content, offset, at, at + length);
    at += length;
  }
  return content;
}
