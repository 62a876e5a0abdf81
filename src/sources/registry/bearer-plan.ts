/**
 * The Bearer scheme, as distribution has it (token authentication): a token for one repository, shared by all who ask for the
 * same with the same credentials, and renewed in time.
 */
import { AppError } from "../../errors.ts";
import { printable } from "../../image/remote-text.ts";
import type { HttpRequest } from "../http/http-client.ts";
import { redactUrl } from "../http/redact-url.ts";
import { retry } from "../http/retry.ts";
import { type Asker, type Authorization, findCredential, type Plan } from "./authorization.ts";
import type { AuthorizerParts } from "./authorizer.ts";
import type { Challenge } from "./challenge.ts";
import type { Credential } from "./credentials/docker-config.ts";
import { fetchToken, type TokenRequest } from "./token.ts";
import type { TokenCache } from "./token-cache.ts";

const TOKEN_TIMEOUT_MS = 60_000;

/** `url` is where the challenge came from. Throws AppError `registry-error` when it names no token server. */
export function bearerPlan(
  challenge: Challenge,
  url: URL,
  asker: Asker,
  parts: AuthorizerParts,
  cache: TokenCache<Authorization>,
): Plan {
  const realm = tokenServer(challenge.parameters.get("realm") ?? "", url);
  if (realm === undefined) {
    throw new AppError("registry-error", `Cannot log in to ${asker.host}: its token server is no http(s) URL`, {
      hint: "the registry is set up wrongly (the realm of its Bearer challenge); ask who runs it",
    });
  }
  const service = challenge.parameters.get("service");
  const scope = challenge.parameters.get("scope") || `repository:${asker.repository}:pull`;
  const key = JSON.stringify(["bearer", asker.host, realm.href, service, scope, asker.identity]);
  return {
    async authorize(request) {
      const fetch = async (): Promise<Authorization> => {
        const timeout = AbortSignal.timeout(TOKEN_TIMEOUT_MS);
        const signal = AbortSignal.any([timeout, parts.closed]);
        const asked = { realm, service, scope, emit: request.emit, signal };
        return exchange(asker, asked, request, parts).catch((error: unknown) => {
          throw timeout.aborted ? tooSlow(realm) : settled(error);
        });
      };
      return cache.get(key, fetch, request.signal);
    },
    refused: (value) => cache.forget(key, value),
  };
}

/** A relative one is one of the registry's own addresses. */
function tokenServer(realm: string, url: URL): URL | undefined {
  const parsed = realm === "" ? null : URL.parse(realm, url.href);
  return parsed !== null && /^https?:$/.test(parsed.protocol) ? parsed : undefined;
}

/** A helper that gave credentials which the token server refuses is asked once more: it may have handed out old ones. */
async function exchange(
  asker: Asker,
  asked: Omit<TokenRequest, "credential"> & { readonly signal: AbortSignal },
  request: HttpRequest,
  parts: AuthorizerParts,
): Promise<Authorization> {
  const transport = await parts.transportForRealm?.(asked.realm, request);
  parts.security.check(asked.realm, request.url, transport);
  const fetchFor = async (credential: Credential | undefined): Promise<Authorization> => {
    const tokenRequest = { ...asked, credential, ...(transport !== undefined && { transport }) };
    const context = {
      what: `token from ${redactUrl(asked.realm)}`,
      policy: { ...parts.retryPolicy, maxMs: Math.min(parts.retryPolicy.maxMs, TOKEN_TIMEOUT_MS / 3) },
      emit: asked.emit,
      signal: asked.signal,
    };
    const { value, lifetimeMs } = await retry(() => fetchToken(parts.send, tokenRequest), context);
    const whose = credential === undefined ? "nobody in particular" : `who has ${credential.source}`;
    const lasts = `${Number((lifetimeMs / 1000).toPrecision(3))} s`;
    const message = `token for ${printable(asked.scope)} from ${redactUrl(asked.realm)}, for ${whose}, good for ${lasts}`;
    asked.emit({ type: "decision", topic: "credentials", message });
    const { source, fromHelper = false } = credential ?? {};
    return { value: `Bearer ${value}`, lifetimeMs, source, fromHelper };
  };
  const credential = await findCredential(asker, request, asked.signal);
  try {
    return await fetchFor(credential);
  } catch (error) {
    const refused = error instanceof AppError && error.code === "registry-denied";
    if (!refused || credential?.fromHelper !== true) throw error;
    const again = await findCredential(asker, request, asked.signal);
    if (JSON.stringify(again) === JSON.stringify(credential)) throw error;
    return fetchFor(again);
  }
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
