/** registries.conf, as containers-registries.conf(5) has it. */
import { describe, expect, test } from "vitest";
import { createTransportSecurity } from "../../../../src/sources/http/transport-security.ts";
import { createHostTable } from "../../../../src/sources/registry/hosts/host-table.ts";
import { printed } from "../resolve-with.ts";
import { openHostTree } from "./host-tree.ts";

const DIGEST = `sha256:${"0".repeat(64)}`;
const conf = (content: string) => ({ "registries.conf": content });

describe("an entry of registries.conf", () => {
  test("puts its location, and those of its mirrors, in place of its prefix", async () => {
    await using tree = await openHostTree(
      conf(`
        [[registry]]
        prefix = "example.com/foo"
        location = "internal.example.com/bar"
        [[registry.mirror]]
        location = "one.example.com/mirror-of-foo/"
        [[registry.mirror]]
        location = "Two.example.com:5000"
      `),
    );
    expect(await tree.stops("example.com/foo/app:1")).toEqual([
      "mirror https://one.example.com/v2/ mirror-of-foo/app",
      "mirror https://two.example.com:5000/v2/ app",
      "origin https://internal.example.com/v2/ bar/app",
    ]);
  });

  test.each([
    ["example.com/foo", "example.com/foo", true],
    ["example.com/foo", "example.com/foo/a/b", true],
    ["example.com/foo", "example.com/foobar", false],
    ["example.com/foo/", "example.com/foo/a", true],
    ["example.com", "example.com/foo", true],
    ["Example.COM", "example.com/foo", true],
    ["example.com", "example.com:5000/foo", false],
    ["example.com:5000", "example.com:5000/foo", true],
    ["example.com/foo:1", "example.com/foo:1", true],
    ["example.com/foo:1", "example.com/foo:12", false],
    [`example.com/foo@${DIGEST}`, `example.com/foo@${DIGEST}`, true],
    ["*.example.com", "a.b.example.com/foo", true],
    ["*.example.com", "a.example.com:5000/foo", true],
    ["*.example.com", "example.com/foo", false],
    ["*.example.com", "aexample.com/foo", false],
    ["*.example.com", "a.example.com.evil.net/foo", false],
    ["docker.io/library", "busybox", true],
    ["docker.io/busybox", "busybox", false],
  ])("with the prefix %s is about %s: %s", async (prefix, reference, matches) => {
    await using tree = await openHostTree(conf(`[[registry]]\nprefix = "${prefix}"\nblocked = true`));
    if (!matches) expect(await tree.stops(reference)).toHaveLength(1);
    else expect(await tree.refusal(reference)).toMatchObject({ code: "registry-blocked" });
  });

  test("with the longest prefix is the only one that counts", async () => {
    await using tree = await openHostTree(
      conf(`
        [[registry]]
        prefix = "x.example.com"
        location = "host.example.net"
        [[registry]]
        prefix = "*.example.com"
        location = "wildcard.example.net"
        [[registry]]
        prefix = "x.example.com/a/b"
        location = "long.example.net"
        [[registry]]
        prefix = "x.example.com/a"
        location = "middle.example.net"
      `),
    );
    const host = async (reference: string) => (await tree.only(reference)).endpoint.host;
    expect(await host("x.example.com/a/b/c")).toBe("long.example.net");
    expect(await host("x.example.com/a/c")).toBe("middle.example.net");
    expect(await host("x.example.com/c")).toBe("host.example.net");
    expect(await host("long.example.com/c")).toBe("wildcard.example.net");
  });

  test("that blocks names its file and prefix", async () => {
    await using tree = await openHostTree(conf(`[[registry]]\nlocation = "example.com/foo"\nblocked = true`));
    const error = await tree.refusal("example.com/foo/app");
    expect(error).toMatchObject({ code: "registry-blocked", details: { prefix: "example.com/foo" } });
    expect(error.message).toContain(`${tree.path}/registries.conf`);
  });

  test("that blocks is not outdone by a hosts.toml, or by the docker registry setting", async () => {
    const files = {
      ...conf(`[[registry]]\nlocation = "docker.io"\nblocked = true`),
      "hosts/docker.io/hosts.toml": `[host."https://m.example.com"]`,
    };
    await using tree = await openHostTree(files, { dockerRegistry: "https://own.example.com" });
    expect(await tree.refusal("busybox")).toMatchObject({ code: "registry-blocked" });
  });

  test("that is insecure is tried over https without verification, then in plain http", async () => {
    await using tree = await openHostTree(
      conf(`
        [[registry]]
        location = "example.com:80"
        insecure = true
        [[registry.mirror]]
        location = "m.example.com"
        insecure = true
      `),
    );
    const { stops } = await tree.route("example.com:80/app");
    const told = stops.map((stop) => {
      return [stop.role, stop.endpoint.api.href, stop.transport.skipVerify, stop.transport.plainHttp];
    });
    expect(told).toEqual([
      ["mirror", "https://m.example.com/v2/", true, false],
      ["mirror", "http://m.example.com/v2/", false, true],
      ["origin", "https://example.com:80/v2/", true, false],
      ["origin", "http://example.com/v2/", false, true],
    ]);
  });

  test.each([
    ["mirror-by-digest-only = true", ""],
    ["", `pull-from-mirror = "digest-only"`],
  ])("keeps tags from its mirrors, and not content (%s%s)", async (own, ofMirror) => {
    await using tree = await openHostTree(
      conf(`
        [[registry]]
        location = "example.com"
        ${own}
        [[registry.mirror]]
        location = "m.example.com"
        ${ofMirror}
      `),
    );
    for (const reference of ["example.com/app:1", `example.com/app@${DIGEST}`]) {
      const { stops } = await tree.route(reference);
      expect(stops.map((stop) => [stop.role, stop.resolvesTags, stop.resolvesDigests])).toEqual([
        ["mirror", false, true],
        ["origin", true, true],
      ]);
    }
  });

  test("keeps references by digest from mirrors that are for tags only", async () => {
    await using tree = await openHostTree(
      conf(`
        [[registry]]
        location = "example.com"
        [[registry.mirror]]
        location = "m.example.com"
        pull-from-mirror = "tag-only"
      `),
    );
    const [mirror] = (await tree.route("example.com/app:1")).stops;
    expect(mirror).toMatchObject({ role: "mirror", resolvesTags: true, resolvesDigests: true });
    expect(await tree.stops(`example.com/app:1@${DIGEST}`)).toEqual(["origin https://example.com/v2/ app"]);
  });

  test("speaks to this machine in plain http, as ever", async () => {
    await using tree = await openHostTree(conf(`[[registry]]\nprefix = "example.com"\nlocation = "localhost:5000/x"`));
    expect(await tree.stops("example.com/app")).toEqual(["origin http://localhost:5000/v2/ x/app"]);
  });

  test("may lead to Docker Hub, which keeps what has no namespace in library/", async () => {
    await using tree = await openHostTree(conf(`[[registry]]\nprefix = "example.com"\nlocation = "docker.io"`));
    expect(await tree.stops("example.com/busybox")).toEqual([
      "origin https://registry-1.docker.io/v2/ library/busybox",
    ]);
  });

  test("may say through which proxy, and for which registry", async () => {
    await using tree = await openHostTree(
      conf(`
        [[registry]]
        location = "example.com"
        [[registry.mirror]]
        location = "m.example.com"
        proxy = "http://p.example.com:3128"
        namespace-proxy = "example.com"
      `),
    );
    const [mirror, origin] = (await tree.route("example.com/app")).stops;
    expect(mirror).toMatchObject({ namespace: "example.com", transport: { proxy: "http://p.example.com:3128/" } });
    expect(origin).not.toHaveProperty("namespace");
    expect(origin?.transport).not.toHaveProperty("proxy");
  });

  test("that leaves no repository is config-invalid", async () => {
    await using tree = await openHostTree(
      conf(`[[registry]]\nprefix = "example.com/foo"\nlocation = "other.example.com"`),
    );
    expect(await tree.stops("example.com/foo/app")).toEqual(["origin https://other.example.com/v2/ app"]);
    expect(await tree.refusal("example.com/foo")).toMatchObject({
      code: "config-invalid",
      message: expect.stringContaining("no repository"),
    });
  });

  test("with unknown keys is used, and they are told where it is", async () => {
    await using tree = await openHostTree(
      conf(`
        unqualified-search-registrys = []
        [[registry]]
        location = "example.com"
        insecrue = true
        [[registry]]
        location = "other.example.com"
        blokced = true
      `),
    );
    expect((await tree.route("example.com/app")).warnings).toEqual([
      expect.stringContaining("unqualified-search-registrys is no known key"),
      expect.stringContaining("registry[1].insecrue is no known key"),
    ]);
  });
});

