/**
 * hosts.toml, as containerd has it (docs/hosts.md): for the registry after which its directory is named, the mirrors that
 * are asked first, in the order of the file, and the server that is asked when they have failed.
 *
 * Fields at the root are the server's; mirrors inherit nothing.
 */
import { dirname, resolve } from "node:path";
import { z } from "zod";
import type { Endpoint } from "../endpoint.ts";
import {
  configInvalid,
  formatKey,
  MAX_CONFIG_BYTES,
  parseConfigDocument,
  refuserOf,
  warnOfUnknownKeys,
} from "./config-document.ts";
import type { FileKind } from "./file-cache.ts";
import { parseGoDuration } from "./go-duration.ts";
import { parseHostAddress, parseProxy } from "./host-address.ts";
import { parseHeaders } from "./host-headers.ts";

export interface HostEntry {
  /** Where in the file it is, for messages: `host."https://m".`, or empty for the root. */
  readonly key: string;
  /** Absent at the root of a file that names no server: then the registry itself is meant. */
  readonly endpoint?: Endpoint;
  readonly resolvesTags: boolean;
  readonly resolvesDigests: boolean;
  /** Absolute paths. */
  readonly ca: readonly string[];
  /** Absolute paths; the same where certificate and key are in one file. */
  readonly client: readonly { readonly cert: string; readonly key: string }[];
  readonly skipVerify: boolean;
  readonly headers: Readonly<Record<string, string>>;
  readonly dialTimeoutMs?: number;
  readonly proxy?: string;
}

export interface HostsFile {
  readonly path: string;
  /** In the order of the file. They all have endpoints. */
  readonly mirrors: readonly (HostEntry & { readonly endpoint: Endpoint })[];
  readonly server: HostEntry;
  readonly warnings: readonly string[];
}

const text = z.string({ error: "must be a text" });
const flag = z.boolean({ error: "must be true or false" });
const texts = (error: string) => z.union([z.string(), z.array(z.string())], { error });
const pair = z.tuple([z.string(), z.string()]);

const entrySchema = z.looseObject(
  {
    capabilities: z.array(z.string(), { error: "must be a list of pull, resolve and push" }).exactOptional(),
    ca: texts("must be a path or a list of paths").exactOptional(),
    client: z
      .union([z.string(), z.array(z.union([z.string(), pair]))], {
        error: "must be a path, a list of paths, or a list of pairs of certificate and key",
      })
      .exactOptional(),
    skip_verify: flag.exactOptional(),
    header: z
      .record(z.string(), texts("must be a text or a list of texts"), { error: "must be a table" })
      .exactOptional(),
    override_path: flag.exactOptional(),
    dial_timeout: text.exactOptional(),
    proxy: text.exactOptional(),
  },
  { error: "must be a table" },
);
const fileSchema = entrySchema.extend({
  server: text.exactOptional(),
  host: z.record(z.string(), entrySchema, { error: "must be a table of tables" }).exactOptional(),
});
type RawEntry = z.output<typeof entrySchema>;

export const HOSTS_TOML: FileKind<HostsFile> = {
  name: "hosts.toml",
  maxBytes: MAX_CONFIG_BYTES,
  parse(bytes, path) {
    const raw = parseConfigDocument(bytes, path, fileSchema);
    const warnings = [...warnOfUnknownKeys(raw, fileSchema, [])];
    const mirrors = Object.entries(raw.host ?? {}).map(([address, entry]) => {
      const at = ["host", address];
      warnings.push(...warnOfUnknownKeys(entry, entrySchema, at));
      const overridePath = entry.override_path ?? false;
      const endpoint = parseHostAddress(address, overridePath, refuserOf(path, formatKey(at)));
      if (/\/v2\/.+\/v2\/$/.test(endpoint.api.pathname)) {
        warnings.push(`${formatKey(at)} lacks override_path = true: /v2 is put behind its path once more`);
      }
      return { ...parseEntry(path, at, entry), endpoint };
    });
    const endpoint =
      raw.server === undefined || raw.server === ""
        ? undefined
        : parseHostAddress(raw.server, raw.override_path ?? false, refuserOf(path, "server"));
    const server = { ...parseEntry(path, [], raw), ...(endpoint !== undefined && { endpoint }) };
    return { path, mirrors, server, warnings: warnings.map((warning) => `${path}: ${warning}`) };
  },
};

function parseEntry(path: string, at: readonly string[], raw: RawEntry): HostEntry {
  const key = at.length === 0 ? "" : `${formatKey(at)}.`;
  const absolute = (name: string): string => resolve(dirname(path), name);
  const can = capabilitiesOf(path, key, raw.capabilities ?? []);
  const timeout = raw.dial_timeout === undefined ? 0 : parseGoDuration(raw.dial_timeout);
  if (timeout === undefined) throw configInvalid(path, `${key}dial_timeout is no duration, such as 5s or 1m30s`);
  const proxy = raw.proxy ? parseProxy(raw.proxy, refuserOf(path, `${key}proxy`)) : undefined;
  return {
    key,
    resolvesTags: can.includes("resolve"),
    resolvesDigests: can.includes("pull"),
    ca: [raw.ca ?? []].flat().map(absolute),
    client: clientPairs(raw.client, absolute),
    skipVerify: raw.skip_verify ?? false,
    headers: parseHeaders(raw.header ?? {}, path, key),
    // as in Go, 0 sets no limit of its own
    ...(timeout > 0 && { dialTimeoutMs: timeout }),
    ...(proxy !== undefined && { proxy }),
  };
}

const CAPABILITIES = ["pull", "resolve", "push"];

function capabilitiesOf(path: string, key: string, names: readonly string[]): readonly string[] {
  const lower = names.map((name) => name.toLowerCase());
  if (lower.every((name) => CAPABILITIES.includes(name))) return lower.length === 0 ? CAPABILITIES : lower;
  throw configInvalid(path, `${key}capabilities has one that is not pull, resolve or push`);
}

/** One path, and an empty second one, mean that certificate and key are in the same file. */
function clientPairs(raw: RawEntry["client"], absolute: (name: string) => string): HostEntry["client"] {
  const pairs = typeof raw === "string" ? [raw] : (raw ?? []);
  return pairs.map((each) => {
    const [cert, key] = typeof each === "string" ? [each, ""] : each;
    return { cert: absolute(cert), key: absolute(key || cert) };
  });
}
