/**
 * From untrusted bytes to a validated value: the one way in for manifests, indexes, configurations and archive indexes.
 *
 * The size is limited before anything is parsed, text must be UTF-8, and null members are dropped first, because Go
 * programs write `null` where they mean "absent" and every schema here would otherwise have to say so at every field.
 */
import type { z } from "zod";
import { AppError, type ErrorCode } from "../errors.ts";

export interface JsonDocumentOptions<T> {
  readonly schema: z.ZodType<T>;
  /** What the document is, for messages: `the manifest of docker.io/library/busybox:latest`. */
  readonly what: string;
  readonly maxBytes: number;
  /** Code of the error that is thrown; `manifest-invalid` unless said otherwise. */
  readonly code?: ErrorCode;
}

/** Parses and validates; throws an AppError with `code` that names the first few offending fields. */
export function parseJsonDocument<T>(bytes: Uint8Array, options: JsonDocumentOptions<T>): T {
  const value = parseJson(bytes, options);
  const result = options.schema.safeParse(value);
  if (result.success) return result.data;
  const issues = result.error.issues.slice(0, 3).map(describeIssue);
  throw invalid(options, issues.join("; "));
}

/** Parses without a schema, for documents that must be looked at before it is known which schema they follow. */
export function parseJson(bytes: Uint8Array, options: Omit<JsonDocumentOptions<unknown>, "schema">): unknown {
  if (bytes.byteLength > options.maxBytes) {
    throw invalid(options, `${bytes.byteLength} bytes is more than the limit of ${options.maxBytes}`);
  }
  try {
    return withoutNulls(JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)));
  } catch (error) {
    // RangeError: nested so deeply that walking it would overflow the stack
    const why =
      error instanceof SyntaxError
        ? "it is not JSON"
        : error instanceof RangeError
          ? "it is nested too deeply"
          : "it is not UTF-8 text";
    throw invalid(options, why);
  }
}

function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (typeof value !== "object" || value === null) return value;
  const members = Object.entries(value).filter(([, member]) => member !== null);
  return Object.fromEntries(members.map(([name, member]) => [name, withoutNulls(member)]));
}

function describeIssue(issue: z.core.$ZodIssue): string {
  // member names come from outside: nothing of them may steer a terminal
  const where = issue.path
    .map(String)
    .join(".")
    .slice(0, 200)
    .replaceAll(/\p{Cc}/gu, "?");
  return where === "" ? issue.message : `${where}: ${issue.message}`;
}

/** No cause: the parser's own message quotes the document, which may be a credentials file. */
function invalid(options: Omit<JsonDocumentOptions<unknown>, "schema">, why: string): AppError {
  return new AppError(options.code ?? "manifest-invalid", `Cannot use ${options.what}: ${why}`);
}