describe("a registries.conf that cannot be understood", () => {
  test.each([
    ["of version 1", `[registries.search]\nregistries = ["example.com"]`, "registries is of version 1"],
    ["without prefix and location", "[[registry]]\nblocked = true", "registry[1] has neither"],
    ["with a scheme", `[[registry]]\nlocation = "https://example.com"`, "registry[1].location has a scheme"],
    ["with a star elsewhere", `[[registry]]\nprefix = "a.*.com"`, "registry[1].prefix is no host"],
    ["with a star and a path", `[[registry]]\nprefix = "*.example.com/a"`, "more than a host behind its *"],
    ["with a location of another tag", `[[registry]]\nprefix = "a.com/b:1"\nlocation = "c.com/d:2"`, "another tag"],
    [
      "with a mirror nowhere",
      `[[registry]]\nlocation = "a.com"\n[[registry.mirror]]\ninsecure = true`,
      "mirror[1].location",
    ],
    [
      "with a mirror of an unknown use",
      `[[registry]]\nlocation = "a.com"\n[[registry.mirror]]\nlocation = "b.com"\npull-from-mirror = "never"`,
      "mirror[1].pull-from-mirror must be",
    ],
    [
      "with two rules for mirrors",
      `[[registry]]\nlocation = "a.com"\nmirror-by-digest-only = true\n[[registry.mirror]]\nlocation = "b.com"\npull-from-mirror = "all"`,
      "one of them is too many",
    ],
    [
      "with a mirror's rule elsewhere",
      `[[registry]]\nlocation = "a.com"\npull-from-mirror = "all"`,
      "[[registry.mirror]]",
    ],
    ["with an odd mode", `short-name-mode = "sometimes"`, "short-name-mode must be"],
    ["with an odd search", `unqualified-search-registries = ["a.com/b"]`, "more than a host"],
    ["with a full name as alias", `[aliases]\n"a.com/b" = "c.com/d"`, 'aliases."a.com/b" is an alias for a name'],
    ["with a tag in an alias", `[aliases]\na = "c.com/d:1"`, "aliases.a has a tag"],
    ["with a short alias", `[aliases]\na = "b/c"`, "aliases.a must have a value"],
  ])("is config-invalid: %s", async (_, content, message) => {
    await using tree = await openHostTree(conf(content));
    const error = await tree.refusal("busybox");
    expect(error).toMatchObject({ code: "config-invalid", message: expect.stringContaining(message) });
    expect(error.message).toContain(`${tree.path}/registries.conf`);
  });

  test("does not tell what is in it", async () => {
    await using tree = await openHostTree(conf(`[[registry]]\nlocation = "https://user:hunter2@example.com"`));
    expect(printed(await tree.refusal("busybox"))).not.toContain("hunter2");
  });
});

