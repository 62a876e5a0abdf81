/**
 * Writes the bytes of one download: a file and a digest, no database, so that an extraction worker can use it with
 * nothing but a path. Verification is the writer: bytes beyond the promised size are refused as they arrive, and
 * `finish` returns only when size and digest are right.
 */
import { closeSync, constants, fstatSync, ftruncateSync, openSync, readSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { algorithmOf, createHasher, type Digest } from "./digest.ts";
import { explainFileError, StoreError } from "./errors.ts";

export interface IngestWriterOptions {
  /** What the bytes must be. Undefined for an unnamed ingest, whose SHA-256 `finish` returns. */
  readonly digest: Digest | undefined;
  /** Total size in bytes, when it is known. */
  readonly size?: number | undefined;
  /** Where to go on; the file keeps its first `offset` bytes and loses the rest. */
  readonly offset: number;
  /**
   * Receives the kept bytes while they are hashed again, in order, so that an extractor can be fed from the start.
   * The chunk is only valid during the call.
   */
  readonly onKept?: ((chunk: Uint8Array) => void) | undefined;
}

export interface IngestWriter extends Disposable {
  /** Bytes in the file now. */
  readonly position: number;
  /** Appends. Throws `blob-size-mismatch` beyond the size, `disk-full`. */
  write(chunk: Uint8Array): void;
  /**
   * Closes the file and returns what it holds. Throws `blob-size-mismatch` (too short: the bytes stay, for resuming) or
   * `blob-digest-mismatch` (the file is emptied, so that nobody resumes wrong bytes).
   */
  finish(): { readonly digest: Digest; readonly size: number };
  /** Closes the file and keeps its bytes. Disposing does the same. */
  abort(): void;
}

const READ_BACK_BYTES = 1024 * 1024;

const OPEN_FLAGS = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW;

export function openIngestWriter(path: string, options: IngestWriterOptions): IngestWriter {
  const { digest, size, offset } = options;
  const name = nameOf(digest);
  const hasher = createHasher(digest === undefined ? "sha256" : algorithmOf(digest));
  const explain = (error: unknown) =>
    explainFileError(error, {
      doing: `write ${name}`,
      path,
      root: dirname(path),
      neededBytes: size === undefined ? undefined : Math.max(0, size - position),
    });
  const explained = <T>(action: () => T): T => {
    try {
      return action();
    } catch (error) {
      throw explain(error);
    }
  };
  let position = 0;
  let fd: number | undefined = explained(() => openSync(path, OPEN_FLAGS, 0o600));
  const close = () => {
    if (fd === undefined) return;
    closeSync(fd);
    fd = undefined;
  };
  try {
    for (const chunk of keptChunks(fd, path, options, explained)) {
      hasher.update(chunk);
      options.onKept?.(chunk); // outside `explained`: what the extractor throws is its own
    }
    position = offset;
  } catch (error) {
    close();
    throw error;
  }

  const openFd = () => {
    if (fd === undefined) throw new Error(`the writer of ${path} is closed`);
    return fd;
  };
  return {
    get position() {
      return position;
    },
    write(chunk) {
      const target = openFd();
      if (size !== undefined && position + chunk.length > size) {
        // nothing says which of the bytes are right, so nobody shall resume from them
        ftruncateSync(target, 0);
        close();
        throw sizeMismatch(name, size, position + chunk.length, "more bytes came than were promised", path);
      }
      for (let done = 0; done < chunk.length; ) {
        const start = done;
        const written = explained(() => writeSync(target, chunk, start, chunk.length - start, position));
        // hash exactly what is in the file: a write that fails half-way leaves a good prefix to resume from
        hasher.update(chunk.subarray(start, start + written));
        done += written;
        position += written;
      }
    },
    finish() {
      const target = openFd();
      try {
        if (size !== undefined && position !== size) {
          throw sizeMismatch(name, size, position, "the download ended early", path);
        }
        const found = hasher.digest();
        if (digest !== undefined && found !== digest) {
          ftruncateSync(target, 0);
          throw new StoreError("blob-digest-mismatch", `Cannot store ${digest}: the received bytes are ${found}`, {
            details: { expected: digest, found, path },
            hint: "the source sent other bytes than it promised; try again, or another mirror",
          });
        }
        return { digest: found, size: position };
      } finally {
        close();
      }
    },
    abort: close,
    [Symbol.dispose]: close,
  };
}

/** Reads back the first `offset` bytes and cuts off the rest. The chunks share one buffer. */
function* keptChunks(
  fd: number,
  path: string,
  options: IngestWriterOptions,
  explained: <T>(action: () => T) => T,
): Generator<Uint8Array> {
  const { offset, size } = options;
  const name = nameOf(options.digest);
  if (!Number.isSafeInteger(offset) || offset < 0) throw new RangeError(`offset is no byte position: ${offset}`);
  if (size !== undefined && offset > size) {
    throw sizeMismatch(name, size, offset, "the kept part is longer than the whole", path);
  }
  const { size: found } = explained(() => fstatSync(fd));
  if (found < offset) throw sizeMismatch(name, offset, found, "the kept part has become shorter", path);
  if (found > offset) explained(() => ftruncateSync(fd, offset));
  const buffer = Buffer.allocUnsafe(Math.min(READ_BACK_BYTES, offset));
  for (let position = 0; position < offset; ) {
    const read = explained(() => readSync(fd, buffer, 0, Math.min(buffer.length, offset - position), position));
    if (read === 0) throw sizeMismatch(name, offset, position, "the kept part has become shorter", path);
    yield buffer.subarray(0, read);
    position += read;
  }
}

/** How messages call it. */
function nameOf(digest: Digest | undefined): string {
  return digest ?? "a download";
}

function sizeMismatch(name: string, expected: number, found: number, why: string, path: string): StoreError {
  return new StoreError("blob-size-mismatch", `Cannot store ${name}: ${why} (${expected} expected, ${found} found)`, {
    details: { name, expected, found, path },
    hint: "try again; if it stays, the source describes this blob wrongly",
  });
}
