/** The usual places of host configuration, rootwright's own before those of containerd, Podman and Docker. */
import { join } from "node:path";
import type { RegistriesConfPaths } from "./registries-files.ts";

export interface HostPaths extends RegistriesConfPaths {
  /** Each has directories that are named after hosts, with a hosts.toml in them. The first that has the host counts. */
  readonly hostsDirs: readonly string[];
  /** Somebody has named these: all of them must be there. Default: false. */
  readonly hostsDirsRequired?: boolean;
  /** The same, with TLS files in them. */
  readonly certsDirs: readonly string[];
}

export interface Surroundings {
  readonly home: string;
  /** XDG_CONFIG_HOME; `<home>/.config` otherwise. */
  readonly xdgConfigHome?: string | undefined;
  /** CONTAINERS_REGISTRIES_CONF: takes the place of the main file, and of drop-in files. */
  readonly registriesConfVariable?: string | undefined;
  /** CONTAINERS_REGISTRIES_CONF_OVERRIDE: read after all others. */
  readonly overrideVariable?: string | undefined;
  readonly uid: number;
}

/** Variables that are empty are absent. */
export function defaultHostPaths(surroundings: Surroundings): HostPaths {
  const { home, xdgConfigHome, registriesConfVariable: named, overrideVariable: override, uid } = surroundings;
  const own = xdgConfigHome || join(home, ".config");
  const rootwright = "rootwright/certs.d";
  const hostsDirs = [
    ...(uid === 0 ? [] : [join(own, rootwright)]),
    join("/etc", rootwright),
    "/etc/containerd/certs.d",
  ];
  const containers = [own, "/etc", "/usr/share"].map((place) => join(place, "containers"));
  return {
    hostsDirs,
    certsDirs: [...hostsDirs, ...containers.map((place) => join(place, "certs.d")), "/etc/docker/certs.d"],
    registriesConf: named ? [named] : containers.map((place) => join(place, "registries.conf")),
    registriesConfRequired: Boolean(named),
    registriesConfDirs: named ? [] : dropInDirectories(join(own, "containers"), uid).toReversed(),
    ...(override && { registriesConfOverride: override }),
  };
}

/** Those of most weight first, as containers-registries.conf(5) lists them. */
function dropInDirectories(own: string, uid: number): readonly string[] {
  const rootless = [`registries.rootless.conf.d/${uid}`, "registries.rootless.conf.d"];
  const names = [...(uid === 0 ? ["registries.rootful.conf.d"] : rootless), "registries.conf.d"];
  const system = ["/etc/containers", "/usr/share/containers"].flatMap((place) =>
    names.map((name) => join(place, name)),
  );
  return [join(own, "registries.conf.d"), ...system];
}
