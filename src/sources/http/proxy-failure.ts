/** What goes wrong at a proxy, told apart from what goes wrong behind it. */
import { type Reason, reasonOf } from "./network-reasons.ts";
import type { ProxyServer } from "./proxy-address.ts";

/** Thrown by the connection to a proxy itself; `cause` says why. Its address is in the error that is made of it. */
export class ProxyFailure extends Error {
  constructor(cause: unknown) {
    super("the proxy cannot be reached", { cause });
    this.name = "ProxyFailure";
  }
}

const CREDENTIALS_HINT = "put them into the proxy's URL: http://USER:PASSWORD@HOST:PORT";

/** Undefined when the failure is none of a proxy's. `code` is the error's own, or that of its cause. */
export function proxyReason(error: unknown, code: string, proxy: ProxyServer | undefined): Reason | undefined {
  if (proxy === undefined) return undefined;
  const name = `the proxy ${proxy.address}`;
  if (error instanceof ProxyFailure) {
    const reason = reasonOf(code, new URL(proxy.address));
    const why = reason?.why ?? `the connection failed (${code})`;
    const hint = "check the proxy's address, or name the host in NO_PROXY if it can be reached without one";
    return { why: `${name} cannot be reached: ${why}`, temporary: reason?.temporary ?? true, hint };
  }
  const status = proxyStatus(error);
  if (status !== undefined) return statusReason(name, status);
  if (code === "UND_ERR_PRX_CONN") return { why: `${name} closed the connection`, temporary: true };
  if (code === "UND_ERR_PRX_TLS") return { why: `${name} has a certificate for another host`, temporary: false };
  if (code.startsWith("UND_ERR_SOCKS5")) return socksReason(name, code);
  return undefined;
}

/** Undici has the status that a proxy answered in the text only. */
function proxyStatus(error: unknown): number | undefined {
  const message = error instanceof Error ? error.message : "";
  const [, status] =
    /^Proxy response \(([0-9]{3})\)/.exec(message) ?? /^Proxy Authentication Required \((407)\)/.exec(message) ?? [];
  return status === undefined ? undefined : Number(status);
}

function statusReason(name: string, status: number): Reason {
  if (status === 407) {
    const why = `${name} asks for a user name and password (407), or refuses the ones that it got`;
    return { why, temporary: false, hint: CREDENTIALS_HINT };
  }
  if (status >= 500 || status === 429) return { why: `${name} could not connect to it (${status})`, temporary: true };
  return { why: `${name} refuses to connect to it (${status})`, temporary: false, hint: "ask whoever runs the proxy" };
}

/** RFC 1928, 6: the replies 3 to 6 are about the network behind the proxy. */
function socksReason(name: string, code: string): Reason {
  if (code.includes("_AUTH_")) {
    return {
      why: `${name} refuses the user name and password, or their lack`,
      temporary: false,
      hint: CREDENTIALS_HINT,
    };
  }
  const reply = /_REPLY_([0-9]+)$/.exec(code)?.[1];
  if (reply === "2") return { why: `${name} refuses to connect to it`, temporary: false };
  if (reply !== undefined) return { why: `${name} could not connect to it (reply ${reply})`, temporary: true };
  return { why: `${name} does not speak SOCKS 5 (${code})`, temporary: false };
}
