/**
 * Lists and records of a JSON document that may have so many members and no more. zod's own `max` counts last, when every
 * member was looked at and each that is wrong has become an issue; these count first.
 */
import { z } from "zod";

/** More than any image has of anything: layers, variables, labels, ports. */
export const MAX_MEMBERS = 10_000;

export function listOf<T>(member: z.ZodType<T>, most = MAX_MEMBERS): z.ZodType<T[]> {
  const few = z.custom<unknown[]>((value) => !Array.isArray(value) || value.length <= most, {
    error: `has more than ${most} entries`,
  });
  return few.pipe(z.array(member));
}

export function recordOf<T>(member: z.ZodType<T>, most = MAX_MEMBERS): z.ZodType<Record<string, T>> {
  const few = z.custom<Record<string, unknown>>((value) => !hasMoreMembers(value, most), {
    error: `has more than ${most} entries`,
  });
  return few.pipe(z.record(z.string(), member));
}

function hasMoreMembers(value: unknown, most: number): boolean {
  return typeof value === "object" && value !== null && Object.keys(value).length > most;
}
