/**
 * Configuration files that were written for other programs too: TOML, bounded, checked against a schema. What is wrong is
 * said with the file and the key; values are not quoted, for they may be secrets.
 */
import type { z } from "zod";
import { AppError } from "../../../errors.ts";
import { parseToml } from "../../../toml.ts";

export const MAX_CONFIG_BYTES = 1024 * 1024;

/** How a reader of one key refuses its value: `why` continues the key's name, as in `must be a number`. */
export type Refuse = (why: string) => AppError;

/** Throws AppError `config-invalid`. */
export function parseConfigDocument<T>(bytes: Uint8Array, path: string, schema: z.ZodType<T>): T {
  const result = schema.safeParse(parseToml(textOf(bytes, path), path));
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw configInvalid(path, `${formatKey(issue?.path ?? [])} ${issue?.message ?? "is not as it should be"}`);
}

/** `where` is the file, or the directory, that has to be changed. */
export function configInvalid(where: string, why: string, hint?: string): AppError {
  return new AppError("config-invalid", `Cannot use the host configuration in ${where}: ${why}`, {
    ...(hint !== undefined && { hint }),
    details: { path: where },
  });
}

export function refuserOf(path: string, key: string): Refuse {
  return (why) => configInvalid(path, `${key} ${why}`);
}

/** As TOML would write it: `host."https://m".ca`. Without user and password, should somebody have put them there. */
export function formatKey(path: readonly PropertyKey[]): string {
  const parts = path.map((part, position) => {
    if (typeof part === "number") return `[${part + 1}]`;
    const name = /^[A-Za-z0-9_-]+$/.test(String(part)) ? String(part) : JSON.stringify(part);
    return position === 0 ? name : `.${name}`;
  });
  const text = parts
    .join("")
    .replaceAll(/\/\/[^/@"]*@/g, "//…@")
    .replaceAll(/\p{Cc}/gu, "?");
  return text.length > 200 ? `${text.slice(0, 200)}…` : text || "the file";
}

/** A misspelt key would otherwise be one that is silently not there. */
export function warnOfUnknownKeys(
  value: object,
  schema: { readonly shape: object },
  at: readonly PropertyKey[],
): readonly string[] {
  const unknown = Object.keys(value).filter((key) => !Object.hasOwn(schema.shape, key));
  return unknown.map((key) => `${formatKey([...at, key])} is no known key, and is ignored`);
}

function textOf(bytes: Uint8Array, path: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw configInvalid(path, "it is not UTF-8 text");
  }
}
