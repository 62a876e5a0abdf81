/**
 * From untrusted bytes to a validated value: the one way in for manifests, indexes, configurations and archive indexes.
 *
 * Bytes and values are limited before anything is parsed, text must be UTF-8, and null members are dropped first, because
 * Go programs write `null` where they mean "absent" and every schema here would otherwise have to say so at every field.
 */
import type { z } from "zod";
import { AppError, type ErrorCode } from "../errors.ts";
import { describeIssue, issueInWords } from "./json-issue.ts";

export interface JsonOptions {
  /** What the document is, for messages: `the manifest of docker.io/library/busybox:latest`. */
  readonly what: string;
  readonly maxBytes: number;
  /** What its sender calls it; told where it is no JSON at all. */
  readonly servedAs?: string;
  /** Code of the error that is thrown; `manifest-invalid` unless said otherwise. */
  readonly code?: ErrorCode;
  /** What to do about it, whatever is wrong. */
  readonly hint?: string;
}

export interface JsonDocumentOptions<T> extends JsonOptions {
  readonly schema: z.ZodType<T>;
}

/**
 * Values that a document may have, members and elements counted alike. Memory and time go by values, not by bytes: 16 MiB
 * may be 8 million of them, which is seconds of work and half a gigabyte. In honest documents most of the bytes are digests
 * and names, and 16 MiB of digests are fewer than this.
 */
export const MAX_JSON_VALUES = 250_000;

/** Parses and validates; throws an AppError with `code` that names the first few offending fields. */
export function parseJsonDocument<T>(bytes: Uint8Array, options: JsonDocumentOptions<T>): T {
  return checkJson(parseJson(bytes, options), options);
}

/** Validates what `parseJson` returned, for documents that must be looked at before it is known which schema they follow. */
export function checkJson<T>(value: unknown, options: JsonDocumentOptions<T>): T {
  const result = options.schema.safeParse(value, { error: issueInWords });
  if (result.success) return result.data;
  throw invalid(options, result.error.issues.slice(0, 3).map(describeIssue).join("; "));
}

/** Parses without a schema. */
export function parseJson(bytes: Uint8Array, options: JsonOptions): unknown {
  if (bytes.byteLength > options.maxBytes) {
    throw invalid(options, `${bytes.byteLength} bytes is more than the limit of ${options.maxBytes}`);
  }
  if (countJsonValues(bytes) > MAX_JSON_VALUES) {
    throw invalid(options, `it has more than the limit of ${MAX_JSON_VALUES} values`);
  }
  try {
    const value: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    dropNulls(value);
    return value;
  } catch (error) {
    throw invalid(options, whyUnreadable(error, options));
  }
}

const [QUOTE, BACKSLASH, COMMA, BRACKET, BRACE] = [0x22, 0x5c, 0x2c, 0x5b, 0x7b];

/** At least as many values as JSON in these bytes has, as far as one byte after another tells. */
export function countJsonValues(bytes: Uint8Array): number {
  let count = 1;
  let inText = false;
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at];
    if (inText) {
      if (byte === BACKSLASH) at += 1;
      else if (byte === QUOTE) inText = false;
    } else if (byte === QUOTE) inText = true;
    // a value comes after each of these; the first in a list or object after its bracket
    else if (byte === COMMA || byte === BRACKET || byte === BRACE) count += 1;
  }
  return count;
}

/** In place: nobody else has the value yet. */
function dropNulls(value: unknown): void {
  if (typeof value !== "object" || value === null) return;
  if (Array.isArray(value)) {
    for (const element of value) dropNulls(element);
    return;
  }
  const members = value as Record<string, unknown>;
  for (const name of Object.keys(members)) {
    if (members[name] === null) delete members[name];
    else dropNulls(members[name]);
  }
}

function whyUnreadable(error: unknown, { servedAs }: JsonOptions): string {
  if (error instanceof SyntaxError) {
    return servedAs === undefined ? "it is not JSON" : `it is not JSON, and was served as ${servedAs}`;
  }
  // nested so deeply that walking it would overflow the stack
  return error instanceof RangeError ? "it is nested too deeply" : "it is not UTF-8 text";
}

/** No cause: the parser's own message quotes the document, which may be a credentials file. */
function invalid({ code = "manifest-invalid", what, hint }: JsonOptions, why: string): AppError {
  return new AppError(code, `Cannot use ${what}: ${why}`, hint === undefined ? {} : { hint });
}
