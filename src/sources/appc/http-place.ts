/**
 * ACIs on web servers. A HEAD request tells whether one is there and which version of it; it is fetched when the workshop
 * wants it, and taken up again in the middle (Range with If-Range, RFC 9110 §13.1.5) only where the server can tell that it
 * is still the same file.
 */
import { AppError } from "../../errors.ts";
import { type HttpRequest, type HttpResponse, type Send, singleHeader } from "../http/http-client.ts";
import { contentLength } from "../http/read-body.ts";
import { redactUrl } from "../http/redact-url.ts";
import { followRedirects, type TransportFor } from "../http/redirects.ts";
import { parseRetryAfter, type RetryPolicy, retry } from "../http/retry.ts";
import type { TransportSecurity } from "../http/transport-security.ts";
import type { ByteStream } from "../source.ts";
import { aciChanged, type FoundAci, type OpenAci, type Search } from "./found-aci.ts";
import { strongValidator } from "./http-version.ts";
import { asStranger, trustingPins } from "./pinned-security.ts";

export interface HttpParts {
  /** Follows nothing. */
  readonly send: Send;
  readonly security: TransportSecurity;
  readonly transportFor: TransportFor;
  readonly retryPolicy: RetryPolicy;
}

/** Throws AppErrors `registry-insecure`, `registry-denied`, `registry-unreachable`, `registry-error`. */
export async function findOverHttp(parts: HttpParts, url: URL, search: Search): Promise<FoundAci | undefined> {
  const security = search.pinned ? trustingPins(parts.security) : parts.security;
  await checkPlainHttp({ ...parts, security }, url, search);
  const send = withRetries(followRedirects(parts.send, security, parts.transportFor), parts.retryPolicy, search);
  const head = await send({ method: "HEAD", url }, [200, 404, 410]);
  await head.discard();
  if (head.status !== 200) return undefined;
  const sizeBytes = contentLength(head);
  const where = redactUrl(url);
  const validator = strongValidator(head);
  // a server that does not tell versions apart may have another file there tomorrow: nothing is kept under that name
  const key = validator === undefined ? "" : `aci ${url.href} ${validator} ${sizeBytes ?? ""}`;
  return {
    where,
    place: url.href,
    url,
    ...(sizeBytes !== undefined && { sizeBytes }),
    bytes: { key, open: opener({ send, url, sizeBytes, validator, where, search }) },
  };
}

async function checkPlainHttp({ security, transportFor }: HttpParts, url: URL, search: Search): Promise<void> {
  const transport = await transportFor(url.host);
  try {
    security.check(url, asStranger(search.from), transport);
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== "registry-insecure") throw error;
    throw new AppError("registry-insecure", `Cannot pull ${search.what}: ${redactUrl(url)} would be plain http`, {
      hint: `use a prefix with https:// (appc_simple_discovery_uri_prefix), list ${url.host} among the insecure registries, or pin the image by its ID`,
      details: error.details,
      cause: error,
    });
  }
}

type Asked = Pick<HttpRequest, "method" | "url" | "headers"> & { readonly signal?: AbortSignal };
type Ask = (asked: Asked, accepted: readonly number[]) => Promise<HttpResponse>;

/** Sends until the answer is one of the accepted ones, or an error that will not pass. */
function withRetries(send: Send, policy: RetryPolicy, search: Search): Ask {
  return (asked, accepted) => {
    const signal = asked.signal ?? search.signal;
    const once = (method: "HEAD" | "GET"): Promise<HttpResponse> =>
      send({ ...asked, method, emit: search.emit, ...(signal !== undefined && { signal }) });
    const attempt = async (): Promise<HttpResponse> => {
      const first = await once(asked.method === "HEAD" ? "HEAD" : "GET");
      if (accepted.includes(first.status)) return first;
      const passing = first.status === 429 || first.status >= 500;
      // not every server lets itself be asked by HEAD, and signed addresses are signed for one method
      const response = asked.method === "HEAD" && (!passing || first.status === 501) ? await again(first, once) : first;
      if (accepted.includes(response.status)) return response;
      throw await refusal(response, search.what);
    };
    const what = `${asked.method} ${redactUrl(asked.url)}`;
    return retry(attempt, { what, policy, emit: search.emit, ...(signal !== undefined && { signal }) });
  };
}