describe("several files", () => {
  const moved = (prefix: string, location: string): string =>
    `[[registry]]\nprefix = "${prefix}"\nlocation = "${location}"\n`;

  test("are read in the order of their names, and entries with one prefix replaced", async () => {
    await using tree = await openHostTree({
      "registries.conf": moved("a.com", "main.net") + moved("b.com", "main.net") + moved("c.com", "main.net"),
      "other-registries.conf": moved("d.com", "never-read.net"),
      "high.d/20.conf": moved("b.com", "twenty.net"),
      "low.d/30.conf": moved("b.com", "thirty.net") + moved("c.com", "thirty.net"),
      "low.d/40.conf": moved("c.com", "hidden-by-its-name.net"),
      "high.d/40.conf": moved("e.com", "forty.net"),
      "high.d/50.toml": "this is no conf",
      "last.conf": moved("e.com", "last.net"),
    });
    const host = async (reference: string) => (await tree.only(reference)).endpoint.host;
    expect(await host("a.com/x")).toBe("main.net");
    expect(await host("b.com/x")).toBe("thirty.net");
    expect(await host("c.com/x")).toBe("thirty.net");
    expect(await host("d.com/x")).toBe("d.com");
    expect(await host("e.com/x")).toBe("last.net");
  });

  test("that somebody named must be there", async () => {
    await using tree = await openHostTree({ "last.conf": "" });
    const security = createTransportSecurity([]);
    for (const named of [
      { registriesConfOverride: `${tree.path}/gone.conf` },
      { registriesConf: [`${tree.path}/gone.conf`], registriesConfRequired: true },
    ]) {
      const table = createHostTable({ ...tree.paths, security, ...named });
      await expect(table.transportFor("a.com")).rejects.toMatchObject({
        message: expect.stringMatching(/gone\.conf: it is not there/),
        hint: expect.stringMatching(/flag.*variable.*setting/),
      });
    }
  });

  test("may be /dev/null", async () => {
    await using tree = await openHostTree({});
    const paths = { ...tree.paths, registriesConf: ["/dev/null"], registriesConfRequired: true };
    const table = createHostTable({ ...paths, security: createTransportSecurity([]) });
    expect(await table.transportFor("a.com")).toMatchObject({ key: "" });
  });
});
