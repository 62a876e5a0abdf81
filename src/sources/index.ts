/**
 * The table of sources: where images come from, by the kind of their reference. A new source is one file and one line here.
 */
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { Digest } from "../../store/index.ts";
import type { ImageReference, ReferenceKind } from "../image/reference.ts";
import type { HdfsParts } from "./appc/hdfs-place.ts";
import { createAppcSource } from "./appc.ts";
import { createArchiveDirectorySource } from "./archive-directory.ts";
import { type Import, type ImportInput, openImport } from "./archive-import.ts";
import { createDockerArchiveSource } from "./docker-archive.ts";
import { createHdfsArchivesSource } from "./hdfs-archives.ts";
import type { HostTransport } from "./http/host-transport.ts";
import { type HttpRequest, type HttpTimeouts, openHttpClient, type Send } from "./http/http-client.ts";
import type { ProxySettings } from "./http/proxies.ts";
import { followRedirects } from "./http/redirects.ts";
import { DEFAULT_RETRY, type RetryPolicy } from "./http/retry.ts";
import { createTransportSecurity, type TransportSecurity } from "./http/transport-security.ts";
import { createOciArchiveSource, createOciLayoutSource } from "./oci-layout.ts";
import { createAuthorizer } from "./registry/authorizer.ts";
import { type CredentialOptions, createCredentials } from "./registry/credentials.ts";
import { type Endpoint, parseRegistryUrl } from "./registry/endpoint.ts";
import type { HostPaths } from "./registry/hosts/default-paths.ts";
import { createHostTable } from "./registry/hosts/host-table.ts";
import type { HostTable } from "./registry/hosts/route.ts";
import { createTransport } from "./registry/hosts/transport.ts";
import { createAddressOpener } from "./registry/layer-address.ts";
import { DEFAULT_RANGES, type RangeOptions } from "./registry/parallel-ranges.ts";
import { createRegistryClient } from "./registry/registry-client.ts";
import { createRegistrySource } from "./registry/registry-source.ts";
import type { Estimate, ImageSource, NameOptions, ResolveContext, ResolvedImage, ResolvedName } from "./source.ts";

export type { Import, ImportedImage, ImportInput } from "./archive-import.ts";
export type { HttpTimeouts } from "./http/http-client.ts";
export type { RetryPolicy } from "./http/retry.ts";
export { type CredentialOptions, checkDockerConfig } from "./registry/credentials.ts";
export type { HostPaths } from "./registry/hosts/default-paths.ts";
export type { HostTable } from "./registry/hosts/route.ts";
export type { RangeOptions } from "./registry/parallel-ranges.ts";

export interface SourceOptions extends CredentialOptions {
  /**
   * Where docker.io names are looked up: a registry URL, or an absolute path (or file://, hdfs:// URL) of a directory of
   * `docker save` archives, from which then every docker reference comes. Docker Hub when absent.
   */
  readonly dockerRegistry?: string;
  /** `host[:port]` of registries that may be spoken to in plain http, beside those on this machine. */
  readonly insecureRegistries: readonly string[];
  /** Where hosts.toml, registries.conf and TLS files are. None are read when absent. */
  readonly hostPaths?: HostPaths;
  /** Instead of what those files say. */
  readonly hosts?: HostTable;
  /** Whether layers that no registry gives are fetched from the addresses in the manifest. Default: true. */
  readonly foreignLayers?: boolean;
  /** How very large layers are fetched. Default: in one piece. */
  readonly ranges?: Partial<RangeOptions>;
  readonly timeouts?: HttpTimeouts;
  /** What the environment says; none when absent. */
  readonly proxies?: ProxySettings;
  readonly connectionsPerHost?: number;
  readonly retry?: Partial<RetryPolicy>;
  /** What is put before the names of Appc images. Absent: the name itself begins with a host. */
  readonly appcPrefix?: string;
  /** Where bin/hadoop is; looked for on `searchPath` when absent. */
  readonly hadoopHome?: string;
  /** Directories, with colons between them. */
  readonly searchPath?: string;
  /** Name node or name service → addresses of its WebHDFS. */
  readonly hdfsHttpAddresses?: Readonly<Record<string, readonly string[]>>;
  readonly hdfsUser?: string;
}

const NO_HOST_PATHS: HostPaths = { hostsDirs: [], certsDirs: [], registriesConf: [], registriesConfDirs: [] };

export type SourceTable = { readonly [K in ReferenceKind]: ImageSource<Extract<ImageReference, { kind: K }>> };

export interface Sources extends AsyncDisposable {
  readonly table: SourceTable;
  /** Resolves a reference of any kind at its source. */
  resolve(reference: ImageReference, context: ResolveContext): Promise<ResolvedImage>;
  /** See ImageSource; sources that need not check let everybody have what they have. */
  checkAccess(reference: ImageReference, digest: Digest, context: ResolveContext): Promise<void>;
  /** Undefined where only resolving the whole image tells. */
  resolveName(
    reference: ImageReference,
    context: ResolveContext,
    options?: NameOptions,
  ): Promise<ResolvedName | undefined>;
  /** Undefined where resolving tells everything without fetching layers. */
  estimate(reference: ImageReference, context: ResolveContext): Promise<readonly Estimate[] | undefined>;
  /** All images of an archive, layout or stream. */
  openImport(input: ImportInput, context: ResolveContext): Promise<Import>;
}

