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
}

/** A string from a flag or variable may be a number, a list with commas, or itself. */
const count = z.coerce.number().int().positive();
const list = z.union([
  z.array(z.string()),
  z.string().transform((text) => text.split(",").filter((item) => item !== "")),
]);

export const SETTINGS = {
  root: {
    key: "root",
    value: "DIR",
    describe: "the store's directory",
    expects: "a path",
    schema: z.string().min(1),
    alsoFlags: ["docker_store_dir"],
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
    schema: z.string().min(1),
  },
  insecureRegistries: {
    key: "insecure_registries",
    value: "HOST,…",
    describe: "hosts besides loopback that are spoken to over plain http",
    expects: "a list of host[:port]",
    schema: list,
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
