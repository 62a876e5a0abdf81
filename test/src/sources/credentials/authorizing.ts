/** An authorizer over the real HTTP client, without the rest of the registry source; what it does is recorded. */
import type { RootwrightEvent } from "../../../../src/events.ts";
import { openHttpClient } from "../../../../src/sources/http/http-client.ts";
import { followRedirects } from "../../../../src/sources/http/redirects.ts";
import { DEFAULT_RETRY } from "../../../../src/sources/http/retry.ts";
import { createTransportSecurity } from "../../../../src/sources/http/transport-security.ts";
import { type AuthorizerParts, createAuthorizer } from "../../../../src/sources/registry/authorizer.ts";
import {
  type CredentialOptions,
  type Credentials,
  createCredentials,
} from "../../../../src/sources/registry/credentials.ts";

export interface Authorizing extends AsyncDisposable {
  /** GETs `http://HOST/v2/REPOSITORY/ITEM`. */
  get(host: string, item: string, options?: GetOptions): Promise<Answer>;
  readonly events: readonly RootwrightEvent[];
  /** Messages of the decisions about credentials. */
  readonly decisions: readonly string[];
}

export interface GetOptions {
  readonly repository?: string;
  readonly credentials?: Credentials;
  readonly signal?: AbortSignal;
}

export interface Answer {
  readonly status: number;
  readonly text: string;
  readonly credentialSource: string | undefined;
}

export function openAuthorizing(options: CredentialOptions, parts: Partial<AuthorizerParts> = {}): Authorizing {
  const events: RootwrightEvent[] = [];
  const closing = new AbortController();
  const http = openHttpClient({});
  const security = createTransportSecurity([]);
  const authorizer = createAuthorizer({
    send: followRedirects(http.send, security),
    credentials: createCredentials(options),
    security,
    retryPolicy: { ...DEFAULT_RETRY, delay: async () => {} },
    closed: closing.signal,
    ...parts,
  });
  return {
    events,
    get decisions() {
      return events.flatMap((event) =>
        event.type === "decision" && event.topic === "credentials" ? event.message : [],
      );
    },
    async get(host, item, { repository = "team/app", credentials, signal } = {}) {
      const emit = (event: RootwrightEvent): void => void events.push(event);
      const url = new URL(`http://${host}/v2/${repository}/${item}`);
      const headers = { accept: "application/vnd.oci.image.manifest.v1+json" };
      const request = { method: "GET" as const, url, headers, emit, ...(signal !== undefined && { signal }) };
      const target = { host, repository, ...(credentials !== undefined && { credentials }) };
      const { response, credentialSource } = await authorizer.send(request, target);
      const chunks: Uint8Array[] = [];
      for await (const chunk of response.body) chunks.push(chunk);
      return { status: response.status, text: Buffer.concat(chunks).toString("utf8"), credentialSource };
    },
    async [Symbol.asyncDispose]() {
      closing.abort();
      await http[Symbol.asyncDispose]();
    },
  };
}
