/**
 * Sends requests with the authorization that the registry asks for. What a registry asked for once is remembered for each
 * repository and user, so that only the first request is refused.
 *
 * After a refusal the authorization is made anew at most once: one that was remembered may have run out, one that a
 * credential helper gave may have been an old one. Credentials from a file that were just refused are not sent again.
 */
import { randomUUID } from "node:crypto";
import type { HostTransport } from "../http/host-transport.ts";
import type { HttpRequest, HttpResponse, Send } from "../http/http-client.ts";
import { readAtMost } from "../http/read-body.ts";
import type { RetryPolicy } from "../http/retry.ts";
import type { TransportSecurity } from "../http/transport-security.ts";
import type { Asker, Authorization, Plan } from "./authorization.ts";
import { basicPlan } from "./basic-plan.ts";
import { bearerPlan } from "./bearer-plan.ts";
import { type Challenge, parseChallenges } from "./challenge.ts";
import type { Credentials } from "./credentials.ts";
import { createTokenCache, type TokenCache } from "./token-cache.ts";

/** Whose credentials a request needs, and for what. */
export interface AuthorizationTarget {
  /** `host[:port]` for the credentials. */
  readonly host: string;
  readonly repository: string;
  /** Those that came with the request: they, and no others, are used. This machine's own when absent. */
  readonly credentials?: Credentials;
}

export interface AuthorizedResponse {
  readonly response: HttpResponse;
  /** Where the credentials that stood behind the request came from; undefined when it was anonymous. */
  readonly credentialSource: string | undefined;
}

export interface Authorizer {
  /** Throws AppErrors `credentials-invalid`, and what the token exchange throws: see `fetchToken`. */
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
  /** How the token server is reached that the answer to `request` named; as any host when undefined. */
  transportForRealm?(realm: URL, request: HttpRequest): Promise<HostTransport | undefined>;
}

/** Of repositories and users; those that were met longest ago are forgotten, and asked again. */
const MAX_PLANS = 4096;
/** What is read of a refusal, to be shown should nothing come of it. */
const MAX_REFUSAL_BYTES = 64 * 1024;

export function createAuthorizer(parts: AuthorizerParts): Authorizer {
  const plans = new Map<string, Plan>();
  const cache = createTokenCache<Authorization>();
  const remember = (key: string, plan: Plan): void => {
    plans.delete(key);
    plans.set(key, plan);
    for (const [oldest] of plans) if (plans.size > MAX_PLANS) plans.delete(oldest);
  };
  return {
    async send(request, target) {
      const asker = await identified(target, parts.credentials);
      const key = JSON.stringify([request.url.origin, asker.host, asker.repository, asker.identity]);
      let plan = plans.get(key);
      let used = await plan?.authorize(request);
      let response = await parts.send(authorized(request, used));
      const wasRemembered = used !== undefined;
      for (let renewals = 0; isRefusal(response, request, used); renewals += 1) {
        if (renewals > 0 && (wasRemembered || renewals > 1 || used?.fromHelper !== true)) break;
        plan?.refused(used?.value ?? "");
        // its connection is free again before anything is made of it: a plan may fail, or ask the same host for a token
        response = await readRefusal(response);
        const challenges = parseChallenges(response.headers("www-authenticate"));
        plan = createPlan(challenges, response.url, asker, parts, cache) ?? plan;
        if (plan === undefined) break;
        const next = await plan.authorize(request);
        if (next.value === "" || next.value === used?.value) break;
        used = next;
        response = await parts.send(authorized(request, used));
      }
      if (response.status === 401) plans.delete(key);
      else if (plan !== undefined) remember(key, plan);
      return { response, credentialSource: used?.source };
    },
  };
}

/** Undefined when none of the challenges, which came from `url`, is of a kind that can be answered. */
function createPlan(
  challenges: readonly Challenge[],
  url: URL,
  asker: Asker,
  parts: AuthorizerParts,
  cache: TokenCache<Authorization>,
): Plan | undefined {
  const bearer = challenges.find(({ scheme, parameters }) => scheme === "bearer" && parameters.has("realm"));
  const basic = challenges.some(({ scheme }) => scheme === "basic");
  if (bearer !== undefined) return bearerPlan(bearer, url, asker, parts, cache);
  return basic ? basicPlan(asker, parts.closed, cache) : undefined;
}

/** Where it cannot be told who asks, nothing is shared; when credentials are needed, it will be told why. */
async function identified(target: AuthorizationTarget, ours: Credentials): Promise<Asker> {
  const { host, repository, credentials = ours } = target;
  const identity = await credentials.identify({ host, repository }).catch(() => randomUUID());
  return { host, repository, credentials, identity };
}

function authorized(request: HttpRequest, used: Authorization | undefined): HttpRequest {
  if (used === undefined || used.value === "") return request;
  return { ...request, headers: { ...request.headers, authorization: used.value } };
}

/**
 * A refusal by a host that was redirected to is none of this registry's; its challenge is not answered. 403 is a verdict on
 * who asks, but cloud registries also say so to a password that has run out.
 */
function isRefusal(response: HttpResponse, request: HttpRequest, used: Authorization | undefined): boolean {
  if (response.url.origin !== request.url.origin) return false;
  return response.status === 401 || (response.status === 403 && used?.fromHelper === true);
}

/** The same answer, its body in memory. */
async function readRefusal(response: HttpResponse): Promise<HttpResponse> {
  const bytes = await readAtMost(response, MAX_REFUSAL_BYTES).catch(() => undefined);
  const { status, url } = response;
  return { status, url, headers: (name) => response.headers(name), body: once(bytes), discard: async () => {} };
}

async function* once(bytes: Buffer | undefined): AsyncGenerator<Uint8Array> {
  if (bytes !== undefined && bytes.byteLength > 0) yield bytes;
}
