/** From what a socket, resolver or TLS stack says to AppError `registry-unreachable`, in words and with a hint. */
import { AppError } from "../../errors.ts";
import { redactUrl } from "./redact-url.ts";

/** code → [why, whether trying again may help, hint] */
const REASONS: Readonly<Record<string, readonly [string, boolean, string?]>> = {
  ECONNREFUSED: ["the connection was refused", true, "is the registry running, and is the port right?"],
  ECONNRESET: ["the connection was reset", true],
  EPIPE: ["the connection was closed", true],
  ETIMEDOUT: ["the connection timed out", true],
  EHOSTUNREACH: ["there is no route to the host", true],
  ENETUNREACH: ["the network is unreachable", true],
  ENOTFOUND: [
    "the host name is not known",
    false,
    "check the host in the reference, and the machine's name resolution",
  ],
  EAI_AGAIN: ["the host name could not be looked up", true, "check the machine's name resolution"],
  UND_ERR_CONNECT_TIMEOUT: ["the connection timed out", true],
  UND_ERR_HEADERS_TIMEOUT: ["it did not answer in time", true],
  UND_ERR_BODY_TIMEOUT: ["the transfer stalled", true],
  UND_ERR_SOCKET: ["the connection was closed in the middle", true],
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: ["it sent more or fewer bytes than it had promised", true],
  UND_ERR_HEADERS_OVERFLOW: ["its headers are too long", false],
  DEPTH_ZERO_SELF_SIGNED_CERT: ["its certificate is self-signed", false],
  SELF_SIGNED_CERT_IN_CHAIN: ["its certificate is signed by an unknown authority", false],
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: ["its certificate is signed by an unknown authority", false],
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: ["its certificate is signed by an unknown authority", false],
  CERT_HAS_EXPIRED: ["its certificate has expired", false, "renew it, or check this machine's clock"],
  ERR_TLS_CERT_ALTNAME_INVALID: ["its certificate is for another host", false],
  ERR_SSL_WRONG_VERSION_NUMBER: [
    "it does not speak TLS",
    false,
    "if it speaks plain http, list it among the insecure registries",
  ],
  ERR_SSL_PACKET_LENGTH_TOO_LONG: [
    "it does not speak TLS",
    false,
    "if it speaks plain http, list it among the insecure registries",
  ],
};

export function networkError(error: unknown, url: URL): AppError {
  if (error instanceof AppError) return error;
  const code = errorCode(error);
  const known = Object.hasOwn(REASONS, code) ? REASONS[code] : undefined;
  const [why, temporary, hint] = known ?? [`the transfer failed (${code})`, !isTlsOrProtocol(code)];
  return new AppError("registry-unreachable", `Cannot reach ${redactUrl(url)}: ${why}`, {
    details: { url: redactUrl(url), reason: code, temporary },
    ...(hint !== undefined && { hint }),
    cause: error,
  });
}

/** A connection that was tried at several addresses fails with one error for all; the first one speaks for them. */
function errorCode(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return errorCode(error.errors[0]);
  const { code, name } = error as { code?: unknown; name?: unknown };
  if (typeof code === "string" && code !== "") return code;
  return typeof name === "string" ? name : "unknown";
}

function isTlsOrProtocol(code: string): boolean {
  return /^(?:CERT_|ERR_TLS_|ERR_SSL_|HPE_|UND_ERR_INVALID_ARG|UNABLE_TO_)/.test(code);
}
