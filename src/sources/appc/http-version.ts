/**
 * How a web server tells one version of a file from the next (RFC 9110 §8.8). Only strong validators count: under others,
 * bytes of two requests may be those of two versions.
 */
import { type HttpResponse, singleHeader } from "../http/http-client.ts";

/** A file that was changed twice within its second has one date for two versions; after this long it is told apart. */
const SETTLED_MS = 60_000;

/** A strong ETag, or a date that lies well in the past (§8.8.2.2). Undefined where the server gives neither. */
export function strongValidator(response: HttpResponse): string | undefined {
  const etag = singleHeader(response, "etag");
  if (etag?.startsWith('"')) return etag;
  const modified = singleHeader(response, "last-modified");
  const age = Date.parse(singleHeader(response, "date") ?? "") - Date.parse(modified ?? "");
  return age >= SETTLED_MS ? modified : undefined;
}
