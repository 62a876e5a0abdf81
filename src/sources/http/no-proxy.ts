/**
 * NO_PROXY: the hosts that are reached directly. The rules are those of Go's httpproxy, by which the programs that stand
 * beside this one read the variable: a comma-separated list of
 *
 *     *                    every host
 *     10.1.2.3  [::1]:80   an address; with a port, only that port
 *     10.0.0.0/8           all addresses of a network
 *     example.com          the domain and all below it
 *     .example.com         all below it, not the domain itself (also written *.example.com)
 *
 * Names are not looked up: an address in the list does not stand for the names that lead to it. What does not parse is
 * passed over.
 */
import { BlockList, isIP } from "node:net";
import { domainToASCII } from "node:url";

type Matcher = (host: string, port: string) => boolean;

/** Whether the host of an http(s) URL is to be reached directly. */
export function parseNoProxy(list: string): (url: URL) => boolean {
  const matchers = list
    .split(",")
    .map((entry) => entry.trim().toLowerCase())
    .filter((entry) => entry !== "")
    .map(parseEntry);
  return (url) => {
    const host = withoutBrackets(url.hostname).replace(/\.$/, "");
    const port = url.port || (url.protocol === "https:" ? "443" : "80");
    return matchers.some((matches) => matches(host, port));
  };
}

function parseEntry(entry: string): Matcher {
  if (entry === "*") return () => true;
  const network = parseNetwork(entry);
  if (network !== undefined) return (host) => contains(network, host);
  const [, name = entry, port] = /^(\[.*\]|[^:]*):([0-9]+)$/.exec(entry) ?? [];
  const portMatches = (asked: string): boolean => port === undefined || port === asked;
  const address = parseNetwork(withoutBrackets(name), "whole");
  if (address !== undefined) return (host, asked) => contains(address, host) && portMatches(asked);
  const domain = domainToASCII(name.replace(/^\*(?=\.)/, "").replace(/^\./, ""));
  const itself = !/^\*?\./.test(name);
  if (domain === "") return () => false;
  return (host, asked) => ((itself && host === domain) || host.endsWith(`.${domain}`)) && portMatches(asked);
}

/** `address/bits`, or with `whole` one address. */
function parseNetwork(text: string, whole?: "whole"): BlockList | undefined {
  const [address = "", bits, more] = whole === undefined ? text.split("/") : [text];
  const version = isIP(address);
  if (version === 0 || more !== undefined || (whole === undefined && bits === undefined)) return undefined;
  const width = version === 4 ? 32 : 128;
  const prefix = bits === undefined ? width : Number(bits);
  if (!/^[0-9]{1,3}$/.test(bits ?? "0") || prefix > width) return undefined;
  const list = new BlockList();
  list.addSubnet(address, prefix, version === 4 ? "ipv4" : "ipv6");
  return list;
}

function contains(network: BlockList, host: string): boolean {
  const version = isIP(host);
  return version !== 0 && network.check(host, version === 4 ? "ipv4" : "ipv6");
}

function withoutBrackets(host: string): string {
  return host.replace(/^\[(.*)\]$/, "$1");
}
