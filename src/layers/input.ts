/**
 * A layer's bytes as they reach a worker. A chunk is valid until the next one is asked for; then its memory is used again.
 */
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { AppError } from "../errors.ts";
import type { Batch, FileRange, LayerBytes, PortBytes } from "./tasks.ts";

const CHUNK = 512 * 1024;

export function readChunks(bytes: LayerBytes): AsyncIterable<Uint8Array> | Iterable<Uint8Array> {
  return "file" in bytes ? readFileRange(bytes.file) : readPort(bytes);
}

export function* readFileRange(range: FileRange): Generator<Uint8Array> {
  const fd = openRegularSync(range.path);
  try {
    let left = range.sizeBytes;
    let at = range.offset;
    const chunk = Buffer.allocUnsafeSlow(Math.min(CHUNK, Math.max(left, 1)));
    while (left > 0) {
      const read = readSync(fd, chunk, 0, Math.min(chunk.length, left), at);
      if (read === 0) {
        throw new AppError("archive-invalid", `Cannot read ${range.path}: the file ends ${left} bytes early`, {
          hint: "copy or save the archive again",
        });
      }
      at += read;
      left -= read;
      yield chunk.subarray(0, read);
    }
  } finally {
    closeSync(fd);
  }
}

/**
 * Since it was resolved, somebody may have put something else in its place: a FIFO would hold the worker for ever. Throws
 * AppError `archive-invalid` for what is no regular file.
 */
export function openRegularSync(path: string): number {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  if (fstatSync(fd).isFile()) return fd;
  closeSync(fd);
  throw new AppError("archive-invalid", `Cannot read ${path}: it is no regular file`, {
    hint: "copy or save the archive again, and leave it alone while it is read",
  });
}

/** Without an end, the reader is terminated from outside. */
async function* readPort({ port, memory }: PortBytes): AsyncGenerator<Uint8Array> {
  const queue: (Batch | null)[] = [];
  let wake: () => void = () => {};
  port.on("message", (message: Batch | null) => {
    queue.push(message);
    wake();
  });
  try {
    for (;;) {
      while (queue.length === 0) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      const batch = queue.shift() as Batch | null;
      if (batch === null) return;
      const [offset, length] = batch;
      yield new Uint8Array(memory, offset, length);
      port.postMessage(offset);
    }
  } finally {
    port.close();
  }
}
