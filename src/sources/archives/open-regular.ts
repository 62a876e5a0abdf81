/** Opening a file of an archive, which somebody may put something else in the place of at any time. */
import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { AppError } from "../../errors.ts";
import { archiveInvalid } from "./image-files.ts";

/** Throws AppErrors `archive-missing`, `archive-invalid`. `shown` is what people call the file. */
export async function openRegular(path: string, shown = path): Promise<FileHandle> {
  await using undo = new AsyncDisposableStack();
  // nonblocking, so that a FIFO put there since does not hold us for ever
  const opened = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch((error: unknown) => {
    throw unreadable(shown, error);
  });
  const file = undo.use(opened);
  if (!(await file.stat()).isFile()) throw notRegular(shown);
  undo.move();
  return file;
}

export function notRegular(shown: string): AppError {
  return archiveInvalid(`archive ${shown}`, "it is no regular file", {
    hint: `what comes out of a pipe is imported from the standard input: rootwright import - < ${shown}`,
  });
}

/** `error` is that of a call to the system. */
export function unreadable(shown: string, error: unknown): AppError {
  const { code } = error as NodeJS.ErrnoException;
  if (code === "ENOENT" || code === "ENOTDIR") {
    return new AppError("archive-missing", `Cannot use ${shown}: there is no such file or directory`, {
      hint: "check the path",
      cause: error,
    });
  }
  const denied = code === "EACCES" || code === "EPERM";
  return new AppError("archive-invalid", `Cannot use ${shown}: it cannot be opened (${code})`, {
    hint: denied ? "let this user read it, and search the directories above it" : "check the path, and the links in it",
    cause: error,
  });
}
