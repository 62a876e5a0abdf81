/** What bytes are uncompressed, into a file: a worker's task. */
import { closeSync, openSync, writeSync } from "node:fs";
import { AppError } from "../errors.ts";
import { readChunks } from "./input.ts";
import { reworded } from "./reword.ts";
import type { ExpandResult, ExpandTask } from "./tasks.ts";
import { type ByteLimits, Uncompressed } from "./uncompressed.ts";

/** A task of the workshop's has its limits with it. Throws `layer-invalid`, `layer-unsupported`, `layer-too-large`, `disk-full`; the file is then the caller's to remove. */
export async function expandBytes(
  task: ExpandTask & ByteLimits,
  onProgress: (doneBytes: number) => void,
): Promise<ExpandResult> {
  const fd = openSync(task.path, "wx", 0o600);
  try {
    const bytes = new Uncompressed((chunk) => writeAll(fd, chunk, task.what), task);
    let doneBytes = 0;
    for await (const chunk of readChunks(task.bytes)) {
      await bytes.write(chunk);
      doneBytes += chunk.length;
      onProgress(doneBytes);
    }
    await bytes.end();
    return { sizeBytes: bytes.sizeBytes };
  } catch (error) {
    throw reworded(error, `expand ${task.what}`);
  } finally {
    closeSync(fd);
  }
}

function writeAll(fd: number, chunk: Uint8Array, what: string): void {
  try {
    for (let at = 0; at < chunk.length; ) at += writeSync(fd, chunk, at, chunk.length - at);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "ENOSPC" && code !== "EDQUOT") throw error;
    throw new AppError("disk-full", `Cannot expand ${what}: no space is left on the store's file system`, {
      hint: "an archive that is compressed is expanded in the store before it is read: free space, or decompress it elsewhere",
      cause: error,
    });
  }
}
