/**
 * Prefixes and locations of a registries.conf: `host[:port][/path][:tag|@digest]`, and `*.example.com` for all hosts below
 * one. A prefix says which names an entry is about; a location takes the place of that prefix in them.
 */
import { DOCKER_HUB, type DockerReference, parseDockerUrl } from "../../../image/docker-reference.ts";
import type { Refuse } from "./config-document.ts";

export interface RegistryName {
  /** Without slashes at its end, the host in lower case. */
  readonly text: string;
  /** `host` or `host/path`; for a wildcard what stands behind the star: `.example.com`. */
  readonly name: string;
  /** Empty, `:tag` or `@digest`. */
  readonly version: string;
  readonly isWildcard: boolean;
}

/** A name in a registry, before or after it was rewritten. */
export type ImageName = Pick<DockerReference, "host" | "repository" | "tag" | "digest">;

export function parsePrefix(given: string, refuse: Refuse): RegistryName {
  if (!given.startsWith("*.")) return parseLocation(given, refuse);
  const name = given.slice(1).toLowerCase();
  if (/[/@:]/.test(name)) throw refuse("has more than a host behind its *");
  checkName(`x${name}`, refuse);
  return { text: `*${name}`, name, version: "", isWildcard: true };
}

export function parseLocation(given: string, refuse: Refuse): RegistryName {
  const trimmed = given.replace(/\/+$/, "");
  if (trimmed === "") throw refuse("is empty");
  if (trimmed.includes("://")) throw refuse("has a scheme; a location is a host, and what repository names begin with");
  const slash = trimmed.indexOf("/");
  // before the first slash, a colon introduces a port
  const [, path = "", version = ""] = slash < 0 ? [] : (/^([^:@]*)(.*)$/.exec(trimmed.slice(slash)) ?? []);
  const host = (slash < 0 ? trimmed : trimmed.slice(0, slash)).toLowerCase();
  checkName(`${host}${path}`, refuse);
  return { text: `${host}${path}${version}`, name: `${host}${path}`, version, isWildcard: false };
}

/**
 * What of `image` a location does not replace: empty, or beginning with a slash. Undefined when the prefix is about
 * other names. Prefixes end at the borders of components: `example.com/a` is not about `example.com/ab`.
 */
export function restBehind(prefix: RegistryName, image: ImageName): string | undefined {
  if (prefix.isWildcard) {
    return image.host.replace(/:[0-9]+$/, "").endsWith(prefix.name) ? `/${image.repository}` : undefined;
  }
  const name = `${image.host}/${image.repository}`;
  if (prefix.version !== "") {
    const versions = [`:${image.tag ?? ""}`, `@${image.digest ?? ""}`];
    return name === prefix.name && versions.includes(prefix.version) ? "" : undefined;
  }
  if (name !== prefix.name && !name.startsWith(`${prefix.name}/`)) return undefined;
  return name.slice(prefix.name.length);
}

/** Docker Hub keeps what has no namespace below `library/`. Throws what `refuse` makes of a name without a repository. */
export function nameBelow(location: RegistryName, rest: string, refuse: Refuse): { host: string; repository: string } {
  const whole = `${location.name}${rest}`;
  const slash = whole.indexOf("/");
  if (slash < 0) throw refuse("leaves no repository to ask for");
  const [host, repository] = [whole.slice(0, slash), whole.slice(slash + 1)];
  return { host, repository: host === DOCKER_HUB && !repository.includes("/") ? `library/${repository}` : repository };
}

/** By the rules for references. */
function checkName(name: string, refuse: Refuse): void {
  try {
    parseDockerUrl(`docker://${name}/x`);
  } catch {
    throw refuse("is no host[:port], with or without a path of lower-case components");
  }
}
