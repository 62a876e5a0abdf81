/**
 * Docker's config.json, as far as credentials go: parsed, validated, and asked for one registry. The auth.json of podman
 * and skopeo is the same document; keys for one namespace are its custom, and do no harm in Docker's own.
 *
 * Also read: the older .dockercfg, which is the bare `auths` object. Entries are decoded only when they are asked for, so
 * that one damaged entry does not stand in the way of the others.
 */
import { z } from "zod";
import { AppError } from "../../../errors.ts";
import { checkJson, parseJson } from "../../../image/json-document.ts";
import { fittingKeys, type RegistryName } from "./registry-key.ts";

export type Credential = {
  /** For people: a file and its entry, or a program. */
  readonly source: string;
  /** It came from a credential helper, which may give another one when it is asked again. */
  readonly fromHelper?: true;
} & (
  | { readonly kind: "password"; readonly username: string; readonly password: string }
  /** Exchanged for a registry token by the token server. */
  | { readonly kind: "identity-token"; readonly token: string }
  /** Sent as it is. */
  | { readonly kind: "registry-token"; readonly token: string }
);

const entrySchema = z.object({
  auth: z.string().exactOptional(),
  username: z.string().exactOptional(),
  password: z.string().exactOptional(),
  identitytoken: z.string().exactOptional(),
  registrytoken: z.string().exactOptional(),
});
const configSchema = z.object({
  auths: z.record(z.string(), entrySchema).default({}),
  credHelpers: z.record(z.string(), z.string()).default({}),
  credsStore: z.string().exactOptional(),
});
type Entry = z.output<typeof entrySchema>;

export interface DockerConfig {
  /** For people: a path or a variable's name. */
  readonly source: string;
  readonly auths: Readonly<Record<string, Entry>>;
  readonly credHelpers: Readonly<Record<string, string>>;
  readonly credsStore?: string;
}

export const MAX_CONFIG_BYTES = 4 * 1024 * 1024;
/** Said of whatever is wrong with such a document. */
export const CONFIG_HINT =
  'it should be the JSON of a config.json, for example {"auths":{"registry.example.com":{"auth":"<base64 of user:password>"}}}';
const KNOWN_SECTIONS = ["auths", "credHelpers", "credsStore", "HttpHeaders", "proxies", "currentContext"];

/** Throws AppError `credentials-invalid`; nothing of the content is quoted but names of members. */
export function parseDockerConfig(bytes: Uint8Array, source: string): DockerConfig {
  const options = {
    what: `the credentials in ${source}`,
    maxBytes: MAX_CONFIG_BYTES,
    code: "credentials-invalid",
    hint: CONFIG_HINT,
  } as const;
  const document = parseJson(bytes, options);
  if (!isDockercfg(document)) return { source, ...checkJson(document, { ...options, schema: configSchema }) };
  const auths = checkJson(document, { ...options, schema: z.record(z.string(), entrySchema) });
  return { source, auths, credHelpers: {} };
}

/**
 * What `auths` has for a registry: the closest key whose entry is not empty, as Docker leaves one beside a helper.
 * Throws AppError `credentials-invalid` when the entry cannot be decoded.
 */
export function findInAuths(config: DockerConfig, name: RegistryName): Credential | undefined {
  for (const key of fittingKeys(Object.keys(config.auths), name)) {
    const credential = decodeEntry(config, key);
    if (credential !== undefined) return credential;
  }
  return undefined;
}

/** Throws AppError `credentials-invalid` for the first entry that cannot be decoded. */
export function checkAuths(config: DockerConfig): void {
  for (const key of Object.keys(config.auths)) decodeEntry(config, key);
}

/** The suffix of the credential helper that is responsible for a registry, if one is. Helpers know hosts, no namespaces. */
export function helperFor(config: DockerConfig, host: string): string | undefined {
  const [key] = fittingKeys(Object.keys(config.credHelpers), { host });
  return (key === undefined ? undefined : config.credHelpers[key]) || config.credsStore || undefined;
}

function decodeEntry(config: DockerConfig, key: string): Credential | undefined {
  const entry = config.auths[key];
  if (entry === undefined) return undefined;
  const source = `${config.source} (${key})`;
  if (entry.registrytoken) return { kind: "registry-token", token: headerSafe(entry.registrytoken, source), source };
  if (entry.identitytoken) return { kind: "identity-token", token: entry.identitytoken, source };
  const pair = entry.auth ? decodeAuth(entry.auth, source) : { username: entry.username, password: entry.password };
  if (!pair.username) return undefined;
  return { kind: "password", username: pair.username, password: pair.password ?? "", source };
}

/** base64("user:password"); older Dockers padded it with NULs. */
function decodeAuth(auth: string, source: string): { readonly username: string; readonly password: string } {
  const wellFormed = /^[A-Za-z0-9+/_-]+={0,2}\s*$/.test(auth);
  const text = wellFormed ? Buffer.from(auth, "base64").toString("utf8").replace(/\0+$/, "") : "";
  const colon = text.indexOf(":");
  if (colon > 0) return { username: text.slice(0, colon), password: text.slice(colon + 1) };
  throw undecodable(source, "auth is not base64 of user:password");
}

function headerSafe(token: string, source: string): string {
  if (/^[\x21-\x7e]+$/.test(token)) return token;
  throw undecodable(source, "registrytoken has characters that cannot be sent");
}

function undecodable(source: string, why: string): AppError {
  return new AppError("credentials-invalid", `Cannot use the credentials in ${source}: ${why}`, {
    hint: "log in to that registry again",
  });
}

function isDockercfg(document: unknown): boolean {
  if (typeof document !== "object" || document === null || Array.isArray(document)) return false;
  const names = Object.keys(document);
  if (names.length === 0 || names.some((name) => KNOWN_SECTIONS.includes(name))) return false;
  return Object.values(document).every(
    (value) =>
      typeof value === "object" && !Array.isArray(value) && ["auth", "username"].some((name) => name in (value ?? {})),
  );
}
