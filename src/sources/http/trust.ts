/**
 * Whom TLS trusts, and what it shows of itself. Trusted are the system's authorities (on Linux SSL_CERT_FILE and
 * SSL_CERT_DIR where they are set, else /etc/ssl), those that come with Node (and NODE_EXTRA_CA_CERTS), and those that are
 * configured for the host: a machine without a certificate store still reaches public registries, and a company's own
 * authority needs to be installed once only.
 *
 * A context is made once, not for each connection: hundreds of certificates take tens of milliseconds to parse.
 */
import { X509Certificate } from "node:crypto";
import { createSecureContext, getCACertificates, type SecureContext } from "node:tls";
import { AppError } from "../../errors.ts";
import type { HostTransport } from "./host-transport.ts";

export interface Trust {
  /** For a proxy that is spoken to in TLS: nothing configured for a host concerns it. */
  forProxies(): SecureContext;
  /**
   * With the client certificate at index `identity`, if there is one. Throws AppError `config-invalid` for certificates and
   * keys that cannot be used.
   */
  forHost(transport: HostTransport, identity: number): SecureContext;
}

export function createTrust(): Trust {
  let authorities: readonly string[] | undefined;
  let plain: SecureContext | undefined;
  const everybody = (): readonly string[] => {
    authorities ??= [...new Set((["system", "bundled", "extra"] as const).flatMap((kind) => getCACertificates(kind)))];
    return authorities;
  };
  const forProxies = (): SecureContext => {
    plain ??= createSecureContext({ ca: [...everybody()] });
    return plain;
  };
  return {
    forProxies,
    forHost(transport, identity) {
      const own = transport.clientCertificates[identity];
      if (own === undefined && transport.ca.length === 0 && !transport.skipVerify) return forProxies();
      for (const pem of transport.ca) checkAuthority(pem, transport);
      // one pair, not all: OpenSSL keeps a single one for each type of key
      const pair = own === undefined ? {} : { cert: own.cert, key: own.key };
      const ca = transport.skipVerify ? {} : { ca: [...everybody(), ...transport.ca] };
      try {
        return createSecureContext({ ...ca, ...pair });
      } catch (error) {
        throw unusable("client certificate", reasonOf(error), transport, error);
      }
    },
  };
}

/** OpenSSL passes over what is no certificate; the failure would then be told much later, and as another. */
function checkAuthority(pem: string, transport: HostTransport): void {
  try {
    new X509Certificate(pem);
  } catch (error) {
    throw unusable("certificate authority", "it is not a PEM certificate", transport, error);
  }
}

function reasonOf(error: unknown): string {
  const code = (error as { code?: unknown }).code;
  if (code === "ERR_OSSL_X509_KEY_VALUES_MISMATCH") return "certificate and key do not belong together";
  if (code === "ERR_OSSL_PEM_NO_START_LINE") return "it is not a PEM certificate";
  if (code === "ERR_OSSL_BAD_DECRYPT" || code === "ERR_MISSING_PASSPHRASE") return "its key is encrypted";
  return `its key or certificate cannot be read (${String(code)})`;
}

function unusable(what: string, why: string, transport: HostTransport, cause: unknown): AppError {
  const files = transport.configuredBy.join(", ");
  return new AppError("config-invalid", `Cannot use the ${what} from ${files}: ${why}`, {
    hint: "certificates and keys are PEM, keys without a pass phrase",
    details: { files: transport.configuredBy },
    cause,
  });
}
