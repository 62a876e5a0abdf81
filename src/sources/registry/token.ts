/**
 * The token exchange (distribution: token authentication, OAuth 2): credentials, or none, for a short-lived bearer token.
 *
 * User and password, or nobody, go by GET, which every token server understands; identity tokens by POST, as OAuth 2 has it.
 * Where there is no such endpoint (404, 405, or the grant is not known) the identity token is presented once by GET, as the
 * password of nobody: containerd does the same, and some servers take it. A server that refuses the identity token itself
 * (401, or 400 for another reason) is believed.
 */
import { z } from "zod";
import { AppError } from "../../errors.ts";
import type { Emit } from "../../events.ts";
import { parseJsonDocument } from "../../image/json-document.ts";
import { basicAuthorization } from "../http/basic-authorization.ts";
import type { HostTransport } from "../http/host-transport.ts";
import { type HttpRequest, type HttpResponse, type Send, singleHeader } from "../http/http-client.ts";
import { readAtMost } from "../http/read-body.ts";
import { redactUrl } from "../http/redact-url.ts";
import { parseRetryAfter } from "../http/retry.ts";
import type { Credential } from "./credentials/docker-config.ts";
import { tokenLifetimeMs } from "./token-lifetime.ts";

export interface TokenRequest {
  /** The token server, as the registry's challenge named it; already checked for transport security. */
  readonly realm: URL;
  readonly service: string | undefined;
  /** Space-separated, as in the challenge. */
  readonly scope: string;
  readonly credential: Credential | undefined;
  /** How the token server is reached. */
  readonly transport?: HostTransport;
  readonly emit: Emit;
  readonly signal?: AbortSignal;
}

export interface Token {
  readonly value: string;
  readonly lifetimeMs: number;
}

const CLIENT_ID = "rootwright";
const MAX_ANSWER_BYTES = 256 * 1024;
const NO_TOKEN_SERVER_HINT =
  "the registry names that address as its token server, but it answers as none; ask who runs the registry";

const answerSchema = z.object({
  token: z.string().exactOptional(),
  access_token: z.string().exactOptional(),
  // not worth failing for: see tokenLifetimeMs
  expires_in: z.unknown().exactOptional(),
  issued_at: z.unknown().exactOptional(),
});
/** RFC 6749, 5.2 */
const refusalSchema = z.object({ error: z.string() });

/** Throws AppError `registry-denied` when the credentials are refused, `registry-error` for anything else. */
export async function fetchToken(send: Send, request: TokenRequest): Promise<Token> {
  const { credential } = request;
  if (credential?.kind === "registry-token") return { value: credential.token, lifetimeMs: tokenLifetimeMs({}) };
  const response =
    credential?.kind === "identity-token"
      ? await refresh(send, request, credential.token)
      : await send(getRequest(request));
  if (response.status !== 200) throw await tokenError(response, request);
  const what = `the token from ${redactUrl(request.realm)}`;
  const bytes = await readAtMost(response, MAX_ANSWER_BYTES);
  if (bytes === undefined) {
    throw new AppError("registry-error", `Cannot use ${what}: it has more than ${MAX_ANSWER_BYTES} bytes`, {
      hint: NO_TOKEN_SERVER_HINT,
    });
  }
  const answer = parseJsonDocument(bytes, {
    schema: answerSchema,
    what,
    maxBytes: MAX_ANSWER_BYTES,
    code: "registry-error",
  });
  const value = answer.token || answer.access_token;
  // anything else could not be sent in a header
  if (!value || !/^[\x21-\x7e]+$/.test(value))
    throw new AppError("registry-error", `Cannot use ${what}: there is none in it`, { hint: NO_TOKEN_SERVER_HINT });
  return { value, lifetimeMs: tokenLifetimeMs(answer, singleHeader(response, "date")) };
}

function getRequest(request: TokenRequest): HttpRequest {
  const { credential } = request;
  const url = new URL(request.realm);
  if (request.service !== undefined) url.searchParams.set("service", request.service);
  for (const scope of request.scope.split(" ")) if (scope !== "") url.searchParams.append("scope", scope);
  if (credential === undefined) return { method: "GET", url, headers: {}, ...context(request) };
  url.searchParams.set("client_id", CLIENT_ID);
  if (credential.kind !== "password") {
    const authorization = basicAuthorization({ username: "", password: credential.token });
    return { method: "GET", url, headers: { authorization }, ...context(request) };
  }
  url.searchParams.set("account", credential.username);
  return { method: "GET", url, headers: { authorization: basicAuthorization(credential) }, ...context(request) };
}

async function refresh(send: Send, request: TokenRequest, identityToken: string): Promise<HttpResponse> {
  const response = await send(refreshRequest(request, identityToken));
  const { status } = response;
  const unknown = status === 404 || status === 405 || (status === 400 && (await isGrantUnknown(response)));
  if (!unknown) return response;
  await response.discard();
  const message = `${redactUrl(request.realm)} answered ${status} to the exchange of an identity token: trying the older way, by GET`;
  request.emit({ type: "decision", topic: "credentials", message });
  return send(getRequest(request));
}

/** Reads the body; nobody else needs it. */
async function isGrantUnknown(response: HttpResponse): Promise<boolean> {
  try {
    const bytes = await readAtMost(response, MAX_ANSWER_BYTES);
    const refusal = refusalSchema.safeParse(JSON.parse(bytes?.toString("utf8") ?? ""));
    return refusal.data?.error === "unsupported_grant_type";
  } catch {
    // no JSON, or a connection that broke: a refusal without a reason
    return false;
  }
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

function context({ emit, signal, transport }: TokenRequest): Pick<HttpRequest, "emit" | "signal" | "queue"> {
  return {
    emit,
    queue: "token",
    ...(signal !== undefined && { signal }),
    ...(transport !== undefined && { transport }),
  };
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
  const hint = details.temporary
    ? "the failure is the token server's; try again later, or ask who runs the registry"
    : NO_TOKEN_SERVER_HINT;
  return new AppError("registry-error", `Cannot get a token: ${where} answered ${status}`, { hint, details });
}
