/**
 * Asks one after another until one answers. What a mirror cannot give, for whatever reason, the next may have; what is
 * told in the end is the origin's word, with what the others said beside it.
 */
import { AppError, type ErrorCode } from "../../errors.ts";
import type { Emit } from "../../events.ts";

export interface Askable {
  readonly host: string;
  /** `url`: an address in a manifest, beside its registry. */
  readonly role: "mirror" | "origin" | "url";
  readonly secondName: boolean;
}

export interface AskContext {
  /** What is asked for, for messages: `tag 1.36`. */
  readonly item: string;
  /** The image. */
  readonly what: string;
  readonly emit: Emit;
  readonly signal?: AbortSignal;
}

interface Failure {
  readonly by: Askable;
  readonly error: AppError;
}

/** It refuses, does not have it, cannot be reached or may not be: the next one may well do better. */
const PASSED_OVER: ReadonlySet<ErrorCode> = new Set([
  "registry-denied",
  "image-unknown",
  "registry-error",
  "registry-unreachable",
  "registry-insecure",
]);
/** What it sent is not what was asked for. The origin's content is what the image is; only a mirror can be wrong about it. */
const WRONG_CONTENT: ReadonlySet<ErrorCode> = new Set(["blob-corrupt", "manifest-invalid"]);

/** `ask` is called with each in turn; what it throws for the last one, or for good, is thrown on. */
export async function askInOrder<P extends Askable, T>(
  places: readonly P[],
  context: AskContext,
  ask: (place: P) => Promise<T>,
): Promise<{ readonly place: P; readonly answer: T }> {
  const failures: Failure[] = [];
  for (const place of places) {
    const last = failures.at(-1);
    if (last !== undefined) {
      if (place.secondName && !["image-unknown", "registry-denied"].includes(last.error.code)) continue;
      tell(context, last, place);
    }
    try {
      return { place, answer: await ask(place) };
    } catch (error) {
      context.signal?.throwIfAborted();
      if (!(error instanceof AppError)) throw error;
      const passes = PASSED_OVER.has(error.code) || (place.role !== "origin" && WRONG_CONTENT.has(error.code));
      if (!passes) throw error;
      failures.push({ by: place, error });
    }
  }
  throw toldError(failures, context);
}

function tell({ item, emit }: AskContext, { by, error }: Failure, next: Askable): void {
  const where = next.secondName ? `${next.host} under its other name` : `${next.host} (${next.role})`;
  const message = `asking ${where} for ${item}, because ${by.host} (${by.role}) failed: ${error.message}`;
  emit({ type: "decision", topic: "mirror", message });
}

/**
 * The origin's error where it was asked: of several (https and http of an insecure registry, two names) the first that is
 * an answer rather than the lack of one. The rest stands in `details.tried`.
 */
function toldError(failures: readonly Failure[], { item, what }: AskContext): AppError {
  const origins = failures.filter(({ by }) => by.role === "origin");
  const told = origins.find(({ error }) => error.details["status"] !== undefined) ?? origins.at(-1) ?? failures.at(-1);
  if (told === undefined) {
    return new AppError("registry-error", `Cannot get ${what}: none of its hosts may be asked for ${item}`, {
      hint: "check which of them are configured to resolve tags or digests (--explain lists the files)",
    });
  }
  const others = failures.filter((failure) => failure !== told && !failure.by.secondName);
  if (others.length === 0) return told.error;
  const { code, message, hint, details } = told.error;
  const names = [...new Set(others.map(({ by, error }) => `${by.host} (${error.code})`))].join(", ");
  const tried = others.map(({ by, error }) => ({ host: by.host, code: error.code, message: error.message }));
  return new AppError(code, `${message}; failed too: ${names}`, {
    ...(hint !== undefined && { hint }),
    details: { ...details, tried },
    cause: told.error,
  });
}
