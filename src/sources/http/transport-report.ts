/** Tells `--explain` how each host is reached, once for everybody who listens. */
import type { Emit } from "../../events.ts";
import type { HostTransport } from "./host-transport.ts";
import type { ProxyChoice } from "./proxies.ts";

export type TellTransport = (emit: Emit, url: URL, transport: HostTransport, choice: ProxyChoice) => void;

export function createTransportReport(): TellTransport {
  // by listener: a daemon's client outlives the pull that asked, and the next one wants to know too
  const told = new WeakMap<Emit, Set<string>>();
  return (emit, url, transport, choice) => {
    const heard = told.get(emit) ?? new Set();
    told.set(emit, heard);
    const key = `${url.origin} ${transport.key}`;
    if (heard.has(key)) return;
    heard.add(key);
    emit({ type: "decision", topic: "transport", message: describeTransport(url, transport, choice) });
  };
}

function describeTransport(url: URL, transport: HostTransport, { proxy, decidedBy }: ProxyChoice): string {
  const because = decidedBy === undefined ? "" : ` (${decidedBy})`;
  const way = proxy === undefined ? `directly${because}` : `through the proxy ${proxy.address}${because}`;
  const { ca, clientCertificates, skipVerify, plainHttp, configuredBy } = transport;
  const settings = [
    ca.length > 0 && !skipVerify && "its authorities are trusted besides the system's",
    clientCertificates.length > 0 && "a client certificate is shown when it asks for one",
    skipVerify && "its certificate is not checked",
    plainHttp && "plain http is allowed",
  ].filter((setting) => setting !== false);
  const configured = settings.length === 0 ? "" : `; ${settings.join(", ")} (${configuredBy.join(", ")})`;
  return `${url.origin} is reached ${way}${configured}`;
}
