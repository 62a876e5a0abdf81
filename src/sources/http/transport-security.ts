/**
 * Where plain http may be spoken: to this machine itself, and to the registries that the operator listed, one by one or in
 * their own configuration files. Credentials, manifests by tag and redirects would otherwise be open to anyone on the way.
 *
 * And who may lead where: whoever is elsewhere has no business with this machine, whose services trust what comes from it.
 * Only what the operator listed may be named from there, be it http or https.
 *
 *     from \ to           http://this-machine   https://this-machine   http://elsewhere   https://elsewhere
 *     (the user)          yes                   yes                    listed             yes
 *     http, this machine  yes                   yes                    listed             yes
 *     https, this machine listed                yes                    listed             yes
 *     elsewhere           listed                listed                 listed             yes
 */
import { AppError } from "../../errors.ts";
import type { HostTransport } from "./host-transport.ts";
import { isLoopback, leadsHere } from "./localhost.ts";
import { redactUrl } from "./redact-url.ts";

export { isLoopback } from "./localhost.ts";

export interface TransportSecurity {
  /** Whether plain http may be spoken to `host[:port]`. */
  allowsPlainHttp(host: string): boolean;
  /**
   * Throws AppError `registry-insecure` where `url` is plain http and must not be, or leads to this machine and must not,
   * `registry-error` for other schemes. `from` is the address that led there; absent, the user gave it.
   * `transport` is what is configured for the host of `url`, and for no other.
   */
  check(url: URL, from?: URL, transport?: Pick<HostTransport, "plainHttp">): void;
}

/** Where addresses come from that somebody wrote of whom nothing is known, whoever passed them on. */
export const STRANGER = new URL("https://stranger.invalid/");

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
    check(url, from, transport) {
      const plain = url.protocol === "http:";
      if (!plain && url.protocol !== "https:") throw noWebAddress(url);
      const elsewhere = from !== undefined && !isLoopback(from.host);
      const astray = elsewhere && leadsHere(url.host);
      if (!plain && !astray) return;
      if (transport?.plainHttp === true) return;
      const mustBeListed = elsewhere || from?.protocol === "https:";
      // URL drops the port that its scheme has, but the operator may have listed it
      const names = [url.host, `${url.hostname}:${url.port || (plain ? "80" : "443")}`];
      if (names.some(mustBeListed ? isListed : allowsPlainHttp)) return;
      throw plain ? inPlainHttp(url) : ledHere(url);
    },
  };
}

function noWebAddress(url: URL): AppError {
  return new AppError("registry-error", `Cannot fetch from ${url.protocol} addresses: a registry led to one`, {
    hint: "registries are spoken to in https and http only; ask who runs this one",
  });
}

function inPlainHttp(url: URL): AppError {
  return new AppError("registry-insecure", `Cannot fetch ${redactUrl(url)}: it would be plain http`, {
    hint: `use https, or list ${url.host} among the insecure registries`,
    details: { url: redactUrl(url) },
  });
}

function ledHere(url: URL): AppError {
  const message = `Cannot fetch ${redactUrl(url)}: it is this machine itself, and somebody elsewhere led to it`;
  return new AppError("registry-insecure", message, {
    hint: `if that is meant to be, list ${url.host} among the insecure registries`,
    details: { url: redactUrl(url) },
  });
}
