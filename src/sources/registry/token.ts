/**
 * The token exchange (distribution: token authentication, OAuth 2): credentials, or none, for a short-lived bearer token.
 */
import { z } from "zod";
import { AppError } from "../../errors.ts";
import type { Emit } from "../../events.ts";
import { parseJsonDocument } from "../../image/json-document.ts";
import type { Credential } from "./docker-config.ts";
import { type HttpRequest, type HttpResponse, type Send, singleHeader } from "./http-client.ts";
import { readAtMost } from "./read-body.ts";
import { redactUrl } from "./redact-url.ts";
import { parseRetryAfter } from "./retry.ts";

export interface TokenRequest {
  /** The token server, as the registry's challenge named it; already checked for transport security. */
  readonly realm: URL;
  readonly service: string | undefined;
  /** Space-separated, as in the challenge. */
  readonly scope: string;
  readonly credential: Credential | undefined;
  readonly emit: Emit;
  readonly signal?: AbortSignal;
}

export interface Token {
  readonly value: string;
  readonly lifetimeMs: number;
}

const CLIENT_ID = "rootwright";
const MAX_ANSWER_BYTES = 256 * 1024;
/** What the specification gives a token that does not say. */
const DEFAULT_LIFETIME_S = 60;

const answerSchema = z.object({
  token: z.string().exactOptional(),
  access_token: z.string().exactOptional(),
  expires_in: z.number().exactOptional(),
});

/** Throws AppError `registry-denied` when the credentials are refused, `registry-error` for anything else. */
export async function fetchToken(send: Send, request: TokenRequest): Promise<Token> {
  const { credential } = request;
  if (credential?.kind === "registry-token") return { value: credential.token, lifetimeMs: DEFAULT_LIFETIME_S * 1000 };
  const response = await send(
    credential?.kind === "identity-token" ? refreshRequest(request, credential.token) : getRequest(request),
  );
  if (response.status !== 200) throw await tokenError(response, request);
  const what = `the token from ${redactUrl(request.realm)}`;
  const bytes = await readAtMost(response, MAX_ANSWER_BYTES);
  if (bytes === undefined) throw new AppError("registry-error", `Cannot use ${what}: it is too large`);
  const answer = parseJsonDocument(bytes, {
    schema: answerSchema,
    what,
    maxBytes: MAX_ANSWER_BYTES,
    code: "registry-error",
  });
  const value = answer.token || answer.access_token;
  // anything else could not be sent in a header
  if (!value || !/^[\x21-\x7e]+$/.test(value))
    throw new AppError("registry-error", `Cannot use ${what}: there is none in it`);
  const { expires_in: lifetimeS = DEFAULT_LIFETIME_S } = answer;
  // servers that say 0 mean that they do not say
  return { value, lifetimeMs: (lifetimeS > 0 ? lifetimeS : DEFAULT_LIFETIME_S) * 1000 };
}

function getRequest(request: TokenRequest): HttpRequest {
  const { credential } = request;
  const url = new URL(request.realm);
  if (request.service !== undefined) url.searchParams.set("service", request.service);
  for (const scope of request.scope.split(" ")) if (scope !== "") url.searchParams.append("scope", scope);
  if (credential?.kind !== "password") return { method: "GET", url, headers: {}, ...context(request) };
  url.searchParams.set("account", credential.username);
  url.searchParams.set("client_id", CLIENT_ID);
  return { method: "GET", url, headers: { authorization: basicAuthorization(credential) }, ...context(request) };
}

function refreshRequest(request: TokenRequest, identityToken: string): HttpRequest {
  const form = new URLSearchParams({
    grant_type: "refresh_token",
    client_id: CLIENT_ID,
    scope: request.scope,
    refresh_token: identityToken,
    ...(request.service !== undefined && { service: request.service }),
  });
  const headers = { "content-type": "application/x-www-form-urlencoded" };
  return { method: "POST", url: request.realm, headers, body: form.toString(), ...context(request) };
}

function context(request: TokenRequest): Pick<HttpRequest, "emit" | "signal"> {
  return { emit: request.emit, ...(request.signal !== undefined && { signal: request.signal }) };
}

export function basicAuthorization(credential: { readonly username: string; readonly password: string }): string {
  return `Basic ${Buffer.from(`${credential.username}:${credential.password}`, "utf8").toString("base64")}`;
}

async function tokenError(response: HttpResponse, request: TokenRequest): Promise<AppError> {
  await response.discard();
  const { status } = response;
  const where = redactUrl(request.realm);
  const retryAfterMs = parseRetryAfter(singleHeader(response, "retry-after"));
  const details = {
    status,
    url: where,
    temporary: status === 429 || status >= 500,
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  };
  const source = request.credential?.source;
  const whom = source === undefined ? "an anonymous request" : `the credentials from ${source}`;
  // 400 is how OAuth 2 refuses a refresh token (invalid_grant)
  if (status === 401 || status === 403 || status === 400) {
    const hint =
      source === undefined ? "log in to this registry (docker login)" : "check that they are current; log in again";
    return new AppError("registry-denied", `Cannot get a token: ${where} answered ${status} to ${whom}`, {
      hint,
      details,
    });
  }
  return new AppError("registry-error", `Cannot get a token: ${where} answered ${status}`, { details });
}
