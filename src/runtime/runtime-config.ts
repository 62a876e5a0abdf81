/**
 * RuntimeConfig: what an image says about running it, in one form for every image format. Handed back by `provision`;
 * overrides and the OCI bundle are made from it.
 */
import type { ImageConfig } from "../image/image-config.ts";

export interface RuntimeConfig {
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  /** `NAME=value`, in the image's order; later ones win. */
  readonly env: readonly string[];
  readonly workingDir: string;
  /**
   * As the image writes it: empty, `user`, `uid`, `user:group`… Of an Appc image, either may be an absolute path, which
   * stands for the owner of that file (aci.md, "user").
   */
  readonly user: string;
  /** Absolute paths. */
  readonly volumes: readonly string[];
  /** `80/tcp` each. */
  readonly exposedPorts: readonly string[];
  readonly stopSignal: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** From a Docker or OCI image configuration; what is absent becomes empty, the working directory `/`. */
export function runtimeConfigOf({ config }: Pick<ImageConfig, "config">): RuntimeConfig {
  return {
    entrypoint: config.Entrypoint ?? [],
    cmd: config.Cmd ?? [],
    env: config.Env ?? [],
    workingDir: config.WorkingDir || "/",
    user: config.User ?? "",
    volumes: Object.keys(config.Volumes ?? {}),
    exposedPorts: Object.keys(config.ExposedPorts ?? {}),
    stopSignal: config.StopSignal ?? "",
    labels: config.Labels ?? {},
  };
}
