/**
 * HostTable: how each registry is reached, and through which mirrors. Three kinds of files are asked, as their own
 * programs read them, and one of them decides:
 *
 *     hosts.toml in a directory of the host  >  a matching entry of registries.conf  >  hosts.toml in _default  >  none
 *
 * A registry that registries.conf blocks is blocked whoever decides. TLS files in a host's directory complete what was
 * decided, for every stop that has none of its own.
 */
import type { DockerReference } from "../../../image/docker-reference.ts";
import type { HostTransport } from "../../http/host-transport.ts";
import type { TransportSecurity } from "../../http/transport-security.ts";
import { DOCKER_HUB_API, type Endpoint, withScheme } from "../endpoint.ts";
import type { HostPaths } from "./default-paths.ts";
import { createFileCache, type FileCache, type Lookup } from "./file-cache.ts";
import { defaultDirectoryFor, directoriesOf, requireDirectories } from "./host-directories.ts";
import { readHostsFile, stopsOf, transportIn } from "./hosts-stops.ts";
import type { HostsFile } from "./hosts-toml.ts";
import { readRegistriesConfs } from "./registries-files.ts";
import { findEntry, refuseBlocked, stopsOfEntry, transportFromEntry } from "./registries-stops.ts";
import type { HostTable, Stop } from "./route.ts";
import { type Sought, soughtFor } from "./sought.ts";
import type { StopDraft } from "./stop-draft.ts";
import { completeTls } from "./tls-files.ts";
import { createTransport, NOTHING_CONFIGURED } from "./transport.ts";

export interface HostTableOptions extends HostPaths {
  readonly security: TransportSecurity;
  /** The dockerRegistry setting: serves docker.io. */
  readonly dockerRegistry?: Endpoint;
  /** To be shared with readShortNames. */
  readonly cache?: FileCache;
}

/** Files are read when they are needed, and again when they have changed. */
export function createHostTable(options: HostTableOptions): HostTable {
  const { hostsDirs, hostsDirsRequired = false, certsDirs, security, dockerRegistry } = options;
  const cache = options.cache ?? createFileCache();

  const exactFile = async (lookup: Lookup, host: string): Promise<HostsFile | undefined> => {
    if (hostsDirsRequired) await requireDirectories(lookup, hostsDirs);
    const directories = await Promise.all(hostsDirs.map((directory) => directoriesOf(lookup, directory, host)));
    return readHostsFile(lookup, directories.flat());
  };
  const defaultFile = async (lookup: Lookup, host: string): Promise<HostsFile | undefined> => {
    const directories = await Promise.all(hostsDirs.map((directory) => defaultDirectoryFor(lookup, directory, host)));
    return readHostsFile(lookup, directories.flat());
  };

  const draftStops = async (
    lookup: Lookup,
    sought: Sought,
    reference: DockerReference,
  ): Promise<readonly StopDraft[]> => {
    const { image, origin } = sought;
    const [exact, registries] = await Promise.all([
      exactFile(lookup, image.host),
      readRegistriesConfs(lookup, options),
    ]);
    for (const file of registries) addAll(lookup.warnings, file.warnings);
    refuseBlocked(registries, reference);
    refuseBlocked(registries, image);
    const entry = exact === undefined ? findEntry(registries, image) : undefined;
    if (entry !== undefined) {
      addAll(lookup.warnings, entry.warnings);
      return stopsOfEntry(entry, sought, security);
    }
    const file = exact ?? (await defaultFile(lookup, image.host));
    if (file !== undefined) {
      addAll(lookup.warnings, file.warnings);
      return stopsOf(lookup, file, sought);
    }
    return [originStop(origin)];
  };

  const finish = async (lookup: Lookup, draft: StopDraft): Promise<Stop> => {
    const { api, host } = draft.endpoint;
    const plain = api.protocol === "http:";
    const isSetting = draft.endpoint === dockerRegistry;
    const said = draft.transport.plainHttp || isSetting;
    if (!draft.transport.plainHttp) security.check(api);
    const parts = plain && said ? draft.transport : await completeTls(lookup, certsDirs, host, draft.transport);
    const ownNames = isSetting && host !== DOCKER_HUB_API;
    if (!plain || said) return { ...draft, transport: createTransport(parts), ...(ownNames && { ownNames }) };
    // plain http is only what hosts of this machine get when nobody says anything; files for TLS say something
    const speaksTls = parts.ca.length > 0 || parts.clientCertificates.length > 0;
    const endpoint = speaksTls ? withScheme(draft.endpoint, "https") : draft.endpoint;
    return { ...draft, endpoint, transport: createTransport(speaksTls ? parts : draft.transport) };
  };

  return {
    async routeFor(reference) {
      const lookup = cache.lookUp();
      const drafts = await draftStops(lookup, soughtFor(reference, security, dockerRegistry), reference);
      const stops = await Promise.all(drafts.map((draft) => finish(lookup, draft)));
      return { stops, files: [...lookup.files], warnings: [...lookup.warnings] };
    },

    async transportFor(host): Promise<HostTransport> {
      const lookup = cache.lookUp();
      const exact = await exactFile(lookup, host);
      const own = exact && (await transportIn(lookup, exact, host));
      const listed = own ?? transportFromEntry(await readRegistriesConfs(lookup, options), host);
      const standard = listed === undefined ? await defaultFile(lookup, host) : undefined;
      const parts = listed ?? (standard && (await transportIn(lookup, standard, host))) ?? NOTHING_CONFIGURED;
      return createTransport(await completeTls(lookup, certsDirs, host, parts));
    },
  };
}

function originStop({ endpoint, repository, isSetting }: Sought["origin"]): StopDraft {
  return {
    role: "origin",
    endpoint,
    repository,
    resolvesTags: true,
    resolvesDigests: true,
    headers: {},
    transport: NOTHING_CONFIGURED,
    configuredBy: isSetting ? "the docker registry setting" : "the reference: no file says anything else of its host",
  };
}

function addAll(set: Set<string>, values: readonly string[]): void {
  for (const value of values) set.add(value);
}
