/** HostTransport: how one host is reached and trusted, whatever is asked of it. Plain data, read from configuration files. */

export interface HostTransport {
  /** Requests whose transports have equal keys share connections. Derived from all the other members. */
  readonly key: string;
  /** Certificate authorities (PEM) that are trusted besides the system's. */
  readonly ca: readonly string[];
  /** PEM each. TLS presents the one that the server asks for. */
  readonly clientCertificates: readonly { readonly cert: string; readonly key: string }[];
  /** The server's certificate is not checked at all. */
  readonly skipVerify: boolean;
  /** Plain http may be spoken to this host, wherever it is. */
  readonly plainHttp: boolean;
  readonly connectTimeoutMs?: number;
  /** http://, https:// or socks5:// URL, instead of what the environment says. */
  readonly proxy?: string;
  /** Files that this was read from; empty when nothing is configured. */
  readonly configuredBy: readonly string[];
}

/** For hosts about which nothing is configured. */
export const PLAIN_TRANSPORT: HostTransport = {
  key: "",
  ca: [],
  clientCertificates: [],
  skipVerify: false,
  plainHttp: false,
  configuredBy: [],
};
