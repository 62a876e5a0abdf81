/**
 * The table of settings. Flags, environment variables, configuration keys, help texts and validation are all read from
 * here, so that none of them can disagree.
 */
import { z } from "zod";

export interface Setting {
  /** Key in the TOML file; the flag is the same with dashes, the variable `ROOTWRIGHT_` and the same in capitals. */
  readonly key: string;
  readonly describe: string;
  readonly schema: z.ZodType;
  /** What a value must be, for the message when it is not. */
  readonly expects: string;
  /** Names under which the seeds' agent flags knew it. */
  readonly alsoFlags?: readonly string[];
  /** What stands for the value in help texts. */
  readonly value: string;
  /** Values are never shown. */
  readonly secret?: true;
}

/** A string from a flag or variable may be a number, a list with commas, or itself. */
const count = z.coerce.number().int().positive();
const yesOrNo = z.union([z.boolean(), z.enum(["true", "false"]).transform((text) => text === "true")]);
const list = z.union([
  z.array(z.string()),
  z.string().transform((text) => text.split(",").filter((item) => item !== "")),
]);
/** Milliseconds by the units that Mesos and Go write. */
const UNITS: Readonly<Record<string, number>> = Object.fromEntries(
  Object.entries({ 1: "ms", 1000: "s sec secs", 60000: "m min mins", 3600000: "h hr hrs" }).flatMap(
    ([milliseconds, names]) => names.split(" ").map((name) => [name, Number(milliseconds)]),
  ),
);
/** Seconds, or a number with a unit; kept in milliseconds. */
const duration = z.union([z.number(), z.string()]).transform((value, context) => {
  const [, number, unit = "s"] = /^([0-9]+(?:\.[0-9]+)?) *([a-z]+)?$/.exec(String(value).trim()) ?? [];
  const milliseconds = Number(number) * ((Object.hasOwn(UNITS, unit) ? UNITS[unit] : undefined) ?? Number.NaN);
  if (milliseconds >= 1) return milliseconds;
  context.addIssue({ code: "custom", message: "no duration" });
  return z.NEVER;
});

