/**
 * Endpoint: where the registry API of a host is, and what is put before repository names there.
 *
 * docker.io is a name, not a place: it is served by `dockerRegistry` where that is configured, by Docker Hub's API host
 * otherwise, however the name was spelled. Any other host is its own place.
 */
import { AppError } from "../../errors.ts";
import { DOCKER_HUB } from "../../image/docker-reference.ts";
import { isLoopback, type TransportSecurity } from "../http/transport-security.ts";

export const DOCKER_HUB_API = "registry-1.docker.io";

export interface Endpoint {
  /** `host[:port]`, under which credentials are looked up and which messages name. */
  readonly host: string;
  /** Ends with a slash: with `/v2/`, unless configuration says that the API is elsewhere. */
  readonly api: URL;
  /** Empty, or ends with a slash. */
  readonly repositoryPrefix: string;
}

/**
 * Parses the `dockerRegistry` setting: `https://HOST`, optionally with a path. A path that begins with /v2/ goes on with a
 * prefix for repository names (a proxying project of a larger registry); any other path is where /v2/ is found.
 * Throws AppError `config-invalid`.
 */
export function parseRegistryUrl(text: string): Endpoint {
  const bareHost = /^[^/:]+(?::[0-9]+)?$|^\[[^\]]+\](?::[0-9]+)?$/.test(text);
  const url = URL.parse(bareHost ? `${isLoopback(text) ? "http" : "https"}://${text}` : text);
  if (url === null || !["http:", "https:"].includes(url.protocol) || url.search !== "" || url.hash !== "") {
    throw invalid("it is neither an http(s) URL nor an absolute directory", "for example https://registry.example.com");
  }
  if (url.username !== "" || url.password !== "") {
    throw invalid("it has credentials in it", "put them into a Docker config.json");
  }
  const host = canonicalHost(url.host);
  const path = url.pathname.replace(/\/+$/, "");
  const prefix = /^\/v2(?:\/(.+))?$/.exec(path);
  const base = prefix === null ? path.replace(/\/v2$/, "") : "";
  return {
    host,
    api: new URL(`${url.protocol}//${host}${base}/v2/`),
    repositoryPrefix: prefix?.[1] === undefined ? "" : `${prefix[1]}/`,
  };
}

/**
 * The endpoint for the host of a reference. Plain http is chosen for loopback hosts (except on port 443) and listed
 * insecure registries. Throws AppError `registry-insecure` when the configured default is http and must not be.
 */
export function endpointFor(host: string, security: TransportSecurity, defaultRegistry?: Endpoint): Endpoint {
  if (defaultRegistry !== undefined && host === DOCKER_HUB) {
    security.check(defaultRegistry.api);
    return defaultRegistry;
  }
  if (host === DOCKER_HUB) return at("https", DOCKER_HUB_API);
  // the operator who wrote https:// for a loopback default meant it for every spelling
  const asksForHttps =
    host.endsWith(":443") || (defaultRegistry?.host === host && defaultRegistry.api.protocol === "https:");
  return at(security.allowsPlainHttp(host) && !asksForHttps ? "http" : "https", host);
}

/** Docker Hub's names of old are not where its API is. */
export function canonicalHost(host: string): string {
  return [DOCKER_HUB, "index.docker.io"].includes(host) ? DOCKER_HUB_API : host;
}

/** The same API over the other scheme. */
export function withScheme(endpoint: Endpoint, scheme: "http" | "https"): Endpoint {
  return { ...endpoint, api: new URL(`${scheme}://${endpoint.host}${endpoint.api.pathname}`) };
}

function at(scheme: "http" | "https", host: string): Endpoint {
  return { host, api: new URL(`${scheme}://${host}/v2/`), repositoryPrefix: "" };
}

function invalid(why: string, hint: string): AppError {
  return new AppError("config-invalid", `Cannot use the configured docker registry: ${why}`, { hint });
}
