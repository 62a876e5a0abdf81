/** FoundAci: an ACI that is there, at one of the places where it was looked for. Nothing of it has been read. */
import { AppError, type ErrorCode } from "../../errors.ts";
import type { Emit } from "../../events.ts";
import type { ByteStream, FileRange } from "../source.ts";

export interface FoundAci {
  /** Where, for people: a URL without its query, or a path. */
  readonly where: string;
  /** The same for two that were found at one place. */
  readonly place: string;
  /** The URL that it came from, when it came over HTTP from a host of its own. */
  readonly url?: URL;
  readonly sizeBytes?: number;
  /** In place on this disk, or to be fetched. `key` is that of the workshop: it tells one version from the next, or is empty. */
  readonly bytes: { readonly file: FileRange } | { readonly key: string; readonly open: OpenAci };
}

/**
 * Starts at `offset` or, where that cannot be, before it. Bytes of an earlier call may be there already, so it throws the
 * error of `aciChanged` rather than give bytes of another version.
 */
export type OpenAci = (offset: number, signal: AbortSignal) => Promise<ByteStream>;

/** Who is looking, and for what. */
export interface Search {
  /** The image, for messages. */
  readonly what: string;
  /** Whether an image ID proves the content, wherever it comes from. */
  readonly pinned: boolean;
  /** Where the image was found that depends on this one, when the place to look at is not the operator's choice. */
  readonly from?: URL;
  readonly emit: Emit;
  readonly signal?: AbortSignal;
}

/** Looks for one path that was made of name and labels. Undefined when there is nothing. */
export type Find = (candidate: Candidate, search: Search) => Promise<FoundAci | undefined>;

/** `NAME-VERSION-OS-ARCH.aci`: as it is, and percent-encoded for a URL. */
export interface Candidate {
  readonly path: string;
  readonly encoded: string;
}

/** The error of an ACI that must be looked for again, because it is not the one any more that was found. */
export function aciChanged(code: ErrorCode, what: string, why: string): AppError {
  return new AppError(code, `Cannot pull ${what}: ${why}`, {
    hint: "try again when it has been published in full",
    details: { changed: true, temporary: false },
  });
}

export function isAciChanged(error: unknown): boolean {
  return error instanceof AppError && error.details["changed"] === true;
}
