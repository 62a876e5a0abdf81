/**
 * The places in which credentials may be, in the order in which they are looked into; the first that has some for the
 * registry is the last. What was said most deliberately comes first:
 *
 *     docker_config                            alone: when it is set, there is no other place
 *     DOCKER_AUTH_CONFIG                       the content itself
 *     credential-helpers of registries.conf    in their order; the files below stand in it as "containers-auth.json"
 *       $DOCKER_CONFIG/config.json             when that is set; then ~/.docker/config.json is not looked at
 *       $REGISTRY_AUTH_FILE                    when that is set, it must be there; then the next two are not looked at
 *       $XDG_RUNTIME_DIR/containers/auth.json  /run/containers/<uid>/auth.json without that variable
 *       $XDG_CONFIG_HOME/containers/auth.json  ~/.config without that variable
 *       ~/.docker/config.json
 *       ~/.dockercfg
 *
 * Sources: docker/cli, "Docker CLI configuration file"; containers-auth.json(5), containers-registries.conf(5). The two
 * differ in one point: podman reads auth.json before $DOCKER_CONFIG, which here comes first because somebody set it.
 */
import { join } from "node:path";
import { z } from "zod";
import { AppError } from "../../../errors.ts";
import { CONFIG_HINT, type DockerConfig, parseDockerConfig } from "./docker-config.ts";
import { givenPlace } from "./given-place.ts";
import { filePlace, type Place, textPlace } from "./place.ts";

/** All values come from the configuration; nothing here reads the environment. What is absent is not looked at. */
export interface CredentialOptions {
  /** A path, a file:// URL or the JSON itself. When given, nothing else is looked at. */
  readonly dockerConfig?: string;
  /** The content of DOCKER_AUTH_CONFIG. */
  readonly dockerAuthConfig?: string;
  /** The directory that DOCKER_CONFIG names. */
  readonly dockerConfigDir?: string;
  /** The path that REGISTRY_AUTH_FILE names. */
  readonly registryAuthFile?: string;
  /** XDG_RUNTIME_DIR */
  readonly xdgRuntimeDir?: string;
  /** XDG_CONFIG_HOME */
  readonly xdgConfigHome?: string;
  readonly home?: string;
  /** Of this process; for the place of auth.json when there is no XDG_RUNTIME_DIR, as for daemons and for root. */
  readonly uid?: number;
  /**
   * `credential-helpers` of registries.conf: suffixes of programs, and "containers-auth.json" for the files. A function is
   * asked each time, for what the files say now (see hosts/short-names.ts).
   */
  readonly credentialHelpers?: readonly string[] | (() => Promise<readonly string[] | undefined>);
}

const THE_FILES = "containers-auth.json";

/** What it returns lists them as they are to be looked into now. That throws what a function for the helpers throws. */
export function placesIn(options: CredentialOptions): () => Promise<readonly Place[]> {
  const { dockerConfig, dockerAuthConfig, credentialHelpers } = options;
  if (dockerConfig !== undefined) {
    let given: readonly Place[] | undefined;
    return async () => (given ??= [givenPlace(dockerConfig)]);
  }
  const variable = variablePlaces(dockerAuthConfig);
  const files = filePlaces(options);
  return async () => {
    const named = typeof credentialHelpers === "function" ? await credentialHelpers() : credentialHelpers;
    const helpers = named?.length ? named : [THE_FILES];
    return [...variable, ...helpers.flatMap((name) => (name === THE_FILES ? files : helperPlace(name)))];
  };
}

function variablePlaces(content: string | undefined): readonly Place[] {
  return content ? [textPlace(content, "DOCKER_AUTH_CONFIG", parseVariable)] : [];
}

function helperPlace(suffix: string): Place {
  return { kind: "helper", suffix };
}

function filePlaces(options: CredentialOptions): readonly Place[] {
  const { home, dockerConfigDir, registryAuthFile, uid } = options;
  const runtimeDir = options.xdgRuntimeDir ?? (uid === undefined ? undefined : "/run");
  const runtimeFolder = options.xdgRuntimeDir === undefined ? `containers/${uid}` : "containers";
  const configHome = options.xdgConfigHome ?? (home === undefined ? undefined : join(home, ".config"));
  const usual =
    registryAuthFile !== undefined
      ? [filePlace(registryAuthFile, true)]
      : [below(runtimeDir, runtimeFolder, "auth.json"), below(configHome, "containers", "auth.json")];
  return [
    below(dockerConfigDir, "config.json"),
    ...usual,
    dockerConfigDir === undefined ? below(home, ".docker", "config.json") : undefined,
    below(home, ".dockercfg"),
  ].filter((place) => place !== undefined);
}

function below(directory: string | undefined, ...names: readonly string[]): Place | undefined {
  return directory === undefined ? undefined : filePlace(join(directory, ...names), false);
}

/** Docker takes one object with `auths` and nothing beside it, so that a whole config.json is not pasted by mistake. */
function parseVariable(bytes: Uint8Array, source: string): DockerConfig {
  const config = parseDockerConfig(bytes, source);
  const document: unknown = JSON.parse(new TextDecoder().decode(bytes));
  if (z.strictObject({ auths: z.unknown() }).safeParse(document).success) return config;
  throw new AppError("credentials-invalid", `Cannot use the credentials in ${source}: it has more than auths`, {
    hint: CONFIG_HINT,
  });
}
