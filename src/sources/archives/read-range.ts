/** Bytes of a FileRange: the first few, or the digest of all. */
import { createHasher, type Digest } from "../../../store/index.ts";
import type { FileRange } from "../source.ts";
import { openRegular } from "./open-regular.ts";

/** Up to `length` bytes from the start; fewer only where there are no more. */
export async function readStart(range: FileRange, length: number): Promise<Buffer> {
  await using file = await openRegular(range.path);
  const wanted = Math.min(length, range.sizeBytes);
  const { bytesRead, buffer } = await file.read(Buffer.alloc(wanted), 0, wanted, range.offset);
  return buffer.subarray(0, bytesRead);
}

export async function digestOfRange({ path, offset, sizeBytes }: FileRange, signal?: AbortSignal): Promise<Digest> {
  const hasher = createHasher("sha256");
  if (sizeBytes === 0) return hasher.digest();
  await using file = await openRegular(path);
  const stream = file.createReadStream({
    start: offset,
    end: offset + sizeBytes - 1,
    highWaterMark: 1024 * 1024,
    autoClose: false,
    signal,
  });
  for await (const chunk of stream) hasher.update(chunk as Buffer);
  return hasher.digest();
}
