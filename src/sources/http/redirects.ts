/**
 * Follows redirects, as registries use them to hand blobs to a content network.
 *
 * What belongs to one host stays there: authorization (distribution-spec: it MUST NOT be forwarded), headers that are
 * configured for the host, and its transport are dropped for good at the first step to another origin, where that host's own
 * transport takes their place. A step must be https unless its host may be spoken to in plain http.
 */
import { AppError } from "../../errors.ts";
import { type HostTransport, PLAIN_TRANSPORT } from "./host-transport.ts";
import { type HttpRequest, type Send, singleHeader } from "./http-client.ts";
import { redactUrl } from "./redact-url.ts";
import type { TransportSecurity } from "./transport-security.ts";

/** What is configured for `host[:port]`. */
export type TransportFor = (host: string) => Promise<HostTransport>;

const MAX_REDIRECTS = 8;
const REDIRECT_STATUSES = new Set([301, 302, 303, 307, 308]);
const SECRET_HEADERS = new Set(["authorization", "cookie", "proxy-authorization"]);

/** Looks the transport up also for requests that come without one: to token servers, for example. */
export function followRedirects(
  send: Send,
  security: TransportSecurity,
  transportFor: TransportFor = async () => PLAIN_TRANSPORT,
): Send {
  return async (request) => {
    let step = request;
    let from: URL | undefined;
    for (let count = 0; count <= MAX_REDIRECTS; count += 1) {
      // what has no host (file:, data:) is refused by the check
      const transport = step.transport ?? (step.url.host === "" ? PLAIN_TRANSPORT : await transportFor(step.url.host));
      security.check(step.url, from, transport);
      const response = await send({ ...step, transport });
      // a body with credentials in it (a token request) is not carried anywhere else
      if (!REDIRECT_STATUSES.has(response.status) || request.method === "POST") return response;
      const location = singleHeader(response, "location");
      await response.discard();
      from = step.url;
      step = nextStep(step, location);
    }
    throw failed(request.url, `it redirected more than ${MAX_REDIRECTS} times`, from?.host);
  };
}

function nextStep(step: HttpRequest, location: string | undefined): HttpRequest {
  const url = location === undefined ? null : URL.parse(location, step.url.href);
  if (url === null) throw failed(step.url, "it redirected to nowhere");
  if (url.origin === step.url.origin) return { ...step, url };
  step.emit({ type: "decision", topic: "redirect", message: `${step.url.host} hands over to ${url.origin}` });
  const { headers = {}, hostHeaders: _ownToTheHost, transport: _ownToo, ...rest } = step;
  const kept = Object.entries(headers).filter(([name]) => !SECRET_HEADERS.has(name.toLowerCase()));
  return { ...rest, url, headers: Object.fromEntries(kept) };
}

/** `by` is the host that redirected last. */
function failed(url: URL, why: string, by = url.host): AppError {
  return new AppError("registry-error", `Cannot fetch ${redactUrl(url)}: ${why}`, {
    details: { url: redactUrl(url) },
    hint: `is that address a container registry? if it is, ask who runs ${by}: it is set up wrongly`,
  });
}
