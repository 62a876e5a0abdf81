/**
 * Plain http for content that is pinned by an image ID: whoever changes it on the way only makes the pull fail. It is the
 * address of an image that may be anywhere, though, so it never leads from elsewhere to this machine itself.
 */
import { leadsHere } from "../http/localhost.ts";
import { isLoopback, type TransportSecurity } from "../http/transport-security.ts";

export function trustingPins(security: TransportSecurity): TransportSecurity {
  return {
    ...security,
    check(url, from, transport) {
      const stillPlain = from === undefined || from.protocol === "http:";
      if (url.protocol === "http:" && stillPlain && !leadsHere(url.host)) return;
      security.check(url, asStranger(from), transport);
    },
  };
}

/** An address elsewhere as it counts for `check`: one that answered in plain http deserves no more trust than others. */
export function asStranger(from: URL | undefined): URL | undefined {
  return from === undefined || isLoopback(from.host) ? from : new URL(`https://${from.host}`);
}
