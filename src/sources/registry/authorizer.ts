/**
 * Sends requests with the authorization that the registry asks for. What a registry asked for once is remembered for each
 * repository, so that only the first request is refused; a refusal after that renews the authorization once, no more.
 */
import { AppError } from "../../errors.ts";
import { type Challenge, parseChallenges } from "./challenge.ts";
import type { Credentials } from "./credentials.ts";
import type { Credential } from "./docker-config.ts";
import type { HttpRequest, HttpResponse, Send } from "./http-client.ts";
import { redactUrl } from "./redact-url.ts";
import { type RetryPolicy, retry } from "./retry.ts";
import { basicAuthorization, fetchToken, type Token } from "./token.ts";
import { createTokenCache, type TokenCache } from "./token-cache.ts";
import type { TransportSecurity } from "./transport-security.ts";

/** Whose credentials a request needs, and for what. */
export interface AuthorizationTarget {
  /** `host[:port]` for the credentials. */
  readonly host: string;
  readonly repository: string;
}

export interface AuthorizedResponse {
  readonly response: HttpResponse;
  /** Where the credentials that stood behind the request came from; undefined when it was anonymous. */
  readonly credentialSource: string | undefined;
}

export interface Authorizer {
  send(request: HttpRequest, target: AuthorizationTarget): Promise<AuthorizedResponse>;
}

export interface AuthorizerParts {
  /** Follows redirects already. */
  readonly send: Send;
  readonly credentials: Credentials;
  readonly security: TransportSecurity;
  readonly retryPolicy: RetryPolicy;
  /** Ends what is under way for several requests at once, when the sources are closed. */
  readonly closed: AbortSignal;
}

/** How to authorize; `header` is made anew for each request, since tokens run out. */
interface Plan {
  readonly source: string | undefined;
  header(request: HttpRequest): Promise<string>;
  /** Called with a header that the registry refused. */
  refused(header: string): void;
  readonly renewable: boolean;
}

const TOKEN_TIMEOUT_MS = 60_000;

export function createAuthorizer(parts: AuthorizerParts): Authorizer {
  const plans = new Map<string, Plan>();
  const tokens = createTokenCache();
  return {
    async send(request, target) {
      const key = `${request.url.origin} ${target.repository}`;
      const known = plans.get(key);
      const header = await known?.header(request);
      const response = await parts.send(authorized(request, header));
      const first = { response, credentialSource: header === undefined ? undefined : known?.source };
      // a refusal by a host that was redirected to is none of this registry's; its challenge is not answered
      if (response.status !== 401 || response.url.origin !== request.url.origin) return first;
      if (known !== undefined && header !== undefined) {
        known.refused(header);
        if (!known.renewable) plans.delete(key);
      }
      const plan = await makePlan(
        parseChallenges(response.headers("www-authenticate")),
        request,
        target,
        parts,
        tokens,
      );
      if (plan === undefined) return first;
      await response.discard();
      const renewed = await plan.header(request);
      const second = await parts.send(authorized(request, renewed));
      if (second.status !== 401) plans.set(key, plan);
      return { response: second, credentialSource: plan.source };
    },
  };
}

function authorized(request: HttpRequest, header: string | undefined): HttpRequest {
  return header === undefined ? request : { ...request, headers: { ...request.headers, authorization: header } };
}

/** Undefined when there is nothing to answer the challenges with. */
async function makePlan(
  challenges: readonly Challenge[],
  request: HttpRequest,
  target: AuthorizationTarget,
  parts: AuthorizerParts,
  tokens: TokenCache,
): Promise<Plan | undefined> {
  const bearer = challenges.find(({ scheme, parameters }) => scheme === "bearer" && parameters.has("realm"));
  const basic = challenges.some(({ scheme }) => scheme === "basic");
  if (bearer === undefined && !basic) return undefined;
  const credential = await parts.credentials.find(target.host, request.signal);
  request.emit({ type: "credentials", host: target.host, source: credential?.source ?? "anonymous" });
  if (bearer !== undefined) return bearerPlan(bearer, request, credential, target, parts, tokens);
  if (credential?.kind !== "password") return undefined;
  const header = basicAuthorization(credential);
  return { source: credential.source, header: async () => header, refused: () => {}, renewable: false };
}

function bearerPlan(
  challenge: Challenge,
  request: HttpRequest,
  credential: Credential | undefined,
  target: AuthorizationTarget,
  parts: AuthorizerParts,
  tokens: TokenCache,
): Plan {
  const realm = URL.parse(challenge.parameters.get("realm") ?? "");
  if (realm === null)
    throw new AppError("registry-error", `Cannot log in to ${target.host}: its token server is no URL`);
  parts.security.check(realm, request.url);
  const service = challenge.parameters.get("service");
  const scope = challenge.parameters.get("scope") || `repository:${target.repository}:pull`;
  const key = JSON.stringify([target.host, realm.href, service, scope]);
  return {
    source: credential?.source,
    renewable: true,
    async header(request) {
      // asked again for every exchange: helpers hand out passwords that run out too
      const fetch = async (): Promise<Token> => {
        const timeout = AbortSignal.timeout(TOKEN_TIMEOUT_MS);
        const signal = AbortSignal.any([timeout, parts.closed]);
        const current = await parts.credentials.find(target.host, signal);
        const asked = { realm, service, scope, credential: current, emit: request.emit, signal };
        const context = {
          what: `token from ${redactUrl(realm)}`,
          policy: { ...parts.retryPolicy, maxMs: Math.min(parts.retryPolicy.maxMs, TOKEN_TIMEOUT_MS / 3) },
          emit: request.emit,
          signal,
        };
        return retry(() => fetchToken(parts.send, asked), context).catch((error: unknown) => {
          throw timeout.aborted ? tooSlow(realm) : settled(error);
        });
      };
      return `Bearer ${await tokens.get(key, fetch, request.signal)}`;
    },
    refused: (header) => tokens.forget(key, header.slice("Bearer ".length)),
  };
}

function tooSlow(realm: URL): AppError {
  const message = `Cannot log in: ${redactUrl(realm)} gave no token within ${TOKEN_TIMEOUT_MS / 1000} s`;
  return new AppError("registry-unreachable", message, { hint: "try again later", details: { temporary: false } });
}

/** It was tried again here already; the request that wanted the token must not try all of it again. */
function settled(error: unknown): unknown {
  if (!(error instanceof AppError) || error.details["temporary"] !== true) return error;
  const { code, message, hint, details } = error;
  return new AppError(code, message, {
    ...(hint !== undefined && { hint }),
    details: { ...details, temporary: false },
    cause: error,
  });
}
