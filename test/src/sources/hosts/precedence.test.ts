/** Which of several files decides, and what the dockerRegistry setting does to that. */
import { mkdir } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { parseDockerReference } from "../../../../src/image/docker-reference.ts";
import { createTransportSecurity } from "../../../../src/sources/http/transport-security.ts";
import { createHostTable } from "../../../../src/sources/registry/hosts/host-table.ts";
import type { HostTable } from "../../../../src/sources/registry/hosts/route.ts";
import { type HostTree, openHostTree } from "./host-tree.ts";

const mirror = (host: string): string => `[host."https://${host}"]\n`;
const entry = (prefix: string, host: string): string =>
  `[[registry]]\nprefix = "${prefix}"\n[[registry.mirror]]\nlocation = "${host}"\n`;

describe("who decides", () => {
  const files = {
    "hosts/_default/hosts.toml": mirror("default.example.com"),
    "registries.conf": entry("a.example.com", "conf.example.com"),
    "hosts/a.example.com/hosts.toml": mirror("exact.example.com"),
  };
  const first = async (given: Readonly<Record<string, string>>, reference = "a.example.com/app") => {
    await using tree = await openHostTree(given);
    const { stops } = await tree.route(reference);
    return { host: stops[0]?.endpoint.host, last: stops.at(-1)?.endpoint.host, count: stops.length };
  };

  test("a hosts.toml of the host before everything", async () => {
    expect(await first(files)).toEqual({ host: "exact.example.com", last: "a.example.com", count: 2 });
  });

  test("registries.conf before the default hosts.toml", async () => {
    const { "hosts/a.example.com/hosts.toml": _, ...others } = files;
    expect(await first(others)).toEqual({ host: "conf.example.com", last: "a.example.com", count: 2 });
  });

  test("the default hosts.toml for hosts that nothing else names", async () => {
    expect(await first(files, "b.example.com/app")).toEqual({
      host: "default.example.com",
      last: "b.example.com",
      count: 2,
    });
  });

  test("nobody, for a host that has a directory without hosts.toml beside _default", async () => {
    const given = { ...files, "hosts/b.example.com/notes.txt": "" };
    expect(await first(given, "b.example.com/app")).toMatchObject({ host: "b.example.com", count: 1 });
  });

  test("nobody where there are no files, and no file is said to have been read", async () => {
    await using tree = await openHostTree({});
    const route = await tree.route("busybox:1");
    expect(route).toMatchObject({ files: [], warnings: [] });
    expect(route.stops).toEqual([
      expect.objectContaining({
        role: "origin",
        repository: "library/busybox",
        headers: {},
        transport: expect.objectContaining({ key: "", configuredBy: [] }),
      }),
    ]);
  });

  test("is told, with all files that were read", async () => {
    await using tree = await openHostTree(files);
    const route = await tree.route("a.example.com/app");
    expect(route.files.map((path) => path.slice(tree.path.length + 1)).sort()).toEqual([
      "hosts/a.example.com/hosts.toml",
      "registries.conf",
    ]);
    expect(route.stops[0]?.configuredBy).toContain("hosts/a.example.com/hosts.toml");
  });
});

describe("a host without configuration", () => {
  test.each([
    ["busybox", "https://registry-1.docker.io/v2/"],
    ["localhost:5000/a", "http://localhost:5000/v2/"],
    ["127.0.0.1:443/a", "https://127.0.0.1/v2/"],
    ["lab.example.com:5000/a", "http://lab.example.com:5000/v2/"],
    ["quay.io/a", "https://quay.io/v2/"],
  ])("is asked as ever: %s at %s", async (reference, api) => {
    await using tree = await openHostTree({}, { insecureRegistries: ["lab.example.com:5000"] });
    expect((await tree.only(reference)).endpoint.api.href).toBe(api);
  });
});

