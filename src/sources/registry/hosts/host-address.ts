/** Addresses in host configuration: of a registry's API, and of a proxy. */
import { posix } from "node:path";
import { DOCKER_HUB } from "../../../image/docker-reference.ts";
import { parseProxyAddress } from "../../http/proxy-address.ts";
import { canonicalHost, type Endpoint } from "../endpoint.ts";
import type { Refuse } from "./config-document.ts";

/**
 * The address of a `host` or `server` of a hosts.toml (containerd, docs/hosts.md): a URL, or a host, which means https.
 * /v2 is put behind its path, unless it ends so or `overridePath` says that the path is where the API is.
 */
export function parseHostAddress(text: string, overridePath: boolean, refuse: Refuse): Endpoint {
  const url = URL.parse(text.includes("://") ? text : `https://${text}`);
  // a key of digits alone is no host either: objects would not keep its place in the file
  if (url === null || !["http:", "https:"].includes(url.protocol) || /^[0-9]*$/.test(text)) {
    throw refuse("is no http:// or https:// address");
  }
  if (url.username !== "" || url.password !== "") throw refuse("has credentials in it; they belong into auth.json");
  if (url.search !== "" || url.hash !== "") throw refuse("has a query or fragment in it");
  const path = posix.normalize(url.pathname).replace(/\/+$/, "");
  const host = canonicalHost(url.host);
  const at = (apiPath: string, repositoryPrefix = ""): Endpoint => {
    return { host, api: new URL(`${url.protocol}//${host}${apiPath}`), repositoryPrefix };
  };
  if (!overridePath) return at(path.endsWith("/v2") ? `${path}/` : `${path}/v2/`);
  // what stands behind /v2/ is the beginning of repository names there, and of what tokens are asked for
  const [, prefix] = /^\/v2\/(.+)$/.exec(path) ?? [];
  return prefix === undefined ? at(`${path}/`) : at("/v2/", `${prefix}/`);
}

const PROXY_HINT = "such as http://proxy.example.com:3128 or socks5://proxy.example.com:1080";

/** The URL of a proxy, with its user and password if it has them. Unlike in the environment, its scheme is not left out. */
export function parseProxy(text: string, refuse: Refuse): string {
  const url = URL.parse(text);
  if (url === null || url.protocol === "socks:" || !url.href.startsWith(`${url.protocol}//`))
    throw refuse(`is no address of a proxy, ${PROXY_HINT}`);
  parseProxyAddress(url.href, (why) => refuse(`is no address of a proxy, ${PROXY_HINT}: it ${why}`));
  if (!["", "/"].includes(url.pathname) || url.search !== "" || url.hash !== "") {
    throw refuse("has more in it than scheme, host and port");
  }
  return url.href;
}

/** Whether a host that is asked stands for itself, and not for the registry `host`. */
export function isSameRegistry(asked: string, host: string): boolean {
  return asked === host || (host === DOCKER_HUB && asked === canonicalHost(host));
}
