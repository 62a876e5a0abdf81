/** A short name may mean images of several registries: they are tried in turn, until one has it. */
import { AppError } from "../errors.ts";
import { formatReference, type ImageReference } from "../image/reference.ts";
import type { Call, ProvisionerContext } from "./context.ts";

/** What a registry answers about an image that only another one has. */
const ELSEWHERE: readonly string[] = ["image-unknown", "image-not-cached", "registry-denied"];

/** Throws what the first candidate's attempt threw where none has it; the others' reasons are with it. */
export async function tryCandidates<T>(
  { qualify }: ProvisionerContext,
  reference: ImageReference,
  { emit }: Pick<Call, "emit">,
  attempt: (candidate: ImageReference) => Promise<T>,
): Promise<T> {
  const failures: AppError[] = [];
  for (const candidate of await qualify(reference, emit)) {
    const name = formatReference(candidate);
    if (reference.asTyped !== name)
      emit({ type: "decision", topic: "reference", message: `${reference.asTyped} means ${name}` });
    try {
      return await attempt(candidate);
    } catch (error) {
      if (!(error instanceof AppError && ELSEWHERE.includes(error.code))) throw error;
      failures.push(error);
      emit({ type: "decision", topic: "reference", message: `it is not ${name}: ${error.message}` });
    }
  }
  const [first, ...others] = failures;
  if (first === undefined) throw new RangeError("a name means at least one image");
  if (others.length === 0) throw first;
  const { code, hint, details } = first;
  const message = [first.message, ...others.map((error) => error.message)].join("; ");
  throw new AppError(code, message, { ...(hint !== undefined && { hint }), details, cause: first });
}
