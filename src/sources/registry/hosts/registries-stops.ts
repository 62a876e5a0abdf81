/** From the entries of registries.conf files to the places at which an image is looked for. */
import { AppError } from "../../../errors.ts";
import type { TransportSecurity } from "../../http/transport-security.ts";
import { type Endpoint, endpointFor, withScheme } from "../endpoint.ts";
import { configInvalid } from "./config-document.ts";
import type { MirrorPlace, Place, RegistriesConf, RegistryEntry } from "./registries-conf.ts";
import { type ImageName, nameBelow, restBehind } from "./registry-name.ts";
import type { Sought } from "./sought.ts";
import type { StopDraft } from "./stop-draft.ts";
import { NOTHING_CONFIGURED, type TransportParts } from "./transport.ts";

/**
 * The entry with the longest prefix of the name; of two entries with one prefix, that of the file that was read last.
 * A prefix that says the whole host wins over a wildcard of the same length.
 */
export function findEntry(files: readonly RegistriesConf[], image: ImageName): RegistryEntry | undefined {
  const entries = new Map(files.flatMap((file) => file.registries).map((entry) => [entry.prefix.text, entry]));
  let longest: RegistryEntry | undefined;
  for (const entry of entries.values()) {
    if (restBehind(entry.prefix, image) === undefined) continue;
    if (longest === undefined || weightOf(entry) > weightOf(longest)) longest = entry;
  }
  return longest;
}

function weightOf({ prefix }: RegistryEntry): number {
  return prefix.text.length + (prefix.isWildcard ? 0 : 0.5);
}

/** Throws AppError `registry-blocked`. */
export function refuseBlocked(files: readonly RegistriesConf[], image: ImageName): void {
  const entry = findEntry(files, image);
  if (entry?.blocked !== true) return;
  const { file, prefix } = entry;
  const name = `${image.host}/${image.repository}`;
  throw new AppError("registry-blocked", `Cannot get ${name}: ${file} blocks ${prefix.text}`, {
    hint: `name the image at another registry, or take "blocked" out of that entry`,
    details: { file, prefix: prefix.text },
  });
}

/** Mirrors in the order of the file, then the location. Throws AppError `config-invalid`. */
export function stopsOfEntry(entry: RegistryEntry, sought: Sought, security: TransportSecurity): readonly StopDraft[] {
  const { image } = sought;
  const rest = restBehind(entry.prefix, image) ?? "";
  const configuredBy = `${entry.file} (${entry.prefix.text})`;
  const at = (place: Place): { endpoint: Endpoint; repository: string } => {
    const why = `location ${place.location.text} of ${entry.prefix.text}`;
    const { host, repository } = nameBelow(place.location, rest, (reason) =>
      configInvalid(entry.file, `the ${why} ${reason}`, "prefix and location should end at the same component"),
    );
    return { endpoint: endpointFor(host, security), repository };
  };
  const mirrors = entry.mirrors
    .filter((mirror) => mirror.pullFromMirror !== "tag-only" || image.digest === undefined)
    .flatMap((mirror) => draftsOf("mirror", mirror, at(mirror), configuredBy, entry.file));
  const { location } = entry;
  const moved = location !== undefined && location.text !== entry.prefix.text;
  const origin = moved ? at({ ...entry, location }) : sought.origin;
  return [...mirrors, ...draftsOf("origin", entry, origin, configuredBy, entry.file)];
}

/** Two where `insecure` is said: https, whatever certificate is shown, and plain http for servers that speak nothing else. */
function draftsOf(
  role: StopDraft["role"],
  place: Omit<Place, "location"> & Partial<Pick<MirrorPlace, "pullFromMirror">>,
  { endpoint, repository }: { readonly endpoint: Endpoint; readonly repository: string },
  configuredBy: string,
  file: string,
): readonly StopDraft[] {
  const draft = (at: Endpoint, transport: Partial<TransportParts>): StopDraft => ({
    role,
    endpoint: at,
    repository,
    resolvesTags: place.pullFromMirror !== "digest-only",
    resolvesDigests: true,
    ...(place.namespace !== undefined && { namespace: place.namespace }),
    headers: {},
    transport: {
      ...NOTHING_CONFIGURED,
      ...(place.proxy !== undefined && { proxy: place.proxy }),
      ...transport,
      configuredBy: [file],
    },
    configuredBy,
  });
  if (!place.insecure) return [draft(endpoint, {})];
  return [
    draft(withScheme(endpoint, "https"), { skipVerify: true }),
    draft(withScheme(endpoint, "http"), { plainHttp: true }),
  ];
}

/** How an entry for all of `host` says that it is reached, whatever for; undefined when there is none. */
export function transportFromEntry(files: readonly RegistriesConf[], host: string): TransportParts | undefined {
  // such an entry is about any repository
  const entry = findEntry(files, { host, repository: "" });
  if (entry === undefined) return undefined;
  return {
    ...NOTHING_CONFIGURED,
    skipVerify: entry.insecure,
    plainHttp: entry.insecure,
    ...(entry.proxy !== undefined && { proxy: entry.proxy }),
    configuredBy: [entry.file],
  };
}
