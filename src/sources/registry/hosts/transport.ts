/** From what configuration says of a host to its HostTransport. */
import { createHash } from "node:crypto";
import type { HostTransport } from "../../http/host-transport.ts";

export type TransportParts = Omit<HostTransport, "key">;

export const NOTHING_CONFIGURED: TransportParts = {
  ca: [],
  clientCertificates: [],
  skipVerify: false,
  plainHttp: false,
  configuredBy: [],
};

/**
 * Keyed by what it says, not by the files that say it: two hosts with one certificate share connections, and a file
 * that has been changed leads to new ones. The key of nothing is the empty text.
 */
export function createTransport(parts: TransportParts): HostTransport {
  const content = contentOf(parts);
  const key = content === contentOf(NOTHING_CONFIGURED) ? "" : createHash("sha256").update(content).digest("hex");
  return { key, ...parts };
}

function contentOf(parts: TransportParts): string {
  const { ca, clientCertificates, skipVerify, plainHttp, connectTimeoutMs = null, proxy = null } = parts;
  const pairs = clientCertificates.map(({ cert, key }) => [cert, key]);
  return JSON.stringify([ca, pairs, skipVerify, plainHttp, connectTimeoutMs, proxy]);
}
