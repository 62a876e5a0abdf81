/**
 * What a registry has to say to its users beside an answer: `Warning: 299 - "text"` (distribution-spec, "Warnings"; RFC 7234,
 * 5.5). Other codes and agents are left by proxies on the way and are not for users.
 */
import { printable } from "../../image/remote-text.ts";
import type { HttpResponse } from "./http-client.ts";

/** distribution-spec: a registry MUST NOT send more. */
const MAX_WARNING_BYTES = 4096;

/** Of one pull: whoever says more has stopped to inform. */
export const MAX_WARNINGS = 10;

/** The texts, each once, fit to be shown on a terminal. What goes beyond the limits is cut off. */
export function registryWarnings(response: HttpResponse): string[] {
  const values = response.headers("warning").join(", ");
  const bounded = Buffer.from(values).subarray(0, MAX_WARNING_BYTES).toString("utf8");
  const texts: string[] = [];
  // other warnings are stepped over as a whole, so that nothing within their text is taken for one
  for (const [, code, agent, text = ""] of bounded.matchAll(/([0-9]{3}) (\S+) "((?:[^"\\]|\\.)*)"/g)) {
    if (code === "299" && agent === "-")
      texts.push(printable(text.replaceAll(/\\(.)/g, "$1").trim(), MAX_WARNING_BYTES));
  }
  return [...new Set(texts)].filter((text) => text !== "").slice(0, MAX_WARNINGS);
}
