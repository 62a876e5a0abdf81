/** From what a socket, resolver, TLS stack or proxy says to AppError `registry-unreachable`, in words and with a hint. */
import { AppError } from "../../errors.ts";
import { type Reason, reasonOf } from "./network-reasons.ts";
import type { ProxyServer } from "./proxy-address.ts";
import { ProxyFailure, proxyReason } from "./proxy-failure.ts";
import { redactUrl } from "./redact-url.ts";

/** `proxy` is the one through which it was tried. `details`: `url`, `reason` (a code), `temporary`, `proxy`. */
export function networkError(error: unknown, url: URL, proxy?: ProxyServer): AppError {
  if (error instanceof AppError) return error;
  const code = errorCode(error);
  const reason = proxyReason(error, code, proxy) ?? reasonOf(code, url) ?? unknown(code);
  return new AppError("registry-unreachable", `Cannot reach ${redactUrl(url)}: ${reason.why}`, {
    details: {
      url: redactUrl(url),
      reason: code,
      temporary: reason.temporary,
      ...(proxy !== undefined && { proxy: proxy.address }),
    },
    ...(reason.hint !== undefined && { hint: reason.hint }),
    cause: error,
  });
}

/** A connection that was tried at several addresses fails with one error for all; the first one speaks for them. */
function errorCode(error: unknown): string {
  if (error instanceof ProxyFailure) return errorCode(error.cause);
  if (error instanceof AggregateError && error.errors.length > 0) return errorCode(error.errors[0]);
  const { code, name } = error as { code?: unknown; name?: unknown };
  if (typeof code === "string" && code !== "") return code;
  return typeof name === "string" ? name : "unknown";
}

function unknown(code: string): Reason {
  const final = /^(?:CERT_|ERR_TLS_|ERR_SSL_|UND_ERR_INVALID_ARG|UNABLE_TO_)/.test(code);
  return { why: `the transfer failed (${code})`, temporary: !final };
}
