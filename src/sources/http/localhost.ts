/**
 * What this machine is called. `localhost` and the names below it always stand for this machine (RFC 6761, 6.3), but a resolver
 * may ask the network for them, and whoever answers there could take what is meant to stay here. So they are not looked up.
 */
import { type LookupAddress, type LookupOptions, lookup } from "node:dns";
import { BlockList, isIP, type LookupFunction } from "node:net";

const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8, "ipv4");
loopback.addAddress("::1", "ipv6");

/** Connections to "any address" end here as well, on Linux. */
const unspecified = new BlockList();
unspecified.addSubnet("0.0.0.0", 8, "ipv4");
unspecified.addAddress("::", "ipv6");

const ADDRESSES: readonly LookupAddress[] = [
  { address: "127.0.0.1", family: 4 },
  { address: "::1", family: 6 },
];

/** Whether what is sent to `host` surely stays on this machine. `host` with or without a port, IPv6 in brackets. */
export function isLoopback(host: string): boolean {
  return isLoopbackName(withoutPort(host));
}

/** Whether `host` may lead to this machine: of names only those that say so. */
export function leadsHere(host: string): boolean {
  const name = withoutPort(host).replace(/\.$/, "");
  return isLoopbackName(name) || includes(unspecified, name);
}

/** As `dns.lookup`, but for localhost and the names below it. */
export const lookUpLocalhost: LookupFunction = (hostname, options, callback) => {
  if (!isLocalhostName(hostname.toLowerCase())) return lookup(hostname, options, callback);
  const found = ADDRESSES.filter(({ family }) => isWanted(family, options.family));
  process.nextTick(() => {
    if (options.all === true) callback(null, found);
    else callback(null, found[0]?.address ?? "127.0.0.1", found[0]?.family ?? 4);
  });
};

function isWanted(family: number, wanted: LookupOptions["family"]): boolean {
  return wanted === undefined || wanted === 0 || wanted === family || wanted === `IPv${family}`;
}

function isLoopbackName(name: string): boolean {
  return isLocalhostName(name) || includes(loopback, name);
}

function isLocalhostName(name: string): boolean {
  return name === "localhost" || name.endsWith(".localhost");
}

function withoutPort(host: string): string {
  return host
    .replace(/:[0-9]+$/, "")
    .replace(/^\[(.*)\]$/, "$1")
    .toLowerCase();
}

function includes(list: BlockList, name: string): boolean {
  const version = isIP(name);
  return version !== 0 && list.check(name, version === 6 ? "ipv6" : "ipv4");
}
