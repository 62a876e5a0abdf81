/** A Stop before its transport is made: what the files of one kind say, still to be completed with TLS files. */
import { isSameRegistry } from "./host-address.ts";
import type { Stop } from "./route.ts";
import type { TransportParts } from "./transport.ts";

export type StopDraft = Omit<Stop, "transport"> & { readonly transport: TransportParts };

/** `?ns=` is for hosts that stand for another registry. */
export function namespaceFor(asked: string, host: string): { readonly namespace?: string } {
  return isSameRegistry(asked, host) ? {} : { namespace: host };
}
