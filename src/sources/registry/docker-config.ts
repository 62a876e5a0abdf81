/**
 * Docker's config.json, as far as credentials go: read from a file or a text, validated, and asked for one host.
 *
 * Also read: the older .dockercfg, which is the bare `auths` object. Entries are decoded only when they are asked for, so
 * that one damaged entry does not stand in the way of the others.
 */
import { readFile } from "node:fs/promises";
import { z } from "zod";
import { AppError } from "../../errors.ts";
import { parseJson, parseJsonDocument } from "../../image/json-document.ts";
import { sameRegistry } from "./registry-key.ts";

export type Credential = { readonly source: string } & (
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

const MAX_CONFIG_BYTES = 4 * 1024 * 1024;
const KNOWN_SECTIONS = ["auths", "credHelpers", "credsStore", "HttpHeaders", "proxies", "currentContext"];

/** Throws AppError `credentials-invalid`; nothing of the content is quoted. */
export function parseDockerConfig(bytes: Uint8Array, source: string): DockerConfig {
  const options = {
    what: `the credentials in ${source}`,
    maxBytes: MAX_CONFIG_BYTES,
    code: "credentials-invalid",
  } as const;
  const document = parseJson(bytes, options);
  if (!isDockercfg(document)) return { source, ...parseJsonDocument(bytes, { ...options, schema: configSchema }) };
  const auths = parseJsonDocument(bytes, { ...options, schema: z.record(z.string(), entrySchema) });
  return { source, auths, credHelpers: {} };
}

/** Undefined when there is no such file and it is `optional`. Throws AppError `credentials-invalid`. */
export async function readDockerConfig(path: string, optional: boolean): Promise<DockerConfig | undefined> {
  const bytes = await readFile(path).catch((error: NodeJS.ErrnoException) => {
    if (optional && (error.code === "ENOENT" || error.code === "ENOTDIR")) return undefined;
    throw new AppError("credentials-invalid", `Cannot read the credentials in ${path}: ${error.code}`, {
      hint: "it should be a Docker config.json that this user may read",
      cause: error,
    });
  });
  return bytes && parseDockerConfig(bytes, path);
}

/** What the `auths` section has for a registry. Throws AppError `credentials-invalid` when the entry cannot be decoded. */
export function findInAuths(config: DockerConfig, host: string): Credential | undefined {
  const key = findKey(Object.keys(config.auths), host);
  const entry = key === undefined ? undefined : config.auths[key];
  if (key === undefined || entry === undefined) return undefined;
  const source = `${config.source} (${key})`;
  if (entry.registrytoken) return { kind: "registry-token", token: entry.registrytoken, source };
  if (entry.identitytoken) return { kind: "identity-token", token: entry.identitytoken, source };
  const pair = entry.auth ? decodeAuth(entry.auth, source) : { username: entry.username, password: entry.password };
  if (!pair.username) return undefined;
  return { kind: "password", username: pair.username, password: pair.password ?? "", source };
}

/** The suffix of the credential helper that is responsible for a registry, if one is. */
export function helperFor(config: DockerConfig, host: string): string | undefined {
  const key = findKey(Object.keys(config.credHelpers), host);
  return (key === undefined ? undefined : config.credHelpers[key]) ?? config.credsStore;
}

/** A key that is spelled exactly like the host wins over one that only means it. */
function findKey(keys: readonly string[], host: string): string | undefined {
  return keys.find((key) => key === host) ?? keys.find((key) => sameRegistry(key, host));
}

/** base64("user:password"); older Dockers padded it with NULs. */
function decodeAuth(auth: string, source: string): { readonly username: string; readonly password: string } {
  const wellFormed = /^[A-Za-z0-9+/_-]+={0,2}\s*$/.test(auth);
  const text = wellFormed ? Buffer.from(auth, "base64").toString("utf8").replace(/\0+$/, "") : "";
  const colon = text.indexOf(":");
  if (colon > 0) return { username: text.slice(0, colon), password: text.slice(colon + 1) };
  throw new AppError(
    "credentials-invalid",
    `Cannot use the credentials in ${source}: auth is not base64 of user:password`,
  );
}

function isDockercfg(document: unknown): boolean {
  if (typeof document !== "object" || document === null || Array.isArray(document)) return false;
  const names = Object.keys(document);
  if (names.length === 0 || names.some((name) => KNOWN_SECTIONS.includes(name))) return false;
  return Object.values(document).every(
    (value) => typeof value === "object" && !Array.isArray(value) && "auth" in (value ?? {}),
  );
}
