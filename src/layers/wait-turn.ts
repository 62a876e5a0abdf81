/**
 * Single flight across processes: while another process does the work, ask again, until it is done or its owner is
 * gone (the store recognises a dead owner and gives the claim to us).
 */
import { setTimeout as delay } from "node:timers/promises";

const FIRST_MS = 5;
const LONGEST_MS = 250;

export async function waitTurn<C extends { readonly state: string }>(
  ask: () => C,
  signal: AbortSignal,
  onWait?: () => void,
): Promise<Exclude<C, { readonly state: "busy" }>> {
  let pauseMs = FIRST_MS;
  for (;;) {
    signal.throwIfAborted();
    const claim = ask();
    if (claim.state !== "busy") return claim as Exclude<C, { readonly state: "busy" }>;
    if (pauseMs === FIRST_MS) onWait?.();
    await delay(pauseMs, undefined, { signal });
    pauseMs = Math.min(LONGEST_MS, pauseMs * 2);
  }
}
