/** The table of places: for every kind of prefix, where a candidate would be, and whether it is there. */

import { AppError } from "../../errors.ts";
import { redactUrl } from "../http/redact-url.ts";
import { filePath, findFile } from "./file-place.ts";
import type { Candidate, Find } from "./found-aci.ts";
import { createHdfsPlace, type HdfsParts } from "./hdfs-place.ts";
import { findOverHttp, type HttpParts } from "./http-place.ts";
import type { AppcPrefix } from "./prefix.ts";
import { parseAppcPrefix } from "./prefix.ts";

export interface PlaceParts extends HttpParts, HdfsParts {
  /** See prefix.ts. */
  readonly prefix?: string;
}

export interface Places {
  readonly find: Find;
  /** For messages. */
  readonly describe: (candidate: Candidate) => Promise<string>;
  /** The host is part of the image's name, so that a manifest can send this machine anywhere. */
  readonly followsNames: boolean;
}

/** Throws AppError `config-invalid`. */
export function createPlaces(parts: PlaceParts): Places {
  const prefix = parseAppcPrefix(parts.prefix);
  const findInHdfs = createHdfsPlace(parts);
  return {
    followsNames: prefix.kind === "name",
    async find(candidate, search) {
      if (prefix.kind === "file") return await findFile(prefix.path, candidate);
      if (prefix.kind === "hdfs") return await findInHdfs(prefix, candidate, search);
      return await findOverHttp(parts, await urlAt(prefix, candidate, parts), search);
    },
    async describe(candidate) {
      if (prefix.kind === "file") return await filePath(prefix.path, candidate);
      if (prefix.kind === "hdfs") return `hdfs://${prefix.authority}${prefix.path}${candidate.path}`;
      return redactUrl(await urlAt(prefix, candidate, parts));
    },
  };
}

type WebPrefix = Extract<AppcPrefix, { readonly kind: "http" | "name" }>;

/** Where only names say the host: https, but where the host may be spoken to in plain http, as for registries. */
async function urlAt(prefix: WebPrefix, { encoded }: Candidate, parts: HttpParts): Promise<URL> {
  if (prefix.kind === "http") return new URL(`${prefix.base}${encoded}`);
  const named = /^[^/]+\/./.test(encoded) ? URL.parse(`https://${encoded}`) : null;
  if (named === null) {
    throw new AppError("image-unknown", `Cannot look for ${encoded}: its name does not begin with a host`, {
      hint: "say where ACIs are looked for (appc_simple_discovery_uri_prefix), or use a name such as example.com/app",
    });
  }
  const { host } = named;
  const plain = parts.security.allowsPlainHttp(host) || (await parts.transportFor(host)).plainHttp;
  return new URL(`${prefix.scheme ?? (plain ? "http" : "https")}://${encoded}`);
}
