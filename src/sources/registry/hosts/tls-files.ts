/**
 * TLS files in a host's directory, in the layout of Docker's certs.d (containers-certs.d(5)): `*.crt` are certificate
 * authorities, `X.cert` and `X.key` a client certificate and its key.
 */
import { join } from "node:path";
import { configInvalid, type Refuse } from "./config-document.ts";
import type { Lookup } from "./file-cache.ts";
import { directoriesOf } from "./host-directories.ts";
import { readCertificates, readClientCertificate } from "./pem.ts";
import type { TransportParts } from "./transport.ts";

type TlsParts = Pick<TransportParts, "ca" | "clientCertificates" | "configuredBy">;

/** Fills in what `parts` leave open: authorities, a client certificate, or both. Throws AppError `config-invalid`. */
export async function completeTls(
  lookup: Lookup,
  certsDirs: readonly string[],
  host: string,
  parts: TransportParts,
): Promise<TransportParts> {
  if (parts.ca.length > 0 && parts.clientCertificates.length > 0) return parts;
  const found = await findTlsFiles(lookup, certsDirs, host);
  if (found === undefined) return parts;
  return {
    ...parts,
    ca: parts.ca.length > 0 ? parts.ca : found.ca,
    clientCertificates: parts.clientCertificates.length > 0 ? parts.clientCertificates : found.clientCertificates,
    configuredBy: [...new Set([...parts.configuredBy, ...found.configuredBy])],
  };
}

/** The first directory of the host that has such files in it is the only one that counts. */
async function findTlsFiles(lookup: Lookup, certsDirs: readonly string[], host: string): Promise<TlsParts | undefined> {
  const candidates = await Promise.all(certsDirs.map((directory) => directoriesOf(lookup, directory, host)));
  for (const directory of candidates.flat()) {
    const names = (await lookup.list(directory)).filter((entry) => !entry.isDirectory).map((entry) => entry.name);
    if (names.some((name) => /\.(?:crt|cert|key)$/.test(name))) return readTlsFiles(lookup, directory, names);
  }
  return undefined;
}

async function readTlsFiles(lookup: Lookup, directory: string, names: readonly string[]): Promise<TlsParts> {
  const ca: string[] = [];
  const configuredBy: string[] = [];
  for (const name of names.filter((each) => each.endsWith(".crt"))) {
    const path = join(directory, name);
    const certificates = await readCertificates(lookup, path);
    // distributions ship links to certificates of products that are not installed
    if (certificates === undefined) lookup.warnings.add(`${path} is passed over: it leads nowhere`);
    else ca.push(certificates);
    if (certificates !== undefined) configuredBy.push(path);
  }
  const clientCertificates: { readonly cert: string; readonly key: string }[] = [];
  for (const { cert, key } of clientPairs(directory, names)) {
    const refuse: Refuse = (why) => configInvalid(directory, `it ${why}`);
    clientCertificates.push(await readClientCertificate(lookup, { cert, key }, refuse));
    configuredBy.push(cert, key);
  }
  return { ca, clientCertificates, configuredBy };
}

/** Half a pair is an error, as it is for Docker: it is often an authority's certificate under the wrong name. */
function clientPairs(directory: string, names: readonly string[]): readonly { cert: string; key: string }[] {
  const stems = (suffix: string): string[] =>
    names.filter((name) => name.endsWith(suffix)).map((name) => name.slice(0, -suffix.length));
  const [certs, keys] = [stems(".cert"), stems(".key")];
  const lonelyCert = certs.find((stem) => !keys.includes(stem));
  if (lonelyCert !== undefined) {
    throw configInvalid(
      directory,
      `the client certificate ${lonelyCert}.cert has no key ${lonelyCert}.key beside it`,
      "the certificate of an authority is to be called *.crt",
    );
  }
  const lonelyKey = keys.find((stem) => !certs.includes(stem));
  if (lonelyKey !== undefined) {
    throw configInvalid(directory, `the key ${lonelyKey}.key has no client certificate ${lonelyKey}.cert beside it`);
  }
  return certs.map((stem) => ({ cert: join(directory, `${stem}.cert`), key: join(directory, `${stem}.key`) }));
}
