/**
 * One file in the format of containers-registries.conf(5), version 2: which registries stand for which names, short names
 * for images, and where credentials are. Version 1 is refused, as by its own programs since 2026.
 */
import { z } from "zod";
import {
  configInvalid,
  formatKey,
  MAX_CONFIG_BYTES,
  parseConfigDocument,
  refuserOf,
  warnOfUnknownKeys,
} from "./config-document.ts";
import type { FileKind } from "./file-cache.ts";
import { parseProxy } from "./host-address.ts";
import { parseLocation, parsePrefix, type RegistryName } from "./registry-name.ts";
import { parseAlias, parseSearchHost } from "./short-name-entry.ts";

/** A place where images are looked for. */
export interface Place {
  readonly location: RegistryName;
  /** https without verification, and plain http where that fails. */
  readonly insecure: boolean;
  readonly proxy?: string;
  /** Sent as `?ns=`. */
  readonly namespace?: string;
}

export interface MirrorPlace extends Place {
  readonly pullFromMirror: "all" | "digest-only" | "tag-only";
}

export interface RegistryEntry extends Omit<Place, "location"> {
  readonly file: string;
  readonly prefix: RegistryName;
  /** Absent: names are left as they are. */
  readonly location?: RegistryName;
  readonly blocked: boolean;
  readonly mirrors: readonly MirrorPlace[];
  readonly warnings: readonly string[];
}

export type ShortNameMode = "enforcing" | "permissive" | "disabled";

export interface RegistriesConf {
  readonly path: string;
  readonly registries: readonly RegistryEntry[];
  readonly search?: readonly string[];
  readonly credentialHelpers?: readonly string[];
  readonly shortNameMode?: ShortNameMode;
  /** Short name → full name; the empty one takes back what an earlier file said. */
  readonly aliases: ReadonlyMap<string, string>;
  readonly warnings: readonly string[];
}

const text = z.string({ error: "must be a text" });
const flag = z.boolean({ error: "must be true or false" }).exactOptional();
const texts = z.array(text, { error: "must be a list of texts" });
const place = { insecure: flag, proxy: text.exactOptional(), "namespace-proxy": text.exactOptional() };

const mirrorSchema = z.looseObject({
  ...place,
  location: text,
  "pull-from-mirror": z
    .enum(["", "all", "digest-only", "tag-only"], { error: "must be all, digest-only or tag-only" })
    .exactOptional(),
});
const registrySchema = z.looseObject({
  ...place,
  prefix: text.exactOptional(),
  location: text.exactOptional(),
  blocked: flag,
  "mirror-by-digest-only": flag,
  "pull-from-mirror": z.never({ error: "belongs into [[registry.mirror]]" }).exactOptional(),
  mirror: z.array(mirrorSchema, { error: "must be a list of tables: [[registry.mirror]]" }).exactOptional(),
});
const fileSchema = z.looseObject({
  registries: z
    .never({ error: "is of version 1 of this format: write [[registry]] and unqualified-search-registries instead" })
    .exactOptional(),
  registry: z.array(registrySchema, { error: "must be a list of tables: [[registry]]" }).exactOptional(),
  "unqualified-search-registries": texts.exactOptional(),
  "credential-helpers": texts.exactOptional(),
  "short-name-mode": z
    .enum(["", "enforcing", "permissive", "disabled"], { error: "must be enforcing, permissive or disabled" })
    .exactOptional(),
  aliases: z.record(z.string(), text, { error: "must be a table of texts" }).exactOptional(),
  // for programs that keep layers elsewhere
  "additional-layer-store-auth-helper": z.unknown().exactOptional(),
});
type RawRegistry = z.output<typeof registrySchema>;

export const REGISTRIES_CONF: FileKind<RegistriesConf> = {
  name: "registries.conf",
  maxBytes: MAX_CONFIG_BYTES,
  parse(bytes, path) {
    const raw = parseConfigDocument(bytes, path, fileSchema);
    const all = (raw.registry ?? []).map((entry, position) => parseRegistry(path, ["registry", position], entry));
    // of two with one prefix the first is meant, as in its own programs
    const registries = all.filter(({ prefix }, at) => all.findIndex((each) => each.prefix.text === prefix.text) === at);
    const aliases = Object.entries(raw.aliases ?? {}).map(([name, value]) =>
      parseAlias(name, value, refuserOf(path, formatKey(["aliases", name]))),
    );
    const hosts = raw["unqualified-search-registries"];
    const search = hosts?.map((host) => parseSearchHost(host, refuserOf(path, "unqualified-search-registries")));
    const helpers = raw["credential-helpers"];
    const shortNameMode = raw["short-name-mode"] || undefined;
    return {
      path,
      registries,
      ...(search !== undefined && { search }),
      ...(helpers !== undefined && { credentialHelpers: helpers }),
      ...(shortNameMode !== undefined && { shortNameMode }),
      aliases: new Map(aliases),
      warnings: warnOfUnknownKeys(raw, fileSchema, []).map((warning) => `${path}: ${warning}`),
    };
  },
};

function parseRegistry(path: string, at: readonly PropertyKey[], raw: RawRegistry): RegistryEntry {
  const key = formatKey(at);
  const given = raw.prefix || raw.location;
  if (!given) throw configInvalid(path, `${key} has neither a prefix nor a location`);
  const prefix = parsePrefix(given, refuserOf(path, `${key}.${raw.prefix ? "prefix" : "location"}`));
  const location = raw.location ? parseLocation(raw.location, refuserOf(path, `${key}.location`)) : undefined;
  if (location !== undefined && location.version !== prefix.version) {
    throw configInvalid(path, `${key}.location has another tag or digest than the prefix`);
  }
  const digestOnly = raw["mirror-by-digest-only"] ?? false;
  const warnings = [...warnOfUnknownKeys(raw, registrySchema, at)];
  const mirrors = (raw.mirror ?? []).map((mirror, position): MirrorPlace => {
    const mirrorAt = [...at, "mirror", position];
    const refuse = refuserOf(path, `${formatKey(mirrorAt)}.location`);
    warnings.push(...warnOfUnknownKeys(mirror, mirrorSchema, mirrorAt));
    const pullFrom = mirror["pull-from-mirror"] || undefined;
    if (digestOnly && pullFrom !== undefined) {
      throw configInvalid(
        path,
        `${key} has both mirror-by-digest-only and a pull-from-mirror; one of them is too many`,
      );
    }
    return {
      ...parsePlace(path, mirrorAt, mirror),
      location: parseLocation(mirror.location, refuse),
      pullFromMirror: pullFrom ?? (digestOnly ? "digest-only" : "all"),
    };
  });
  return {
    ...parsePlace(path, at, raw),
    file: path,
    prefix,
    ...(location !== undefined && { location }),
    blocked: raw.blocked ?? false,
    mirrors,
    warnings: warnings.map((warning) => `${path}: ${warning}`),
  };
}

function parsePlace(
  path: string,
  at: readonly PropertyKey[],
  raw: Pick<RawRegistry, keyof typeof place>,
): Omit<Place, "location"> {
  const namespace = raw["namespace-proxy"];
  return {
    insecure: raw.insecure ?? false,
    ...(raw.proxy && { proxy: parseProxy(raw.proxy, refuserOf(path, `${formatKey(at)}.proxy`)) }),
    ...(namespace && { namespace }),
  };
}
