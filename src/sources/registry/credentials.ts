/**
 * Which credentials a registry gets, and from where: `credHelpers` before `credsStore` before `auths`, as Docker decides,
 * and the configured file alone, or the variable's content before the user's own config.json.
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { AppError } from "../../errors.ts";
import { askCredentialHelper } from "./credential-helper.ts";
import {
  type Credential,
  type DockerConfig,
  findInAuths,
  helperFor,
  parseDockerConfig,
  readDockerConfig,
} from "./docker-config.ts";

export interface CredentialOptions {
  /** A path, a file:// URL or the JSON itself. When given, nothing else is looked at. */
  readonly dockerConfig?: string;
  /** The content of DOCKER_AUTH_CONFIG. */
  readonly dockerAuthConfig?: string;
  /** The directory that DOCKER_CONFIG names; `<home>/.docker` otherwise. */
  readonly dockerConfigDir?: string;
  readonly home?: string;
}

export interface Credentials {
  /** For `host[:port]`; undefined means anonymous. Throws AppError `credentials-invalid`. */
  find(host: string, signal?: AbortSignal): Promise<Credential | undefined>;
}

/** Files are read at the first question, once. */
export function createCredentials(options: CredentialOptions): Credentials {
  let configs: Promise<readonly DockerConfig[]> | undefined;
  return {
    async find(host, signal) {
      configs ??= readConfigs(options);
      for (const config of await configs) {
        const credential = await findIn(config, host, signal);
        if (credential !== undefined) return credential;
      }
      return undefined;
    },
  };
}

async function findIn(config: DockerConfig, host: string, signal?: AbortSignal): Promise<Credential | undefined> {
  const helper = helperFor(config, host);
  const kept = helper === undefined ? undefined : await askCredentialHelper(helper, host, signal);
  return kept ?? findInAuths(config, host);
}

async function readConfigs(options: CredentialOptions): Promise<readonly DockerConfig[]> {
  if (options.dockerConfig !== undefined) return [await readGiven(options.dockerConfig)];
  const directory = options.dockerConfigDir ?? (options.home === undefined ? undefined : join(options.home, ".docker"));
  const fromVariable = options.dockerAuthConfig ? parseVariable(options.dockerAuthConfig) : undefined;
  const fromFile = directory === undefined ? undefined : await readDockerConfig(join(directory, "config.json"), true);
  return [fromVariable, fromFile].filter((config) => config !== undefined);
}

async function readGiven(given: string): Promise<DockerConfig> {
  if (given.trimStart().startsWith("{")) return parseDockerConfig(Buffer.from(given), "the docker_config setting");
  let path = given;
  if (given.startsWith("file:")) {
    try {
      path = fileURLToPath(given);
    } catch {
      throw new AppError("credentials-invalid", "Cannot read the configured docker_config: it is no valid file:// URL");
    }
  }
  return (await readDockerConfig(path, false)) as DockerConfig;
}

/** Docker takes one object with `auths` and nothing beside it, so that a whole config.json is not pasted by mistake. */
function parseVariable(text: string): DockerConfig {
  const config = parseDockerConfig(Buffer.from(text), "DOCKER_AUTH_CONFIG");
  if (z.strictObject({ auths: z.unknown() }).safeParse(JSON.parse(text.replace(/^\uFEFF/, ""))).success) return config;
  throw new AppError("credentials-invalid", "Cannot use the credentials in DOCKER_AUTH_CONFIG: it has more than auths");
}
