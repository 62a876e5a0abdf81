/**
 * A certificate authority of our own, made by openssl, and what it signs: servers and clients for TLS tests.
 *
 *     await using authority = await openAuthority("a test authority");
 *     const server = await authority.issue("registry.test", { names: ["DNS:registry.test", "IP:127.0.0.1"] });
 */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { run } from "./peers.ts";
import { openTempDir } from "./temp-dir.ts";

/** PEM, as node:tls takes them. */
export interface Pair {
  readonly cert: string;
  readonly key: string;
}

/** The same as files that last as long as their authority. */
export interface IssuedPair extends Pair {
  readonly certFile: string;
  readonly keyFile: string;
}

export interface IssueOptions {
  /** subjectAltName, as openssl writes it. Default: IP:127.0.0.1. */
  readonly names?: readonly string[];
}

export interface Authority extends AsyncDisposable {
  /** PEM. */
  readonly ca: string;
  /** The same, as a file that lasts as long as the authority. */
  readonly caFile: string;
  issue(commonName: string, options?: IssueOptions): Promise<IssuedPair>;
}

export async function openAuthority(commonName: string): Promise<Authority> {
  const temp = await openTempDir("authority");
  const at = (name: string): string => join(temp.path, name);
  await makeKey(at("ca.key"));
  const extensions = ["-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign"];
  const subject = ["-subj", `/CN=${commonName}`, "-days", "2"];
  await run("openssl", ["req", "-x509", "-key", at("ca.key"), "-out", at("ca.crt"), ...subject, ...extensions]);
  let serial = 0;
  return {
    ca: await readFile(at("ca.crt"), "utf8"),
    caFile: at("ca.crt"),
    async issue(name, { names = ["IP:127.0.0.1"] } = {}) {
      serial += 1;
      const [key, request, cert, extra] = [
        at(`${serial}.key`),
        at(`${serial}.csr`),
        at(`${serial}.crt`),
        at(`${serial}.ext`),
      ];
      await makeKey(key);
      await writeFile(extra, `subjectAltName=${names.join(",")}\nextendedKeyUsage=serverAuth,clientAuth\n`);
      await run("openssl", ["req", "-new", "-key", key, "-subj", `/CN=${name}`, "-out", request]);
      const signer = ["-CA", at("ca.crt"), "-CAkey", at("ca.key"), "-set_serial", String(serial)];
      await run("openssl", ["x509", "-req", "-in", request, ...signer, "-days", "2", "-extfile", extra, "-out", cert]);
      const [certText, keyText] = [await readFile(cert, "utf8"), await readFile(key, "utf8")];
      return { cert: certText, key: keyText, certFile: cert, keyFile: key };
    },
    [Symbol.asyncDispose]: () => temp[Symbol.asyncDispose](),
  };
}

/** A certificate that is its own authority. */
export async function selfSigned(): Promise<Pair> {
  await using temp = await openTempDir("tls");
  const [key, cert] = [join(temp.path, "key"), join(temp.path, "cert")];
  await makeKey(key);
  const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"];
  await run("openssl", ["req", "-x509", "-key", key, "-out", cert, ...subject]);
  return { key: await readFile(key, "utf8"), cert: await readFile(cert, "utf8") };
}

/** Elliptic, because that takes a millisecond where RSA takes a second. */
async function makeKey(path: string): Promise<void> {
  await run("openssl", ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", path]);
}
