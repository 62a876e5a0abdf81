/**
 * Where plain http may be spoken: to this machine itself, and to the registries that the operator listed. Credentials,
 * manifests by tag and redirects would otherwise be open to anyone on the way.
 */
import { BlockList, isIP } from "node:net";
import { AppError } from "../../errors.ts";
import { redactUrl } from "./redact-url.ts";

const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8, "ipv4");
loopback.addAddress("::1", "ipv6");

/** `host` with or without a port, IPv6 in brackets. */
export function isLoopback(host: string): boolean {
  const name = host
    .replace(/:[0-9]+$/, "")
    .replace(/^\[(.*)\]$/, "$1")
    .toLowerCase();
  const version = isIP(name);
  if (version === 0) return name === "localhost" || name.endsWith(".localhost");
  return loopback.check(name, version === 6 ? "ipv6" : "ipv4");
}

export interface TransportSecurity {
  /** Whether plain http may be spoken to `host[:port]`. */
  allowsPlainHttp(host: string): boolean;
  /**
   * Throws AppError `registry-insecure` where `url` is plain http and must not be, `registry-error` for other schemes.
   * `from` is the address that led there: a registry elsewhere, spoken to over https, has no business with this machine.
   */
  check(url: URL, from?: URL): void;
}

/** `insecureRegistries` are `host[:port]`, compared exactly. */
export function createTransportSecurity(insecureRegistries: readonly string[]): TransportSecurity {
  const listed = new Set(
    insecureRegistries.map((entry) =>
      entry
        .replace(/^https?:\/\//, "")
        .replace(/\/+$/, "")
        .toLowerCase(),
    ),
  );
  const isListed = (host: string): boolean => listed.has(host.toLowerCase());
  const allowsPlainHttp = (host: string): boolean => isLoopback(host) || isListed(host);
  return {
    allowsPlainHttp,
    check(url, from) {
      if (url.protocol === "https:") return;
      if (url.protocol !== "http:") {
        throw new AppError("registry-error", `Cannot fetch from ${url.protocol} addresses: a registry led to one`);
      }
      // URL drops port 80 from http addresses, but the operator may have listed it
      const allows = from?.protocol === "https:" ? isListed : allowsPlainHttp;
      if (allows(url.host) || allows(`${url.hostname}:${url.port || "80"}`)) return;
      throw new AppError("registry-insecure", `Cannot fetch ${redactUrl(url)}: it would be plain http`, {
        hint: `use https, or list ${url.host} among the insecure registries`,
        details: { url: redactUrl(url) },
      });
    },
  };
}
