/**
 * Authorization: what is sent in the header of that name, who stands behind it, and how it is made anew. There are two ways:
 * basic-plan.ts sends a password as it is, bearer-plan.ts a token that it was exchanged for.
 */
import type { HttpRequest } from "../http/http-client.ts";
import type { Credential } from "./credentials/docker-config.ts";
import type { Credentials } from "./credentials/search.ts";
import type { Expiring } from "./token-cache.ts";

/** For whom, and for what. */
export interface Asker {
  /** `host[:port]` for the credentials. */
  readonly host: string;
  readonly repository: string;
  readonly credentials: Credentials;
  /** See Credentials.identify: askers of different identities share nothing. */
  readonly identity: string;
}

export interface Authorization extends Expiring {
  /** The whole header; empty when there is nothing to answer the challenge with. */
  readonly value: string;
  /** Where the credentials behind it came from; undefined when it is anonymous. */
  readonly source: string | undefined;
  /** A credential helper may give another one when it is asked again. */
  readonly fromHelper: boolean;
}

/** How to authorize; made once for a repository, and asked before every request, since tokens run out. */
export interface Plan {
  authorize(request: HttpRequest): Promise<Authorization>;
  /** Called with a header that the registry refused; the next one is made anew. */
  refused(value: string): void;
}

export async function findCredential(
  { host, repository, credentials }: Asker,
  { emit }: HttpRequest,
  signal: AbortSignal,
): Promise<Credential | undefined> {
  const credential = await credentials.find({ host, repository, emit }, signal);
  emit({ type: "credentials", host, source: credential?.source ?? "anonymous" });
  return credential;
}