/** Disposing closes all connections; what is under way fails. Throws AppError `config-invalid`. */
export function createSources(options: SourceOptions): Sources {
  const reach = openReach(options);
  const hdfs = {
    ...reach,
    ...options,
    httpAddresses: options.hdfsHttpAddresses ?? {},
    ...(options.hdfsUser !== undefined && { user: options.hdfsUser }),
  };
  const appc = createAppcSource({
    ...hdfs,
    ...(options.appcPrefix !== undefined && { prefix: options.appcPrefix }),
  });
  const table: SourceTable = {
    docker: dockerSource(options, reach, hdfs),
    "docker-archive": createDockerArchiveSource(),
    oci: createOciLayoutSource(),
    "oci-archive": createOciArchiveSource(),
    appc,
  };
  const sourceOf = (reference: ImageReference): ImageSource => table[reference.kind];
  return {
    table,
    resolve: (reference, context) => sourceOf(reference).resolve(reference, context),
    checkAccess: async (reference, digest, context) => sourceOf(reference).checkAccess?.(reference, digest, context),
    resolveName: async (reference, context, options) => sourceOf(reference).resolveName?.(reference, context, options),
    estimate: async (reference, context) => sourceOf(reference).estimate?.(reference, context),
    openImport: (input, context) => openImport(input, context, appc.importAci),
    [Symbol.asyncDispose]: () => reach[Symbol.asyncDispose](),
  };
}

/** How hosts are reached: everything that asks one for something asks through the same connections, rules and files. */
interface Reach extends AsyncDisposable {
  /** Follows nothing. */
  readonly send: Send;
  readonly security: TransportSecurity;
  readonly hosts: HostTable;
  readonly transportFor: HostTable["transportFor"];
  readonly retryPolicy: RetryPolicy;
  /** Aborted when it is disposed. */
  readonly closed: AbortSignal;
}

function openReach(options: SourceOptions): Reach {
  const { timeouts, proxies, connectionsPerHost } = options;
  const security = createTransportSecurity(options.insecureRegistries);
  const dockerRegistry = registryUrl(options.dockerRegistry);
  const paths = options.hostPaths ?? NO_HOST_PATHS;
  const hosts = options.hosts ?? createHostTable({ ...paths, security, ...(dockerRegistry && { dockerRegistry }) });
  const http = openHttpClient({
    ...(timeouts !== undefined && { timeouts }),
    ...(proxies !== undefined && { proxies }),
    ...(connectionsPerHost !== undefined && { connectionsPerHost }),
  });
  const closing = new AbortController();
  return {
    send: http.send,
    security,
    hosts,
    transportFor: hosts.transportFor,
    retryPolicy: { ...DEFAULT_RETRY, ...options.retry },
    closed: closing.signal,
    async [Symbol.asyncDispose]() {
      closing.abort();
      await http[Symbol.asyncDispose]();
    },
  };
}

/** By what the docker registry setting names: archives on this machine or in HDFS, or a registry. */
function dockerSource(options: SourceOptions, reach: Reach, hdfs: HdfsParts): SourceTable["docker"] {
  const { dockerRegistry } = options;
  const directory = archiveDirectory(dockerRegistry);
  if (directory !== undefined) return createArchiveDirectorySource(directory);
  if (isInHdfs(dockerRegistry)) return createHdfsArchivesSource(dockerRegistry, hdfs);
  return registrySource(options, reach);
}

function registrySource(options: SourceOptions, reach: Reach): SourceTable["docker"] {
  const { hosts, security, retryPolicy, closed } = reach;
  const send = followRedirects(reach.send, security, hosts.transportFor);
  const authorizer = createAuthorizer({
    send,
    credentials: createCredentials(options),
    security,
    retryPolicy,
    closed,
    transportForRealm: (realm, request) => realmTransport(realm, request, hosts),
  });
  return createRegistrySource({
    client: createRegistryClient({ authorizer, retryPolicy, ranges: { ...DEFAULT_RANGES, ...options.ranges } }),
    hosts,
    openAddress: createAddressOpener({ send, hosts, security, retryPolicy }),
    foreignLayers: options.foreignLayers ?? true,
  });
}

/**
 * A token server that shares its registry's origin is reached as that stop of the route is. One elsewhere is reached as is
 * configured for it, or else with the registry's authorities, since whoever runs both mostly signs both; but no registry's
 * setting leaves another host unverified.
 */
async function realmTransport(realm: URL, request: HttpRequest, hosts: HostTable): Promise<HostTransport | undefined> {
  if (realm.origin === request.url.origin) return request.transport;
  const own = await hosts.transportFor(realm.host);
  const { ca = [], configuredBy = [] } = request.transport ?? {};
  return own.configuredBy.length > 0 || ca.length === 0 ? own : createTransport({ ...own, ca, configuredBy });
}

function registryUrl(dockerRegistry: string | undefined): Endpoint | undefined {
  if (dockerRegistry === undefined || archiveDirectory(dockerRegistry) !== undefined || isInHdfs(dockerRegistry))
    return undefined;
  return parseRegistryUrl(dockerRegistry);
}

/** Undefined when the setting is a URL, or absent. */
function archiveDirectory(dockerRegistry: string | undefined): string | undefined {
  if (dockerRegistry?.startsWith("/")) return resolve(dockerRegistry);
  if (dockerRegistry?.startsWith("file:///")) return resolve(fileURLToPath(dockerRegistry));
  return undefined;
}

function isInHdfs(dockerRegistry: string | undefined): dockerRegistry is string {
  return dockerRegistry?.startsWith("hdfs:") === true;
}
