/** Decompression and the tar reader speak of layers; archives and ACIs go through them as well. */
import { AppError } from "../errors.ts";

const PREFIX = /^Cannot unpack (?:a layer|layer \S+)(?=: )/;

/** The same error, said of what was really done: `expand FILE`. */
export function reworded(error: unknown, doing: string): unknown {
  if (!(error instanceof AppError) || !PREFIX.test(error.message)) return error;
  const { code, message, hint, details, cause } = error;
  return new AppError(
    code,
    message.replace(PREFIX, () => `Cannot ${doing}`),
    {
      details,
      ...(hint !== undefined && { hint }),
      ...(cause !== undefined && { cause }),
    },
  );
}
