/** The error of every reference that does not parse. */
import { AppError } from "../errors.ts";

/** `why` says which part is wrong, `hint` what to write instead. */
export function referenceInvalid(text: string, why: string, hint?: string): AppError {
  const shown = JSON.stringify(text.length > 300 ? `${text.slice(0, 300)}…` : text);
  return new AppError("reference-invalid", withoutPassword(`Cannot use image reference ${shown}: ${why}`), {
    ...(hint !== undefined && { hint: withoutPassword(hint) }),
  });
}

/** Somebody may have pasted an address with user and password. */
function withoutPassword(text: string): string {
  return text.replace(/[^\s"/@]*:[^\s"/@]*@(?!sha)/g, "…@");
}
