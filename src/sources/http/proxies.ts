/**
 * Which proxy a request goes through. What is configured for the host comes first; then the environment, as Go's httpproxy
 * reads it: by the scheme of the address, never for this machine itself, and not for the hosts of NO_PROXY.
 */
import { AppError } from "../../errors.ts";
import type { HostTransport } from "./host-transport.ts";
import { isLoopback } from "./localhost.ts";
import { parseNoProxy } from "./no-proxy.ts";
import { type ProxyServer, parseProxyAddress } from "./proxy-address.ts";

/** Values of the environment; empty is absent. */
export interface ProxySettings {
  /** HTTP_PROXY: for http:// addresses. */
  readonly http?: string;
  /** HTTPS_PROXY: for https:// addresses. */
  readonly https?: string;
  /** NO_PROXY: see no-proxy.ts. */
  readonly no?: string;
  /** ALL_PROXY: where the one for the scheme is absent. */
  readonly all?: string;
}

export interface ProxyChoice {
  /** Undefined: the host is reached directly. */
  readonly proxy: ProxyServer | undefined;
  /** For people: the variable or file that decided; undefined when nothing did. */
  readonly decidedBy: string | undefined;
}

export type ChooseProxy = (url: URL, transport: HostTransport) => ProxyChoice;

/** The returned function throws AppError `config-invalid` when the proxy that it would have to choose is malformed. */
export function createProxyChoice(settings: ProxySettings): ChooseProxy {
  const isDirect = parseNoProxy(settings.no ?? "");
  return (url, transport) => {
    const files = transport.configuredBy.join(", ");
    if (transport.proxy !== undefined) return { proxy: parseProxy(transport.proxy, files), decidedBy: files };
    const [name, own] = url.protocol === "https:" ? ["HTTPS_PROXY", settings.https] : ["HTTP_PROXY", settings.http];
    const value = own || settings.all;
    if (!value) return { proxy: undefined, decidedBy: undefined };
    if (isLoopback(url.host)) return { proxy: undefined, decidedBy: "it is this machine" };
    if (isDirect(url)) return { proxy: undefined, decidedBy: "NO_PROXY" };
    const variable = own ? name : "ALL_PROXY";
    return { proxy: parseProxy(value, variable), decidedBy: variable };
  };
}

function parseProxy(text: string, where: string): ProxyServer {
  return parseProxyAddress(
    text,
    (why) =>
      new AppError("config-invalid", `Cannot use the proxy from ${where}: it ${why}`, {
        hint: "for example http://proxy.example.com:3128, or http://USER:PASSWORD@proxy.example.com:3128",
      }),
  );
}
