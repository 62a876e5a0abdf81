/**
 * How registries are named as keys of credentials: by host and port, exactly. Over the years Docker also wrote them with a
 * scheme and with the path of an API version, which mean the host; any other path does not.
 */

const DOCKER_HUB_NAMES = new Set(["docker.io", "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"]);

/** The key under which Docker itself, and credential helpers, keep Docker Hub's credentials. */
export const DOCKER_HUB_KEY = "https://index.docker.io/v1/";

export function isDockerHub(host: string): boolean {
  return DOCKER_HUB_NAMES.has(host.toLowerCase());
}

/** Whether a key of config.json names the registry at `host[:port]`. */
export function sameRegistry(key: string, host: string): boolean {
  const [, name, path = ""] = /^(?:https?:\/\/)?([^/]+)(\/.*)?$/i.exec(key) ?? [];
  if (name === undefined || !/^\/*$|^\/v[12]\/?$/.test(path)) return false;
  if (isDockerHub(host)) return isDockerHub(name);
  return name.toLowerCase() === host.toLowerCase();
}