describe("the docker registry setting", () => {
  const files = {
    "hosts/docker.io/hosts.toml": mirror("hub-mirror.example.com"),
    "hosts/own.example.com/hosts.toml": mirror("own-mirror.example.com"),
  };

  test("takes docker.io's place, and its mirrors' too", async () => {
    await using tree = await openHostTree(files, { dockerRegistry: "https://own.example.com/v2/hub" });
    expect(await tree.stops("busybox")).toEqual([
      "mirror https://own-mirror.example.com/v2/ hub/library/busybox",
      "origin https://own.example.com/v2/ hub/library/busybox",
    ]);
    expect((await tree.route("busybox")).stops[0]?.namespace).toBe("own.example.com");
  });

  test("keeps its path where the files of its host name it as their server", async () => {
    const server = { "hosts/own.example.com/hosts.toml": `server = "https://own.example.com"\nskip_verify = true` };
    await using tree = await openHostTree(server, { dockerRegistry: "https://own.example.com/api/hub" });
    expect(await tree.stops("busybox")).toEqual(["origin https://own.example.com/api/hub/v2/ library/busybox"]);
    expect((await tree.only("busybox")).transport.skipVerify).toBe(true);
  });

  test("leaves other hosts alone", async () => {
    await using tree = await openHostTree(files, { dockerRegistry: "https://own.example.com/v2/hub" });
    expect(await tree.stops("quay.io/a")).toEqual(["origin https://quay.io/v2/ a"]);
  });

  test("that is Docker Hub's own address changes nothing", async () => {
    await using tree = await openHostTree(files, { dockerRegistry: "https://registry-1.docker.io" });
    expect((await tree.stops("busybox"))[0]).toBe("mirror https://hub-mirror.example.com/v2/ library/busybox");
  });

  test("in plain http is refused, unless a file allows that", async () => {
    const options = { dockerRegistry: "http://own.example.com" };
    await using refusing = await openHostTree({}, options);
    expect(await refusing.refusal("busybox")).toMatchObject({ code: "registry-insecure" });
    const server = { "hosts/own.example.com/hosts.toml": `server = "http://own.example.com"` };
    await using allowing = await openHostTree(server, options);
    expect(await allowing.stops("busybox")).toEqual(["origin http://own.example.com/v2/ library/busybox"]);
  });

  test("is found by entries of registries.conf under its own host", async () => {
    const conf = { "registries.conf": entry("own.example.com/hub", "m.example.com/x") };
    await using tree = await openHostTree(conf, { dockerRegistry: "https://own.example.com/v2/hub" });
    expect(await tree.stops("busybox")).toEqual([
      "mirror https://m.example.com/v2/ x/library/busybox",
      "origin https://own.example.com/v2/ hub/library/busybox",
    ]);
  });
});

describe("transportFor", () => {
  test("tells what a host's own hosts.toml says of the host, and not what it says of others", async () => {
    await using tree = await openHostTree({
      "hosts/a.example.com/hosts.toml": `dial_timeout = "1s"`,
      "hosts/b.example.com/hosts.toml": `server = "https://other.example.com"\ndial_timeout = "1s"`,
      "hosts/_default/hosts.toml": `dial_timeout = "2s"`,
    });
    expect(await tree.table.transportFor("a.example.com")).toMatchObject({ connectTimeoutMs: 1000 });
    expect(await tree.table.transportFor("b.example.com")).not.toHaveProperty("connectTimeoutMs");
    expect(await tree.table.transportFor("c.example.com")).toMatchObject({ connectTimeoutMs: 2000 });
  });

  test("tells of registries.conf what is said of the whole host", async () => {
    await using tree = await openHostTree({
      "registries.conf": `
        [[registry]]
        prefix = "*.lab.example.com"
        insecure = true
        [[registry]]
        location = "part.example.com/team"
        insecure = true
      `,
    });
    const insecure = { skipVerify: true, plainHttp: true };
    expect(await tree.table.transportFor("auth.lab.example.com")).toMatchObject(insecure);
    expect(await tree.table.transportFor("part.example.com")).toMatchObject({ skipVerify: false, plainHttp: false });
  });

  test("knows nothing of hosts that no file names", async () => {
    await using tree = await openHostTree({});
    expect(await tree.table.transportFor("cdn.example.com")).toMatchObject({ key: "", configuredBy: [] });
  });
});

describe("a directory of hosts that somebody named", () => {
  const tableOf = ({ path, paths }: HostTree, name: string): HostTable => {
    const hostsDirs = [`${path}/hosts`, `${path}/${name}`];
    return createHostTable({ ...paths, hostsDirs, hostsDirsRequired: true, security: createTransportSecurity([]) });
  };
  const reference = parseDockerReference("a.com/x");
  const files = { "hosts/a.com/hosts.toml": mirror("m.com"), file: "" };

  test.each(["gone", "file"])("must be there (%s)", async (name) => {
    await using tree = await openHostTree(files);
    const table = tableOf(tree, name);
    const problem = {
      code: "config-invalid",
      message: expect.stringContaining(`${tree.path}/${name}`),
      hint: expect.stringContaining("hosts_dirs"),
    };
    await expect(table.routeFor(reference)).rejects.toMatchObject(problem);
    await expect(table.transportFor("cdn.com")).rejects.toMatchObject(problem);
  });

  test("may be empty, and may come later", async () => {
    await using tree = await openHostTree(files);
    const table = tableOf(tree, "later");
    await expect(table.routeFor(reference)).rejects.toThrow(/no such directory/);
    await mkdir(`${tree.path}/later`);
    expect((await table.routeFor(reference)).stops).toHaveLength(2);
  });
});
