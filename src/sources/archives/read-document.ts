/** The JSON documents that say what is in an archive or layout: bounded, validated, and named in what is wrong with them. */
import type { z } from "zod";
import { parseJsonDocument } from "../../image/json-document.ts";
import { DAMAGED, type ImageFiles } from "./image-files.ts";

/** Throws AppError `archive-invalid`. */
export async function readDocument<T>(
  files: ImageFiles,
  name: string,
  schema: z.ZodType<T>,
  maxBytes: number,
): Promise<T> {
  return parseDocument(await files.read(name, maxBytes), files, name, schema, maxBytes);
}

/** `bytes` are those of the file `name`. Throws AppError `archive-invalid`. */
export function parseDocument<T>(
  bytes: Uint8Array,
  files: ImageFiles,
  name: string,
  schema: z.ZodType<T>,
  maxBytes: number,
): T {
  const what = `${name} in ${files.what}`;
  return parseJsonDocument(bytes, { schema, what, maxBytes, code: "archive-invalid", hint: DAMAGED });
}
