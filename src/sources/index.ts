/**
 * The table of sources: where images come from, by the kind of their reference. A new source is one file and one line here.
 */
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { ImageReference, ReferenceKind } from "../image/reference.ts";
import { createArchiveDirectorySource } from "./archive-directory.ts";
import { createDockerArchiveSource } from "./docker-archive.ts";
import { createAuthorizer } from "./registry/authorizer.ts";
import { type CredentialOptions, createCredentials } from "./registry/credentials.ts";
import { endpointFor, parseRegistryUrl } from "./registry/endpoint.ts";
import { type HttpTimeouts, openHttpClient } from "./registry/http-client.ts";
import { followRedirects } from "./registry/redirects.ts";
import { createRegistryClient } from "./registry/registry-client.ts";
import { createRegistrySource } from "./registry/registry-source.ts";
import { DEFAULT_RETRY, type RetryPolicy } from "./registry/retry.ts";
import { createTransportSecurity } from "./registry/transport-security.ts";
import type { ImageSource, ResolveContext, ResolvedImage } from "./source.ts";

export type { CredentialOptions } from "./registry/credentials.ts";
export type { HttpTimeouts } from "./registry/http-client.ts";
export type { RetryPolicy } from "./registry/retry.ts";

export interface SourceOptions extends CredentialOptions {
  /**
   * Where docker.io names are looked up: a registry URL, or an absolute path (or file:// URL) of a directory of `docker save`
   * archives, from which then every docker reference comes. Docker Hub when absent.
   */
  readonly dockerRegistry?: string;
  /** `host[:port]` of registries that may be spoken to in plain http, beside those on this machine. */
  readonly insecureRegistries: readonly string[];
  readonly timeouts?: HttpTimeouts;
  readonly retry?: Partial<RetryPolicy>;
}

export type SourceTable = { readonly [K in ReferenceKind]: ImageSource<Extract<ImageReference, { kind: K }>> };

export interface Sources extends AsyncDisposable {
  readonly table: SourceTable;
  /** Resolves a reference of any kind at its source. */
  resolve(reference: ImageReference, context: ResolveContext): Promise<ResolvedImage>;
}

/** Disposing closes all connections; what is under way fails. Throws AppError `config-invalid`. */
export function createSources(options: SourceOptions): Sources {
  const directory = archiveDirectory(options.dockerRegistry);
  const http = openHttpClient(options.timeouts ?? {});
  const closing = new AbortController();
  const table: SourceTable = {
    docker:
      directory === undefined
        ? registrySource(options, http.send, closing.signal)
        : createArchiveDirectorySource(directory),
    "docker-archive": createDockerArchiveSource(),
  };
  return {
    table,
    resolve(reference, context) {
      const source: ImageSource = table[reference.kind];
      return source.resolve(reference, context);
    },
    async [Symbol.asyncDispose]() {
      closing.abort();
      await http[Symbol.asyncDispose]();
    },
  };
}

function registrySource(
  options: SourceOptions,
  send: ReturnType<typeof openHttpClient>["send"],
  closed: AbortSignal,
): SourceTable["docker"] {
  const security = createTransportSecurity(options.insecureRegistries);
  const registry = options.dockerRegistry === undefined ? undefined : parseRegistryUrl(options.dockerRegistry);
  const retryPolicy = { ...DEFAULT_RETRY, ...options.retry };
  const authorizer = createAuthorizer({
    send: followRedirects(send, security),
    credentials: createCredentials(options),
    security,
    retryPolicy,
    closed,
  });
  return createRegistrySource({
    client: createRegistryClient(authorizer, retryPolicy),
    endpointFor: (host) => endpointFor(host, security, registry),
  });
}

/** Undefined when the setting is a URL, or absent. */
function archiveDirectory(dockerRegistry: string | undefined): string | undefined {
  if (dockerRegistry?.startsWith("/")) return resolve(dockerRegistry);
  if (dockerRegistry?.startsWith("file:///")) return resolve(fileURLToPath(dockerRegistry));
  return undefined;
}
