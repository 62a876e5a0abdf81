/**
 * From configuration to sources. Everything is loaded when it is first needed: most commands work on what is in the store.
 */
import { resolve } from "node:path";
import type { Config } from "./config.ts";
import type { Emit } from "./events.ts";
import { formatReference, type ImageReference } from "./image/reference.ts";
import type { HostPaths, Sources } from "./sources/index.ts";

/** Throws AppErrors `config-invalid`, `credentials-invalid`. */
export async function openSources(config: Config): Promise<Sources> {
  const { checkDockerConfig, createSources } = await import("./sources/index.ts");
  const { environment } = config;
  const options = given({
    dockerRegistry: config.dockerRegistry,
    insecureRegistries: config.insecureRegistries,
    hostPaths: await hostPathsOf(config),
    credentialHelpers: config.shortNames === "containers" ? await helpersOf(config) : undefined,
    foreignLayers: config.foreignLayers,
    ranges: config.parallelRanges === undefined ? undefined : { parallelism: config.parallelRanges },
    timeouts: given({ stallMs: config.stallTimeoutMs, minBytesPerSecond: config.minBytesPerSecond }),
    connectionsPerHost: config.connectionsPerHost,
    proxies: given(environment.proxies),
    dockerConfig: dockerConfigOf(config),
    dockerAuthConfig: environment.dockerAuthConfig,
    dockerConfigDir: environment.dockerConfigDir,
    registryAuthFile: environment.registryAuthFile,
    xdgRuntimeDir: environment.xdgRuntimeDir,
    xdgConfigHome: environment.xdgConfigHome,
    home: environment.home,
    uid: environment.uid,
    appcPrefix: config.appcPrefix,
    hadoopHome: config.hadoopHome,
    searchPath: environment.path,
    hdfsHttpAddresses: config.hdfsHttpAddresses,
    hdfsUser: config.hdfsUser,
  });
  await checkDockerConfig(options);
  return createSources(options);
}

/** What names without a host mean where registries.conf decides: read each time, since files change. */
export function shortNamesOf(
  config: Config,
): (reference: ImageReference, emit: Emit) => Promise<readonly ImageReference[]> {
  return async (reference, emit) => {
    if (reference.kind !== "docker") return [reference];
    const { resolveShortName } = await import("./sources/registry/hosts/short-names.ts");
    const names = await readNames(config);
    const candidates = resolveShortName(reference, names);
    if (candidates.length !== 1 || candidates[0] !== reference) {
      const meant = candidates.map((candidate) => formatReference(candidate)).join(", then ");
      const message = `${reference.asTyped} is a short name, and means ${meant} (${names.files.join(", ")})`;
      emit({ type: "decision", topic: "reference", message });
    }
    return candidates;
  };
}

/** `credential-helpers` of registries.conf count where its short names do. */
async function helpersOf(config: Config): Promise<() => Promise<readonly string[] | undefined>> {
  const { credentialHelpersIn } = await import("./sources/registry/hosts/short-names.ts");
  return credentialHelpersIn(await hostPathsOf(config));
}

async function readNames(
  config: Config,
): ReturnType<typeof import("./sources/registry/hosts/short-names.ts").readShortNames> {
  const { readShortNames } = await import("./sources/registry/hosts/short-names.ts");
  return await readShortNames(await hostPathsOf(config));
}

/** The usual places, or what the operator says instead. */
async function hostPathsOf({ environment, hostsDirs, registriesConf }: Config): Promise<HostPaths> {
  const { defaultHostPaths } = await import("./sources/registry/hosts/default-paths.ts");
  const usual = defaultHostPaths({
    home: environment.home,
    xdgConfigHome: environment.xdgConfigHome,
    registriesConfVariable: registriesConf ?? environment.registriesConf,
    overrideVariable: registriesConf === undefined ? environment.registriesConfOverride : undefined,
    uid: environment.uid,
  });
  return hostsDirs === undefined ? usual : { ...usual, hostsDirs, certsDirs: hostsDirs, hostsDirsRequired: true };
}

/** A relative path starts where the user is; JSON and URLs are what they are. */
function dockerConfigOf({ dockerConfig, environment }: Config): string | undefined {
  if (dockerConfig === undefined || /^\s*\{|^file:/.test(dockerConfig)) return dockerConfig;
  return resolve(environment.cwd, dockerConfig);
}

type Given<T> = { readonly [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  readonly [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>;
};

/** Leaves out what is undefined: an option that is absent is not the same as one that is undefined. */
function given<T extends object>(options: T): Given<T> {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Given<T>;
}
