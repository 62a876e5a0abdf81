/**
 * Follows redirects, as registries use them to hand blobs to a content network.
 *
 * Authorization is dropped for good at the first step to another origin (distribution-spec: it MUST NOT be forwarded);
 * the step itself must be https unless its host may be spoken to in plain http.
 */
import { AppError } from "../../errors.ts";
import { type HttpRequest, type Send, singleHeader } from "./http-client.ts";
import { redactUrl } from "./redact-url.ts";
import type { TransportSecurity } from "./transport-security.ts";

const MAX_REDIRECTS = 8;
const REDIRECT_STATUSES = new Set([301, 302, 303, 307, 308]);
const SECRET_HEADERS = new Set(["authorization", "cookie", "proxy-authorization"]);

export function followRedirects(send: Send, security: TransportSecurity): Send {
  return async (request) => {
    let step: HttpRequest = request;
    let previous: HttpRequest = request;
    for (let count = 0; count <= MAX_REDIRECTS; count += 1) {
      security.check(step.url, count === 0 ? undefined : previous.url);
      const response = await send(step);
      // a body with credentials in it (a token request) is not carried anywhere else
      if (!REDIRECT_STATUSES.has(response.status) || request.method === "POST") return response;
      const location = singleHeader(response, "location");
      await response.discard();
      previous = step;
      step = nextStep(step, location);
    }
    throw failed(request.url, `it redirected more than ${MAX_REDIRECTS} times`);
  };
}

function nextStep(step: HttpRequest, location: string | undefined): HttpRequest {
  const url = location === undefined ? null : URL.parse(location, step.url.href);
  if (url === null) throw failed(step.url, "it redirected to nowhere");
  const headers = Object.entries(step.headers ?? {});
  const sameOrigin = url.origin === step.url.origin;
  const kept = sameOrigin ? headers : headers.filter(([name]) => !SECRET_HEADERS.has(name.toLowerCase()));
  return { ...step, url, headers: Object.fromEntries(kept) };
}

function failed(url: URL, why: string): AppError {
  return new AppError("registry-error", `Cannot fetch ${redactUrl(url)}: ${why}`, { details: { url: redactUrl(url) } });
}
