/** A place in which credentials may be: something that holds a config.json, or a program that is asked. */
import { type AbsentConfig, createConfigFile } from "./config-file.ts";
import type { DockerConfig } from "./docker-config.ts";

export type Place = ConfigPlace | HelperPlace;

export interface ConfigPlace {
  readonly kind: "config";
  /** For people: a path or a variable's name. */
  readonly name: string;
  /** Throws AppError `credentials-invalid`. */
  read(): Promise<DockerConfig | AbsentConfig>;
}

/** A helper that is asked about every registry. */
export interface HelperPlace {
  readonly kind: "helper";
  readonly suffix: string;
}

/** A `required` file must be there. */
export function filePlace(path: string, required: boolean): ConfigPlace {
  const file = createConfigFile(path, required);
  return { kind: "config", name: path, read: () => file.read() };
}

/** What the configuration or a variable has as its value. Parsed when it is first read. */
export function textPlace(
  text: string,
  name: string,
  parse: (bytes: Uint8Array, source: string) => DockerConfig,
): ConfigPlace {
  let config: DockerConfig | undefined;
  return {
    kind: "config",
    name,
    async read() {
      config ??= parse(Buffer.from(text), name);
      return config;
    },
  };
}
