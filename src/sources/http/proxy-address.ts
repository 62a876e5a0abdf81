/** The address of a proxy as people write it, in the environment and in files of configuration. */

export interface ProxyServer {
  readonly kind: "http" | "socks5";
  /** Without credentials, for undici and for people: `http://proxy.example.com:3128`. */
  readonly address: string;
  /** From the URL, decoded. Never shown. */
  readonly credentials: { readonly username: string; readonly password: string } | undefined;
}

/**
 * `host:port` without a scheme is an http proxy, as everybody reads it. Throws what `refuse` makes of the reason, which
 * continues a sentence about the value (`is no URL`) and does not repeat it: there may be a password in it.
 */
export function parseProxyAddress(text: string, refuse: (why: string) => Error): ProxyServer {
  const url = URL.parse(/^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`);
  if (url === null || url.hostname === "") throw refuse("is no URL");
  const socks = ["socks:", "socks5:", "socks5h:"].includes(url.protocol);
  if (!socks && !["http:", "https:"].includes(url.protocol)) {
    throw refuse(
      `is of a scheme that is not supported (${url.protocol.slice(0, -1)}), only http, https and socks5 are`,
    );
  }
  const [username, password] = [decode(url.username), decode(url.password)];
  if (username === undefined || password === undefined) {
    throw refuse("has a user name or password that is not percent-encoded properly");
  }
  return {
    kind: socks ? "socks5" : "http",
    address: socks ? `socks5://${url.hostname}:${url.port || "1080"}` : url.origin,
    credentials: username === "" && password === "" ? undefined : { username, password },
  };
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
