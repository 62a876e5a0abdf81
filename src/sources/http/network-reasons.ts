/** The table of what goes wrong between here and a host: by the code of the error, in words. */

export interface Reason {
  /** Goes on after "Cannot reach URL:". */
  readonly why: string;
  /** Whether trying again may help. */
  readonly temporary: boolean;
  readonly hint?: string;
}

type Row = readonly [why: string, temporary: boolean, hint?: string];

const NAME_HINT = "check the host in the reference, and the machine's name resolution";
// HOST is replaced by host[:port]
const CA_HINT =
  "if you trust it, put the certificate of its authority (PEM) into certs.d/HOST/ca.crt, or into the system's certificate store";
const CLIENT_HINT =
  "put a client certificate that it accepts into certs.d/HOST/, as client.cert and client.key (PEM), or name it in hosts.toml";
const TLS_HINT = "check the address; a firewall or proxy on the way may also have answered instead of it";
const BROKEN_HINT = "if it happens again, look at the log of the registry, or of a proxy on the way";
const TLS_AFTER_ALL_HINT =
  "if it speaks TLS, put the certificate of its authority into certs.d/HOST/ca.crt, or write https:// where it is configured";
const PLAIN_HINT = "if it speaks plain http, list it among the insecure registries";

const UNKNOWN_AUTHORITY: Row = ["its certificate is signed by an unknown authority", false, CA_HINT];
const NO_TLS: Row = ["it does not speak TLS", false, PLAIN_HINT];
const NO_HTTP: Row = [
  "it does not speak http",
  false,
  "check the address and the port; if it speaks TLS, use https and do not list it among the insecure registries",
];
const CLIENT_CERTIFICATE: Row = ["it wants a client certificate, and got none that it accepts", false, CLIENT_HINT];
const HANDSHAKE: Row = [
  "it refused the TLS connection; perhaps it wants a client certificate",
  false,
  `if so, ${CLIENT_HINT}`,
];
const NO_COMMON_TLS: Row = ["it speaks no version or cipher of TLS that is safe today", false, TLS_HINT];

const ROWS: Readonly<Record<string, Row>> = {
  ECONNREFUSED: ["the connection was refused", true, "is the registry running, and is the port right?"],
  ECONNRESET: ["the connection was reset", true, BROKEN_HINT],
  EPIPE: ["the connection was closed", true],
  ETIMEDOUT: ["the connection timed out", true],
  EHOSTUNREACH: ["there is no route to the host", true],
  ENETUNREACH: ["the network is unreachable", true],
  EADDRNOTAVAIL: ["this machine has no address or port left for it", true],
  EMFILE: ["this process has too many files open", true, "raise its limit of open files (ulimit -n)"],
  ENOTFOUND: ["the host name is not known", false, NAME_HINT],
  EAI_AGAIN: ["the host name could not be looked up", true, "check the machine's name resolution"],
  UND_ERR_CONNECT_TIMEOUT: ["the connection timed out", true],
  UND_ERR_HEADERS_TIMEOUT: ["it did not answer in time", true],
  UND_ERR_SOCKET: ["the connection was closed in the middle", true, BROKEN_HINT],
  UND_ERR_DESTROYED: ["the connections were closed here", false],
  ABORT_ERR: ["the connections were closed here", false],
  UND_ERR_CLOSED: ["the connections were closed here", false],
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: ["it sent more or fewer bytes than it had promised", true],
  UND_ERR_HEADERS_OVERFLOW: [
    "its headers are too long",
    false,
    "check the address: registries do not answer so; a proxy on the way may add to them",
  ],
  DEPTH_ZERO_SELF_SIGNED_CERT: ["its certificate is self-signed", false, CA_HINT],
  SELF_SIGNED_CERT_IN_CHAIN: UNKNOWN_AUTHORITY,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNKNOWN_AUTHORITY,
  UNABLE_TO_GET_ISSUER_CERT: UNKNOWN_AUTHORITY,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNKNOWN_AUTHORITY,
  CERT_UNTRUSTED: UNKNOWN_AUTHORITY,
  CERT_HAS_EXPIRED: ["its certificate has expired", false, "renew it, or check this machine's clock"],
  CERT_NOT_YET_VALID: ["its certificate is not valid yet", false, "check this machine's clock"],
  ERR_TLS_CERT_ALTNAME_INVALID: [
    "its certificate is for another host",
    false,
    "use a name that the certificate has, or have one issued for this one (subjectAltName)",
  ],
  ERR_SSL_WRONG_VERSION_NUMBER: NO_TLS,
  ERR_SSL_PACKET_LENGTH_TOO_LONG: NO_TLS,
  ERR_SSL_HTTP_REQUEST: NO_TLS,
  HTTPParserError: NO_HTTP,
  BODY_GARBLED: ["its answer is garbled in the middle", true],
  ALERT_CERTIFICATE_REQUIRED: CLIENT_CERTIFICATE,
  ALERT_NO_CERTIFICATE: CLIENT_CERTIFICATE,
  ALERT_BAD_CERTIFICATE: CLIENT_CERTIFICATE,
  ALERT_UNSUPPORTED_CERTIFICATE: CLIENT_CERTIFICATE,
  ALERT_CERTIFICATE_UNKNOWN: CLIENT_CERTIFICATE,
  ALERT_CERTIFICATE_REVOKED: CLIENT_CERTIFICATE,
  ALERT_CERTIFICATE_EXPIRED: CLIENT_CERTIFICATE,
  ALERT_UNKNOWN_CA: CLIENT_CERTIFICATE,
  ALERT_ACCESS_DENIED: CLIENT_CERTIFICATE,
  ALERT_HANDSHAKE_FAILURE: HANDSHAKE,
  ALERT_PROTOCOL_VERSION: NO_COMMON_TLS,
  ALERT_INSUFFICIENT_SECURITY: NO_COMMON_TLS,
  ERR_SSL_UNSUPPORTED_PROTOCOL: NO_COMMON_TLS,
  ALERT_UNRECOGNIZED_NAME: ["it does not serve that host name", false, TLS_HINT],
};

/** Undefined for codes that nobody has met yet. */
export function reasonOf(code: string, url: URL): Reason | undefined {
  const row = rowOf(code);
  if (row === undefined) return undefined;
  const [why, temporary] = row;
  // some servers that expect TLS close the connection without a word
  const hint = row[2] === BROKEN_HINT && url.protocol === "http:" ? TLS_AFTER_ALL_HINT : row[2];
  return { why, temporary, ...(hint !== undefined && { hint: hint.replace("HOST", url.host) }) };
}

/** Whether a server said with this code that it wants another client certificate, or one at all. */
export function wantsOtherCertificate(code: unknown): boolean {
  const row = typeof code === "string" ? rowOf(code) : undefined;
  return row === CLIENT_CERTIFICATE || row === HANDSHAKE;
}

/** OpenSSL names an alert (RFC 8446, 6) after the version of TLS that brought it, and not always the same. */
function rowOf(code: string): Row | undefined {
  const name = code.replace(/^ERR_SSL_(?:SSL\/TLS|SSLV3|TLSV1|TLSV13)_(?:ALERT_)?/, "ALERT_");
  return Object.hasOwn(ROWS, name) ? ROWS[name] : undefined;
}
