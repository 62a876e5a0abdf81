import { describe, expect, test } from "vitest";
import { defaultHostPaths } from "../../../../src/sources/registry/hosts/default-paths.ts";

describe("defaultHostPaths", () => {
  test("are rootwright's own, then those of other programs", () => {
    expect(defaultHostPaths({ home: "/root", uid: 0 })).toEqual({
      hostsDirs: ["/etc/rootwright/certs.d", "/etc/containerd/certs.d"],
      certsDirs: [
        "/etc/rootwright/certs.d",
        "/etc/containerd/certs.d",
        "/root/.config/containers/certs.d",
        "/etc/containers/certs.d",
        "/usr/share/containers/certs.d",
        "/etc/docker/certs.d",
      ],
      registriesConf: [
        "/root/.config/containers/registries.conf",
        "/etc/containers/registries.conf",
        "/usr/share/containers/registries.conf",
      ],
      registriesConfRequired: false,
      registriesConfDirs: [
        "/usr/share/containers/registries.conf.d",
        "/usr/share/containers/registries.rootful.conf.d",
        "/etc/containers/registries.conf.d",
        "/etc/containers/registries.rootful.conf.d",
        "/root/.config/containers/registries.conf.d",
      ],
    });
  });

  test("begin with a user's own, and have what is said for users", () => {
    const paths = defaultHostPaths({ home: "/home/u", xdgConfigHome: "/cfg", uid: 1000 });
    expect(paths.hostsDirs[0]).toBe("/cfg/rootwright/certs.d");
    expect(paths.registriesConf[0]).toBe("/cfg/containers/registries.conf");
    expect(paths.registriesConfDirs.slice(-4)).toEqual([
      "/etc/containers/registries.conf.d",
      "/etc/containers/registries.rootless.conf.d",
      "/etc/containers/registries.rootless.conf.d/1000",
      "/cfg/containers/registries.conf.d",
    ]);
  });

  test("are one registries.conf and no others where a variable names it", () => {
    const variables = { registriesConfVariable: "/x.conf", overrideVariable: "/y.conf" };
    expect(defaultHostPaths({ home: "/root", uid: 0, ...variables })).toMatchObject({
      registriesConf: ["/x.conf"],
      registriesConfRequired: true,
      registriesConfDirs: [],
      registriesConfOverride: "/y.conf",
    });
  });

  test("take no notice of variables that are empty", () => {
    const empty = { xdgConfigHome: "", registriesConfVariable: "", overrideVariable: "" };
    expect(defaultHostPaths({ home: "/root", uid: 0, ...empty })).toEqual(defaultHostPaths({ home: "/root", uid: 0 }));
  });
});
