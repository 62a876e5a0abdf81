/** The Basic scheme (RFC 7617): user and password, with every request. */
import { basicAuthorization } from "../http/basic-authorization.ts";
import type { HttpRequest } from "../http/http-client.ts";
import { type Asker, type Authorization, findCredential, type Plan } from "./authorization.ts";
import type { TokenCache } from "./token-cache.ts";

/** A helper is not run for every request, nor is what it gave believed for long. */
const HELPER_PASSWORD_MS = 60_000;

/** `closed` ends what is under way for several requests at once. */
export function basicPlan(asker: Asker, closed: AbortSignal, cache: TokenCache<Authorization>): Plan {
  const key = JSON.stringify(["basic", asker.host, asker.repository, asker.identity]);
  const ask = async (request: HttpRequest): Promise<Authorization> => {
    const credential = await findCredential(asker, request, closed);
    const { source, fromHelper = false } = credential ?? {};
    const named = { source, fromHelper };
    if (credential?.kind !== "password") return { value: "", lifetimeMs: 0, ...named };
    // what came from a file is known by its identity: where the file says something else, this is not found any more
    const lifetimeMs = fromHelper ? HELPER_PASSWORD_MS : Number.POSITIVE_INFINITY;
    return { value: basicAuthorization(credential), lifetimeMs, ...named };
  };
  return {
    authorize: (request) => cache.get(key, () => ask(request), request.signal),
    refused: (value) => cache.forget(key, value),
  };
}
