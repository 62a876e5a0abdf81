/**
 * Configuration: flag > environment > file > default (design §14), each value with where it came from. The only file
 * that reads `process.env`.
 */
import { readFileSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { AppError } from "./errors.ts";
import { flagOf, SETTINGS, type Setting, type SettingName, type Settings, variableOf } from "./settings.ts";
import { parseToml } from "./toml.ts";

export interface Config {
  readonly root: string;
  readonly dockerRegistry: string | undefined;
  readonly dockerConfig: string | undefined;
  readonly insecureRegistries: readonly string[];
  readonly imageProviders: readonly ("docker" | "appc")[];
  /** Undefined when it is left to the command: `pull` looks tags up again, everything else takes what is here. */
  readonly pullPolicy: "cached" | "always" | "never" | "always-verify" | undefined;
  readonly shortNames: "docker" | "containers";
  readonly hostsDirs: readonly string[] | undefined;
  readonly registriesConf: string | undefined;
  readonly foreignLayers: boolean;
  readonly stallTimeoutMs: number | undefined;
  readonly minBytesPerSecond: number | undefined;
  readonly connectionsPerHost: number | undefined;
  readonly parallelRanges: number | undefined;
  readonly appcPrefix: string | undefined;
  readonly hadoopHome: string | undefined;
  /** Name node or name service → addresses of its WebHDFS. */
  readonly hdfsHttpAddresses: Readonly<Record<string, readonly string[]>>;
  readonly hdfsUser: string | undefined;
  readonly backend: "auto" | "overlay" | "copy" | "bind";
  readonly durability: "relaxed" | "full";
  readonly jobs: number | undefined;
  readonly maxEntries: number | undefined;
  readonly maxBytes: number | undefined;
  readonly maxDepth: number | undefined;
  readonly maxRatio: number | undefined;
  readonly logLevel: "silent" | "error" | "warn" | "info" | "debug";
  /** Where each value came from, for people. */
  readonly origins: Readonly<Record<SettingName, string>>;
  readonly environment: Environment;
}

/** The parts of the environment that are not settings. */
export interface Environment {
  readonly home: string;
  readonly dockerConfigDir: string | undefined;
  readonly dockerAuthConfig: string | undefined;
  readonly registryAuthFile: string | undefined;
  readonly registriesConf: string | undefined;
  readonly registriesConfOverride: string | undefined;
  readonly xdgConfigHome: string;
  readonly xdgRuntimeDir: string | undefined;
  readonly hadoopHome: string | undefined;
  /** URLs of proxies, and hosts that are reached without. They may hold passwords. */
  readonly proxies: {
    readonly http: string | undefined;
    readonly https: string | undefined;
    readonly all: string | undefined;
    readonly no: string | undefined;
  };
  readonly uid: number;
  readonly dumbTerminal: boolean;
  readonly path: string;
  /** Where relative paths start: npm changes the directory before it runs a script, and says where it was called. */
  readonly cwd: string;
}

export interface ConfigInput {
  /** Values of flags by setting, as strings or as yargs parsed them. */
  readonly flags: Readonly<Partial<Record<SettingName, unknown>>>;
  readonly configFile?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly uid?: number;
}

export function loadConfig({
  flags,
  configFile,
  env = process.env,
  uid = process.getuid?.() ?? 0,
}: ConfigInput): Config {
  const environment = readEnvironment(env, uid);
  const file = readConfigFile(configFile ?? env["ROOTWRIGHT_CONFIG"], env, environment.home, uid);
  const origins = {} as Record<SettingName, string>;
  const settings: Record<string, unknown> = {};
  for (const [name, setting] of Object.entries(SETTINGS) as [SettingName, Setting][]) {
    const found = pick(name, setting, flags, env, file);
    origins[name] = found?.origin ?? "default";
    if (found !== undefined) settings[name] = check(setting, found.value, found.origin);
  }
  const given = settings as Settings;
  return {
    root: resolve(environment.cwd, given.root ?? defaultRoot(env, environment.home, uid)),
    dockerRegistry: absolutePath(given.dockerRegistry, environment.cwd),
    dockerConfig: given.dockerConfig,
    insecureRegistries: given.insecureRegistries ?? [],
    imageProviders: given.imageProviders ?? ["docker", "appc"],
    pullPolicy: given.pullPolicy,
    shortNames: given.shortNames ?? "docker",
    hostsDirs: given.hostsDirs?.map((path) => resolve(environment.cwd, path)),
    registriesConf: given.registriesConf === undefined ? undefined : resolve(environment.cwd, given.registriesConf),
    foreignLayers: given.foreignLayers ?? true,
    stallTimeoutMs: given.stallTimeout,
    minBytesPerSecond: given.minBytesPerSecond,
    connectionsPerHost: given.connectionsPerHost,
    parallelRanges: given.parallelRanges,
    appcPrefix: absolutePath(given.appcPrefix, environment.cwd),
    hadoopHome: given.hadoopHome ?? environment.hadoopHome,
    hdfsHttpAddresses: addressMap(given.hdfsHttpAddresses ?? []),
    hdfsUser: given.hdfsUser,
    backend: given.backend ?? "auto",
    durability: given.durability ?? "relaxed",
    jobs: given.jobs,
    maxEntries: given.maxEntries,
    maxBytes: given.maxBytes,
    maxDepth: given.maxDepth,
    maxRatio: given.maxRatio,
    logLevel: given.logLevel ?? "silent",
    origins,
    environment,
  };
}

/** NO_COLOR (https://no-color.org) and terminals that cannot; asked for also when the configuration is what is wrong. */
export function colorWanted(env: Readonly<Record<string, string | undefined>> = process.env): boolean {
  return (env["NO_COLOR"] ?? "") === "" && env["TERM"] !== "dumb";
}

/** `ns1=nn1:9870` and `ns1=nn2:9870` are two addresses of one name service. */
function addressMap(pairs: readonly string[]): Record<string, readonly string[]> {
  const map: Record<string, readonly string[]> = {};
  for (const pair of pairs) {
    const [name = "", address = ""] = pair.split("=");
    map[name] = [...(Object.hasOwn(map, name) ? (map[name] ?? []) : []), address];
  }
  return map;
}

function readEnvironment(env: Readonly<Record<string, string | undefined>>, uid: number): Environment {
  const home = env["HOME"] || homedir();
  // as curl has it: a web server's request header could set HTTP_PROXY, but never the lower-case name
  const proxy = (name: string): string | undefined => env[name.toLowerCase()] || env[name.toUpperCase()] || undefined;
  return {
    home,
    registryAuthFile: env["REGISTRY_AUTH_FILE"] || undefined,
    registriesConf: env["CONTAINERS_REGISTRIES_CONF"] || undefined,
    registriesConfOverride: env["CONTAINERS_REGISTRIES_CONF_OVERRIDE"] || undefined,
    xdgConfigHome: env["XDG_CONFIG_HOME"] || join(home, ".config"),
    xdgRuntimeDir: env["XDG_RUNTIME_DIR"] || undefined,
    hadoopHome: env["HADOOP_HOME"] || undefined,
    proxies: {
      http: proxy("http_proxy"),
      https: proxy("https_proxy"),
      all: proxy("all_proxy"),
      no: proxy("no_proxy"),
    },
    uid,
    dockerConfigDir: env["DOCKER_CONFIG"] || undefined,
    dockerAuthConfig: env["DOCKER_AUTH_CONFIG"] || undefined,
    dumbTerminal: env["TERM"] === "dumb" || (env["CI"] ?? "") !== "",
    path: env["PATH"] ?? "",
    cwd: (env["npm_lifecycle_event"] !== undefined && env["INIT_CWD"]) || process.cwd(),
  };
}

/**
 * `./archives` and `../archives` are directories, and so is `archives` when there is one and it could be no host (a host
 * without dot or port is named with its scheme). Everything else stays what it is.
 */
function absolutePath(value: string | undefined, cwd: string): string | undefined {
  if (value === undefined) return undefined;
  const isPath =
    /^\.{1,2}(\/|$)/.test(value) ||
    (/^(?!localhost$)[^/.:]+(?:\/[^:]*)?$/.test(value) && isDirectory(resolve(cwd, value)));
  return isPath ? resolve(cwd, value) : value;
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

function defaultRoot(env: Readonly<Record<string, string | undefined>>, home: string, uid: number): string {
  if (uid === 0) return "/var/lib/rootwright";
  return join(env["XDG_DATA_HOME"] || join(home, ".local/share"), "rootwright");
}

interface Found {
  readonly value: unknown;
  readonly origin: string;
}

function pick(
  name: SettingName,
  setting: Setting,
  flags: ConfigInput["flags"],
  env: Readonly<Record<string, string | undefined>>,
  file: ConfigFile,
): Found | undefined {
  if (flags[name] !== undefined) return { value: flags[name], origin: `flag --${flagOf(setting)}` };
  const variable = env[variableOf(setting)];
  if (variable !== undefined && variable !== "") return { value: variable, origin: `variable ${variableOf(setting)}` };
  const value = file.values[setting.key];
  return value === undefined ? undefined : { value, origin: `file ${file.path}` };
}

function check(setting: Setting, value: unknown, origin: string): unknown {
  const result = setting.schema.safeParse(value);
  if (result.success) return result.data;
  const found = setting.secret ? "something else" : (JSON.stringify(value) ?? String(value));
  throw new AppError(
    "config-invalid",
    `Cannot use ${setting.key} from ${origin}: it must be ${setting.expects}, and is ${found}`,
    {
      hint: `${setting.key}: ${setting.describe}`,
    },
  );
}

interface ConfigFile {
  readonly path: string;
  readonly values: Readonly<Record<string, unknown>>;
}

/** A file that was named must be there; the usual places may be empty. */
function readConfigFile(
  named: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
  home: string,
  uid: number,
): ConfigFile {
  const own = join(env["XDG_CONFIG_HOME"] || join(home, ".config"), "rootwright/config.toml");
  const places =
    named !== undefined ? [named] : uid === 0 ? ["/etc/rootwright/config.toml"] : [own, "/etc/rootwright/config.toml"];
  for (const path of places) {
    // a home directory may be closed to us (sudo -u); what an administrator wrote must not be passed over
    const absent = named !== undefined ? [] : path === own ? ["ENOENT", "ENOTDIR", "EACCES"] : ["ENOENT", "ENOTDIR"];
    const text = readText(path, absent);
    if (text !== undefined) return { path, values: parseConfig(path, text) };
  }
  return { path: "", values: {} };
}

/** Undefined for the errors in `absent`. */
function readText(path: string, absent: readonly string[]): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (absent.includes((error as NodeJS.ErrnoException).code ?? "")) return undefined;
    const errno = (error as NodeJS.ErrnoException).code;
    const reason =
      errno === "ENOENT" ? "it does not exist" : errno === "EACCES" ? "no permission" : String(errno ?? error);
    throw new AppError("config-invalid", `Cannot read the configuration file ${path}: ${reason}`, {
      hint: "it was named by --config or ROOTWRIGHT_CONFIG, or is one of the usual places",
      cause: error,
    });
  }
}

function parseConfig(path: string, text: string): Readonly<Record<string, unknown>> {
  const values = parseToml(text, path);
  const known = Object.values(SETTINGS).map((setting) => setting.key as string);
  const stranger = Object.keys(values).find((key) => !known.includes(key));
  if (stranger === undefined) return values;
  throw new AppError("config-invalid", `Cannot use the configuration file ${path}: "${stranger}" is no setting`, {
    hint: `settings are ${known.join(", ")}`,
  });
}
