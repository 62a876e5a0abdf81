/**
 * How registries are named as keys of credentials: by host and port, exactly. Over the years Docker also wrote them with a
 * scheme and with the path of an API version, which mean the host. Any other path is a namespace or a repository, as
 * containers-auth.json(5) has it: its credentials are for that and what is below it, and nothing else.
 */

/** What credentials are wanted for. */
export interface RegistryName {
  /** `host[:port]` */
  readonly host: string;
  /** As that host names it; without it, only keys for the whole host fit. */
  readonly repository?: string;
}

const DOCKER_HUB_NAMES = new Set(["docker.io", "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"]);

/** The key under which Docker itself, and credential helpers, keep Docker Hub's credentials. */
export const DOCKER_HUB_KEY = "https://index.docker.io/v1/";

export function isDockerHub(host: string): boolean {
  return DOCKER_HUB_NAMES.has(host.toLowerCase());
}

/** Those that fit, the closest first: a deeper namespace, then a key that is spelled exactly like the name it means. */
export function fittingKeys(keys: readonly string[], name: RegistryName): readonly string[] {
  return keys
    .map((key) => ({ key, closeness: closeness(key, name) }))
    .filter((fit): fit is { key: string; closeness: number } => fit.closeness !== undefined)
    .sort((one, other) => other.closeness - one.closeness)
    .map(({ key }) => key);
}

/** Components of the key's path, a half more for the exact spelling; undefined when the key is about something else. */
function closeness(key: string, { host, repository }: RegistryName): number | undefined {
  const [, scheme, name, path = ""] = /^(https?:\/\/)?([^/]+)(\/.*)?$/i.exec(key) ?? [];
  if (name === undefined || !sameHost(name, host)) return undefined;
  const exact = scheme === undefined && name === host ? 0.5 : 0;
  if (/^\/*$|^\/v[12]\/?$/.test(path)) return path === "" ? exact : 0;
  if (scheme !== undefined || repository === undefined) return undefined;
  const scope = path.slice(1).replace(/\/$/, "");
  if (repository !== scope && !repository.startsWith(`${scope}/`)) return undefined;
  return scope.split("/").length + exact;
}

function sameHost(one: string, other: string): boolean {
  if (isDockerHub(other)) return isDockerHub(one);
  return one.toLowerCase() === other.toLowerCase();
}
