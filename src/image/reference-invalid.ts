/** The error of every reference that does not parse. */
import { AppError } from "../errors.ts";

/** `why` says which part is wrong, `hint` what to write instead. */
export function referenceInvalid(text: string, why: string, hint?: string): AppError {
  const shown = JSON.stringify(text.length > 300 ? `${text.slice(0, 300)}…` : text);
  // in paths, and in names that begin with a scheme of ours, colons and @ mean other things
  const clean = /^(?:oci|oci-archive|docker-archive|appc):/.test(text) ? (part: string) => part : withoutPassword;
  return new AppError("reference-invalid", clean(`Cannot use image reference ${shown}: ${why}`), {
    ...(hint !== undefined && { hint: clean(hint) }),
  });
}

/** Somebody may have pasted an address with user and password: one with an @ in it, or with a slash, before host and path. */
function withoutPassword(text: string): string {
  return text.replace(/[^\s"/@]*:(?:[^\s"]*@(?!sha)(?=[^\s"@]*\/)|[^\s"/]*@(?!sha))/g, "…@");
}
