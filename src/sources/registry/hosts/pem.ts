/**
 * PEM files: certificate authorities, and client certificates with their keys. They are checked here, where the file can
 * be named, and not when a handshake fails. Nothing of a private key is ever put into an error.
 */
import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { configInvalid, type Refuse } from "./config-document.ts";
import type { FileKind, Lookup } from "./file-cache.ts";

interface PemFile {
  readonly certificates: readonly string[];
  readonly privateKeys: readonly string[];
}

const MAX_PEM_BYTES = 1024 * 1024;
const CERTIFICATES = ["CERTIFICATE", "X509 CERTIFICATE"];

const PEM_FILE: FileKind<PemFile> = {
  name: "pem",
  maxBytes: MAX_PEM_BYTES,
  parse(bytes, path) {
    const blocks = pemBlocks(Buffer.from(bytes).toString("latin1"));
    const certificates = blocks.filter(({ label }) => CERTIFICATES.includes(label)).map(({ text }) => text);
    for (const [position, certificate] of certificates.entries()) {
      if (!isCertificate(certificate)) throw configInvalid(path, `its PEM certificate ${position + 1} is damaged`);
    }
    const privateKeys = blocks.filter(({ label }) => label.endsWith("PRIVATE KEY")).map(({ text }) => text);
    return { certificates, privateKeys };
  },
};

/** All certificates of a file, as PEM. Undefined when there is no such file. Throws AppError `config-invalid`. */
export async function readCertificates(lookup: Lookup, path: string): Promise<string | undefined> {
  const file = await lookup.read(path, PEM_FILE);
  if (file === undefined) return undefined;
  if (file.certificates.length === 0) {
    throw configInvalid(path, "there is no PEM certificate in it", "DER becomes PEM by openssl x509 -inform der");
  }
  return file.certificates.join("\n");
}

/**
 * A client certificate with the certificates that lead up to it, and its key; both may be in one file.
 * Throws AppError `config-invalid`, or what `refuse` makes of a missing file.
 */
export async function readClientCertificate(
  lookup: Lookup,
  paths: { readonly cert: string; readonly key: string },
  refuse: Refuse,
): Promise<{ readonly cert: string; readonly key: string }> {
  const cert = await readCertificates(lookup, paths.cert);
  if (cert === undefined) throw refuse(`names ${paths.cert}, which is not there`);
  const keyFile = await lookup.read(paths.key, PEM_FILE);
  if (keyFile === undefined) throw refuse(`names ${paths.key}, which is not there`);
  const [key] = keyFile.privateKeys;
  if (key === undefined) throw configInvalid(paths.key, "there is no PEM private key in it");
  if (!new X509Certificate(cert).checkPrivateKey(parsePrivateKey(key, paths.key))) {
    throw configInvalid(paths.key, `its private key is not that of the certificate in ${paths.cert}`);
  }
  return { cert, key };
}

/** OpenSSL's own words are left out: the file's name says more, and they may quote what they stumbled over. */
function parsePrivateKey(pem: string, path: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch {
    const encrypted = /^-----BEGIN ENCRYPTED |^Proc-Type: 4,ENCRYPTED/m.test(pem);
    throw encrypted
      ? configInvalid(path, "its private key is encrypted", "nobody is asked for a passphrase: store it decrypted")
      : configInvalid(path, "its private key is damaged");
  }
}

function isCertificate(pem: string): boolean {
  try {
    new X509Certificate(pem);
    return true;
  } catch {
    return false;
  }
}

/** In one pass: a file of nothing but BEGIN lines costs no more than any other. */
function pemBlocks(text: string): readonly { readonly label: string; readonly text: string }[] {
  const blocks: { readonly label: string; readonly text: string }[] = [];
  let open: { readonly label: string; readonly lines: string[] } | undefined;
  for (const line of text.split(/\r?\n/)) {
    const [, label] = /^-----BEGIN ([A-Z0-9 ]{1,40})-----\s*$/.exec(line) ?? [];
    if (label !== undefined) open = { label, lines: [] };
    open?.lines.push(line.trimEnd());
    if (open === undefined || line.trimEnd() !== `-----END ${open.label}-----`) continue;
    blocks.push({ label: open.label, text: open.lines.join("\n") });
    open = undefined;
  }
  return blocks;
}
