/** From a hosts.toml to the places at which an image is looked for. */
import { join } from "node:path";
import { configInvalid, refuserOf } from "./config-document.ts";
import type { Lookup } from "./file-cache.ts";
import { HOSTS_TOML, type HostEntry, type HostsFile } from "./hosts-toml.ts";
import { readCertificates, readClientCertificate } from "./pem.ts";
import type { Sought } from "./sought.ts";
import { namespaceFor, type StopDraft } from "./stop-draft.ts";
import type { TransportParts } from "./transport.ts";

/** The hosts.toml in the first of `directories` that has one. Throws AppError `config-invalid`. */
export async function readHostsFile(lookup: Lookup, directories: readonly string[]): Promise<HostsFile | undefined> {
  for (const directory of directories) {
    const file = await lookup.read(join(directory, "hosts.toml"), HOSTS_TOML);
    if (file !== undefined) return file;
  }
  return undefined;
}

/** Mirrors in the order of the file, then its server: the registry itself, or what takes its place. */
export async function stopsOf(lookup: Lookup, file: HostsFile, sought: Sought): Promise<readonly StopDraft[]> {
  const { host, repository } = sought.image;
  const stopAt = async (role: StopDraft["role"], entry: HostEntry): Promise<StopDraft> => {
    return {
      role,
      ...(role === "origin"
        ? originOf(entry, sought)
        : { endpoint: entry.endpoint ?? sought.origin.endpoint, repository }),
      resolvesTags: entry.resolvesTags,
      resolvesDigests: entry.resolvesDigests,
      ...(entry.endpoint !== undefined && namespaceFor(entry.endpoint.host, host)),
      headers: entry.headers,
      transport: await transportOf(lookup, file, entry),
      configuredBy: file.path,
    };
  };
  const mirrors = await Promise.all(file.mirrors.map((entry) => stopAt("mirror", entry)));
  const stops = [...mirrors, await stopAt("origin", file.server)];
  const useful = stops.filter((stop) => stop.resolvesTags || stop.resolvesDigests);
  const lacking = missingCapability(useful, sought.image.digest === undefined);
  if (lacking === undefined) return useful;
  throw configInvalid(file.path, `none of its hosts has the capability "${lacking}"`, "add it where it is trusted");
}

/** How the file says that `host` is reached, whatever for; undefined when it does not say. */
export async function transportIn(lookup: Lookup, file: HostsFile, host: string): Promise<TransportParts | undefined> {
  const means = ({ endpoint }: HostEntry): boolean => endpoint === undefined || endpoint.host === host;
  const entry = [file.server, ...file.mirrors].find(means);
  return entry && transportOf(lookup, file, entry);
}

/** A server that is the configured docker registry stays as that was configured: with its path. */
function originOf({ endpoint }: HostEntry, { image, origin }: Sought): Pick<StopDraft, "endpoint" | "repository"> {
  const moved = endpoint !== undefined && !(origin.isSetting && endpoint.api.origin === origin.endpoint.api.origin);
  return moved
    ? { endpoint, repository: image.repository }
    : { endpoint: origin.endpoint, repository: origin.repository };
}

function missingCapability(stops: readonly StopDraft[], byTag: boolean): string | undefined {
  if (!stops.some((stop) => stop.resolvesDigests)) return "pull";
  return byTag && !stops.some((stop) => stop.resolvesTags) ? "resolve" : undefined;
}

async function transportOf(lookup: Lookup, file: HostsFile, entry: HostEntry): Promise<TransportParts> {
  const refuseCa = refuserOf(file.path, `${entry.key}ca`);
  const refuseClient = refuserOf(file.path, `${entry.key}client`);
  const ca = await Promise.all(
    entry.ca.map(async (path) => {
      const certificates = await readCertificates(lookup, path);
      if (certificates === undefined) throw refuseCa(`names ${path}, which is not there`);
      return certificates;
    }),
  );
  const pairs = entry.client.map((paths) => readClientCertificate(lookup, paths, refuseClient));
  const clientFiles = entry.client.flatMap(({ cert, key }) => [cert, key]);
  return {
    ca,
    clientCertificates: await Promise.all(pairs),
    skipVerify: entry.skipVerify,
    plainHttp: entry.endpoint?.api.protocol === "http:",
    ...(entry.dialTimeoutMs !== undefined && { connectTimeoutMs: entry.dialTimeoutMs }),
    ...(entry.proxy !== undefined && { proxy: entry.proxy }),
    configuredBy: [...new Set([file.path, ...entry.ca, ...clientFiles])],
  };
}