async function again(head: HttpResponse, once: (method: "GET") => Promise<HttpResponse>): Promise<HttpResponse> {
  await head.discard();
  return await once("GET");
}

async function refusal(response: HttpResponse, what: string): Promise<AppError> {
  const { status, url } = response;
  await response.discard();
  const denied = status === 401 || status === 403;
  const retryAfterMs = parseRetryAfter(singleHeader(response, "retry-after"));
  const why = `${redactUrl(url)} answered ${status}${denied ? " to an anonymous request" : ""}`;
  return new AppError(denied ? "registry-denied" : "registry-error", `Cannot pull ${what}: ${why}`, {
    ...(denied && {
      hint: "ACIs are fetched without credentials: let this machine read them, or use another appc_simple_discovery_uri_prefix",
    }),
    details: {
      status,
      url: redactUrl(url),
      temporary: status === 429 || status >= 500,
      ...(retryAfterMs !== undefined && { retryAfterMs }),
    },
  });
}

interface Opening {
  readonly send: Ask;
  readonly url: URL;
  readonly sizeBytes: number | undefined;
  /** What If-Range is asked with; without one there is no starting in the middle. */
  readonly validator: string | undefined;
  readonly where: string;
  readonly search: Search;
}

function opener(opening: Opening): OpenAci {
  const { send, url, sizeBytes, validator, where, search } = opening;
  const from = async (offset: number, signal: AbortSignal): Promise<ByteStream> => {
    const range = offset === 0 || validator === undefined ? {} : { range: `bytes=${offset}-`, "if-range": validator };
    const response = await send({ method: "GET", url, headers: range, signal }, [200, 206, 416]);
    const problem = contradiction(response, offset, opening);
    if (problem === undefined) return { offset: response.status === 206 ? offset : 0, body: response.body };
    await response.discard();
    throw aciChanged("registry-error", search.what, `${where} ${problem}`);
  };
  return async (offset, signal) => {
    if (offset > 0 && validator === undefined) {
      throw aciChanged("registry-error", search.what, `${where} broke off, and cannot be told from its next version`);
    }
    return offset > 0 && offset === sizeBytes ? { offset, body: nothing() } : await from(offset, signal);
  };
}

/** Why these are not the bytes of the version that was found, from `offset` or, where the server knows no ranges, from 0. */
function contradiction(response: HttpResponse, offset: number, opening: Opening): string | undefined {
  const { sizeBytes, validator } = opening;
  const changed = "changed while it was fetched";
  if (response.status === 416 || (response.status === 206 && offset === 0))
    return "has no such range of bytes any more";
  const found = strongValidator(response);
  // what If-Range was asked with need not be repeated in the answer (RFC 9110 §15.3.7)
  const same = response.status === 206 && found === undefined ? true : found === validator;
  if (validator !== undefined && !same) return changed;
  if (response.status === 206 && !startsAt(response, offset, sizeBytes))
    return "answered with other bytes than it was asked for";
  const length = contentLength(response);
  const expected = response.status === 206 && sizeBytes !== undefined ? sizeBytes - offset : sizeBytes;
  return length === undefined || expected === undefined || length === expected ? undefined : changed;
}

function startsAt(response: HttpResponse, offset: number, sizeBytes: number | undefined): boolean {
  const range = /^bytes ([0-9]+)-[0-9]+\/([0-9]+|\*)$/.exec(singleHeader(response, "content-range") ?? "");
  const [, start, total] = range ?? [];
  return start === String(offset) && (total === "*" || sizeBytes === undefined || total === String(sizeBytes));
}

async function* nothing(): AsyncGenerator<Uint8Array> {}
