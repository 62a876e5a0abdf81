/**
 * Which credentials a registry gets: this machine's own, from the places of credentials/places.ts, or those that came with a
 * request and are for nothing else.
 */
import { AppError } from "../../errors.ts";
import { helperProgram } from "./credentials/credential-helper.ts";
import { checkAuths, parseDockerConfig } from "./credentials/docker-config.ts";
import { givenPlace } from "./credentials/given-place.ts";
import type { Place } from "./credentials/place.ts";
import { type CredentialOptions, placesIn } from "./credentials/places.ts";
import { type Credentials, credentialsIn } from "./credentials/search.ts";

export type { CredentialOptions } from "./credentials/places.ts";
export type { Credentials, CredentialTarget } from "./credentials/search.ts";

/** The credentials of this machine: its files and helpers. */
export function createCredentials(options: CredentialOptions): Credentials {
  return credentialsIn(placesIn(options));
}

const REQUEST_SOURCE = "the request's docker config";

/**
 * The credentials that came with one request, the content of a config.json or .dockercfg. A request must not choose programs
 * that are run here, as root perhaps: with credential helpers in it, it is refused. Throws AppError `credentials-invalid`.
 */
export function createRequestCredentials(dockerConfigJson: string): Credentials {
  const config = parseDockerConfig(Buffer.from(dockerConfigJson), REQUEST_SOURCE);
  if (config.credsStore || Object.keys(config.credHelpers).length > 0) {
    throw new AppError("credentials-invalid", `Cannot use ${REQUEST_SOURCE}: it names credential helpers`, {
      hint: "leave credsStore and credHelpers out of it, and put the credentials themselves into auths",
    });
  }
  const place: Place = { kind: "config", name: REQUEST_SOURCE, read: async () => config };
  return credentialsIn(async () => [place]);
}

/**
 * Reads an explicit `dockerConfig` and decodes everything in it, so that a mistake is told when an agent starts, not when it
 * first pulls from a private registry. Helpers are not run. Throws AppError `credentials-invalid`.
 */
export async function checkDockerConfig(options: CredentialOptions): Promise<void> {
  if (options.dockerConfig === undefined) return;
  const config = await givenPlace(options.dockerConfig).read();
  if ("absent" in config) return;
  checkAuths(config);
  for (const suffix of Object.values(config.credHelpers)) helperProgram(suffix);
  if (config.credsStore) helperProgram(config.credsStore);
}
