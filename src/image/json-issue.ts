/** What is wrong with a JSON document, in words that need no knowledge of the program: `layers.0.size should be a number`. */
import type { z } from "zod";
import { printable, quoted } from "./remote-text.ts";

const KINDS: Readonly<Record<string, string>> = {
  string: "text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  array: "a list",
  object: "an object",
  record: "an object",
};

/** An error map for zod: predicates, like the messages that schemas here bring themselves. Values are not quoted. */
export function issueInWords(issue: z.core.$ZodRawIssue): string {
  if (issue.input === undefined) return "is missing";
  switch (issue.code) {
    case "invalid_type":
      return `should be ${KINDS[issue.expected] ?? "something else"}`;
    case "invalid_value":
      return `should be ${issue.values.map(quoted).join(" or ")}`;
    case "too_big":
      return counted(issue.origin, `more than ${issue.maximum}`);
    case "too_small":
      return counted(issue.origin, `less than ${issue.minimum}`);
    case "invalid_format":
      return issue.format === "base64" ? "is not base64" : "is not written as it should be";
    default:
      return "is not as it should be";
  }
}

/** `layers.0.size is missing`. Member names come from outside, and must not steer a terminal. */
export function describeIssue({ path, message }: z.core.$ZodIssue): string {
  return `${path.length === 0 ? "it" : printable(path.map(String).join("."), 200)} ${message}`;
}

function counted(origin: string, howMany: string): string {
  if (origin === "string") return `has ${howMany} characters`;
  return origin === "array" ? `has ${howMany} entries` : `is ${howMany}`;
}