export const SETTINGS = {
  root: {
    key: "root",
    value: "DIR",
    describe: "the store's directory",
    expects: "a path",
    schema: z.string().min(1),
    alsoFlags: ["docker_store_dir", "appc_store_dir"],
  },
  dockerRegistry: {
    key: "docker_registry",
    value: "URL|DIR",
    describe: "default registry, or a directory of `docker save` archives named NAME:TAG.tar",
    expects: "a URL or a directory",
    schema: z.string().min(1),
  },
  dockerConfig: {
    key: "docker_config",
    value: "FILE|JSON",
    describe: "credentials: a config.json by path or file:// URL, or its content",
    expects: "a path, a file:// URL or JSON",
    // in a configuration file it may also be a table
    schema: z.union([z.string().min(1), z.record(z.string(), z.unknown()).transform((table) => JSON.stringify(table))]),
    secret: true,
  },
  imageProviders: {
    key: "image_providers",
    value: "TYPE,…",
    describe: "types of images that are taken: docker (with OCI), appc",
    expects: "a list of docker and appc",
    schema: list.pipe(
      z
        .array(
          z
            .string()
            .toLowerCase()
            .pipe(z.enum(["docker", "appc"])),
        )
        .min(1),
    ),
  },
  pullPolicy: {
    key: "pull_policy",
    value: "POLICY",
    describe:
      "cached: ask no registry for what is here; always: look tags up again; never: no network; always-verify: use what is here if the registry lets these credentials have it",
    expects: "cached, always, never or always-verify",
    schema: z
      .enum(["cached", "always", "never", "always-verify", "missing", "offline"])
      .transform((policy) => (policy === "missing" ? "cached" : policy === "offline" ? "never" : policy)),
  },
  shortNames: {
    key: "short_names",
    value: "docker|containers",
    describe: "what a name without a host means: docker.io, or what registries.conf says (aliases, search registries)",
    expects: "docker or containers",
    schema: z.enum(["docker", "containers"]),
  },
  hostsDirs: {
    key: "hosts_dirs",
    value: "DIR,…",
    describe: "directories of HOST/hosts.toml and HOST/*.crt, instead of the usual ones",
    expects: "a list of directories",
    schema: list,
  },
  registriesConf: {
    key: "registries_conf",
    value: "FILE",
    describe: "registries.conf, instead of the usual ones",
    expects: "a path",
    schema: z.string().min(1),
  },
  insecureRegistries: {
    key: "insecure_registries",
    value: "HOST,…",
    describe: "hosts besides loopback that are spoken to over plain http",
    expects: "a list of host[:port]",
    schema: list.pipe(
      z.array(z.string().regex(/^(?:https?:\/\/)?(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?\/*$/)),
    ),
  },
  foreignLayers: {
    key: "foreign_layers",
    value: "true|false",
    describe: "fetch layers that a registry does not have from the addresses that the manifest names",
    expects: "true or false",
    schema: yesOrNo,
  },
  stallTimeout: {
    key: "fetcher_stall_timeout",
    value: "TIME",
    describe: "how long a transfer may be slower than min_bytes_per_second before it is broken off and resumed",
    expects: "a time such as 60, 90s or 2mins",
    schema: duration,
  },
  minBytesPerSecond: {
    key: "min_bytes_per_second",
    value: "N",
    describe: "see fetcher_stall_timeout",
    expects: "a whole number from 1 up",
    schema: count,
  },
  connectionsPerHost: {
    key: "connections_per_host",
    value: "N",
    describe: "requests that one host gets at once",
    expects: "a whole number from 1 up",
    schema: count,
  },
  parallelRanges: {
    key: "parallel_ranges",
    value: "N",
    describe: "parts of one very large layer that are fetched at once",
    expects: "a whole number from 1 up",
    schema: count,
  },
  appcPrefix: {
    key: "appc_simple_discovery_uri_prefix",
    value: "PREFIX",
    describe: "put before the names of Appc images: an http(s)://, file:// or hdfs:// URL, or a directory",
    expects: "a URL or a directory",
    schema: z.string().min(1),
  },
  hadoopHome: {
    key: "hadoop_home",
    value: "DIR",
    describe: "where bin/hadoop is, for hdfs://; $HADOOP_HOME or the PATH otherwise",
    expects: "a directory",
    schema: z.string().min(1),
  },
  hdfsHttpAddresses: {
    key: "hdfs_http_addresses",
    value: "NAME=HOST:PORT,…",
    describe: "WebHDFS addresses of name nodes or name services; they are asked rather than the hadoop client",
    expects: "a list of HOST[:PORT]=HTTPHOST:PORT",
    schema: list.pipe(z.array(z.string().regex(/^[^=,\s]+=[^=,\s]+:[0-9]{1,5}$/))),
  },
  hdfsUser: {
    key: "hdfs_user",
    value: "NAME",
    describe: "the user that WebHDFS is asked as",
    expects: "a user name",
    schema: z.string().regex(/^[A-Za-z_][A-Za-z0-9._-]*\$?$/),
  },
  backend: {
    key: "backend",
    value: "NAME",
    describe: "how a rootfs is assembled",
    expects: "auto, overlay, copy or bind",
    schema: z.enum(["auto", "overlay", "copy", "bind"]),
    alsoFlags: ["image_provisioner_backend"],
  },
  durability: {
    key: "durability",
    value: "relaxed|full",
    describe: "full flushes to the disk before every commit; relaxed soon after",
    expects: "relaxed or full",
    schema: z.enum(["relaxed", "full"]),
  },
  jobs: {
    key: "jobs",
    value: "N",
    describe: "layers fetched and unpacked at once",
    expects: "a whole number from 1 up",
    schema: count,
  },
  maxEntries: {
    key: "max_entries",
    value: "N",
    describe: "entries that one layer may have",
    expects: "a whole number from 1 up",
    schema: count,
  },
  maxBytes: {
    key: "max_bytes",
    value: "BYTES",
    describe: "bytes that one layer may unpack to",
    expects: "a whole number from 1 up",
    schema: count,
  },
  maxDepth: {
    key: "max_depth",
    value: "N",
    describe: "names that one path in a layer may have",
    expects: "a whole number from 1 up",
    schema: count,
  },
  maxRatio: {
    key: "max_ratio",
    value: "N",
    describe: "bytes that one transported byte may unpack to, beyond the first gibibyte",
    expects: "a whole number from 1 up",
    schema: count,
  },
  logLevel: {
    key: "log_level",
    value: "LEVEL",
    describe: "what is logged to stderr as JSON lines",
    expects: "silent, error, warn, info or debug",
    schema: z.enum(["silent", "error", "warn", "info", "debug"]),
  },
} as const satisfies Record<string, Setting>;

export type SettingName = keyof typeof SETTINGS;
export type Settings = { readonly [K in SettingName]?: z.output<(typeof SETTINGS)[K]["schema"]> };

export function flagOf(setting: Setting): string {
  return setting.key.replaceAll("_", "-");
}

export function variableOf(setting: Setting): string {
  return `ROOTWRIGHT_${setting.key.toUpperCase()}`;
}
