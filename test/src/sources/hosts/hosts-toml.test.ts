/** hosts.toml, as containerd's docs/hosts.md has it. */
import { mkdir, symlink } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { printed } from "../resolve-with.ts";
import { openHostTree } from "./host-tree.ts";

const HUB = "hosts/docker.io/hosts.toml";

describe("hosts.toml", () => {
  test("gives mirrors in the order of the file, then the server", async () => {
    await using tree = await openHostTree({
      [HUB]: `
        server = "https://upstream.example.com"
        [host."https://z.example.com"]
        [host."https://a.example.com".header]
        x-one = "1"
        [host."https://m.example.com:5000"]
      `,
    });
    expect(await tree.stops("busybox")).toEqual([
      "mirror https://z.example.com/v2/ library/busybox",
      "mirror https://a.example.com/v2/ library/busybox",
      "mirror https://m.example.com:5000/v2/ library/busybox",
      "origin https://upstream.example.com/v2/ library/busybox",
    ]);
  });

  test("leaves the registry itself last when it names no server", async () => {
    await using tree = await openHostTree({ [HUB]: `[host."https://m.example.com"]` });
    expect((await tree.stops("team/app")).at(-1)).toBe("origin https://registry-1.docker.io/v2/ team/app");
  });

  test.each([
    ["m.example.com", "https://m.example.com/v2/"],
    ["http://m.example.com", "http://m.example.com/v2/"],
    ["https://m.example.com/v2", "https://m.example.com/v2/"],
    ["https://m.example.com/v2/", "https://m.example.com/v2/"],
    ["https://m.example.com/us", "https://m.example.com/us/v2/"],
    ["https://docker.io", "https://registry-1.docker.io/v2/"],
    ["https://[fd00::1]:5000", "https://[fd00::1]:5000/v2/"],
  ])("finds the API of %s at %s", async (address, api) => {
    await using tree = await openHostTree({ [HUB]: `server = "${address}"` });
    expect((await tree.only("busybox")).endpoint.api.href).toBe(api);
  });

  test("takes the path as it is with override_path: a proxying project of a larger registry", async () => {
    await using tree = await openHostTree({
      [HUB]: `
        [host."https://harbor.example.com/v2/hub-proxy"]
        override_path = true
        [host."https://odd.example.com/api/docker/"]
        override_path = true
      `,
    });
    const { stops, warnings } = await tree.route("busybox");
    expect(stops.map(({ endpoint }) => [endpoint.api.href, endpoint.repositoryPrefix])).toEqual([
      ["https://harbor.example.com/v2/", "hub-proxy/"],
      ["https://odd.example.com/api/docker/", ""],
      ["https://registry-1.docker.io/v2/", ""],
    ]);
    expect(warnings).toEqual([]);
  });

  test("warns of a path behind /v2 without override_path", async () => {
    await using tree = await openHostTree({ [HUB]: `[host."https://harbor.example.com/v2/hub-proxy"]` });
    const { stops, warnings } = await tree.route("busybox");
    expect(stops[0]?.endpoint.api.pathname).toBe("/v2/hub-proxy/v2/");
    expect(warnings.join()).toContain("override_path");
  });

  test("says which registry a mirror stands for, and not to that registry itself", async () => {
    await using tree = await openHostTree({
      [HUB]: `server = "https://registry-1.docker.io"\n[host."https://m.example.com"]`,
      "hosts/quay.io/hosts.toml": `server = "https://quay.io"\n[host."https://m.example.com"]`,
      "hosts/only.example.com/hosts.toml": `server = "https://m.example.com"`,
    });
    const namespaces = async (reference: string) =>
      (await tree.route(reference)).stops.map(({ namespace }) => namespace);
    expect(await namespaces("busybox")).toEqual(["docker.io", undefined]);
    expect(await namespaces("quay.io/a/b")).toEqual(["quay.io", undefined]);
    expect(await namespaces("only.example.com/a")).toEqual(["only.example.com"]);
  });

  test("gives mirrors the capabilities that it lists, all where it lists none", async () => {
    await using tree = await openHostTree({
      [HUB]: `
        [host."https://content.example.com"]
        capabilities = ["pull"]
        [host."https://names.example.com"]
        capabilities = ["Resolve"]
        [host."https://upload.example.com"]
        capabilities = ["push"]
        [host."https://all.example.com"]
        capabilities = []
      `,
    });
    const { stops } = await tree.route("busybox");
    expect(stops.map((stop) => [stop.endpoint.host, stop.resolvesTags, stop.resolvesDigests])).toEqual([
      ["content.example.com", false, true],
      ["names.example.com", true, false],
      ["all.example.com", true, true],
      ["registry-1.docker.io", true, true],
    ]);
  });

  test("is refused where nobody would be left to say what a tag means", async () => {
    await using tree = await openHostTree({ [HUB]: `server = "https://m.example.com"\ncapabilities = ["pull"]` });
    expect(await tree.refusal("busybox")).toMatchObject({
      code: "config-invalid",
      message: expect.stringContaining("resolve"),
    });
    const pinned = `busybox@sha256:${"0".repeat(64)}`;
    expect((await tree.only(pinned)).resolvesTags).toBe(false);
  });

  test("gives the fields at its root to the server alone", async () => {
    await using tree = await openHostTree({
      [HUB]: `
        skip_verify = true
        dial_timeout = "1m2.5s"
        proxy = "http://proxy.example.com:3128"
        header = { X-Who = ["a", "b"], authorization = "Basic secret" }
        [host."https://m.example.com"]
        proxy = "socks5://proxy.example.com:1080"
      `,
    });
    const [mirror, server] = (await tree.route("busybox")).stops;
    expect(server?.headers).toEqual({ "x-who": "a, b", authorization: "Basic secret" });
    expect(server?.transport).toMatchObject({
      skipVerify: true,
      plainHttp: false,
      connectTimeoutMs: 62_500,
      proxy: "http://proxy.example.com:3128/",
    });
    expect(mirror?.headers).toEqual({});
    expect(mirror?.transport).toMatchObject({ skipVerify: false, proxy: "socks5://proxy.example.com:1080" });
    expect(mirror?.transport).not.toHaveProperty("connectTimeoutMs");
  });

  test("allows plain http to hosts that it names with http://, and to no others", async () => {
    await using tree = await openHostTree({ [HUB]: `[host."http://10.0.0.1:5000"]` });
    const { stops } = await tree.route("busybox");
    expect(stops.map(({ transport }) => transport.plainHttp)).toEqual([true, false]);
  });

  test("with keys that nobody knows is used, and they are told", async () => {
    await using tree = await openHostTree({
      [HUB]: `credential_domain = "x"\n[host."https://m.example.com"]\nskip_verfiy = true\n`,
    });
    const { stops, warnings } = await tree.route("busybox");
    expect(stops[0]?.transport.skipVerify).toBe(false);
    expect(warnings).toEqual([
      expect.stringMatching(/hosts\.toml: credential_domain is no known key/),
      expect.stringMatching(/host\."https:\/\/m\.example\.com"\.skip_verfiy is no known key/),
    ]);
  });

  test.each([
    ["is no TOML", "server = ", "hosts.toml"],
    ["has a server of the wrong type", "server = 1", "server must be a text"],
    ["has a server of another scheme", `server = "ftp://x"`, "server is no http:// or https:// address"],
    ["has a mirror with a query", `[host."https://m?x=1"]`, 'host."https://m?x=1" has a query'],
    ["has a mirror that is a number", `[host.1]`, "host.1 is no"],
    ["has an unknown capability", `capabilities = ["pul"]`, "capabilities has one"],
    ["has a bad type of ca", "ca = [1]", "ca must be a path or a list of paths"],
    ["has half a pair", `client = [["a"]]`, "client must be a path, a list of paths, or a list of pairs"],
    ["has a bad skip_verify", `[host.m]\nskip_verify = "yes"`, "host.m.skip_verify must be true or false"],
    ["has a bad duration", `dial_timeout = "5 seconds"`, "dial_timeout is no duration"],
    ["has a bad proxy", `proxy = "ftp://x"`, "proxy is no address of a proxy"],
    ["has a proxy with a path", `proxy = "http://x/y"`, "proxy has more in it"],
    ["has a header of no name", `[header]\n"a b" = "1"`, "header has a name"],
    ["has a header that HTTP needs", `[header]\nContent-Length = "1"`, "header.Content-Length cannot be set"],
    ["has a header that begins another", `[header]\na = "1\\r\\nb: 2"`, "header.a has a character"],
    ["names a CA that is not there", `ca = "missing.pem"`, "ca names"],
    ["names a client certificate that is not there", `client = "missing.pem"`, "client names"],
  ])("that %s is config-invalid, with file and key", async (_, content, message) => {
    await using tree = await openHostTree({ [HUB]: content });
    const error = await tree.refusal("busybox");
    expect(error).toMatchObject({ code: "config-invalid", message: expect.stringContaining(message) });
    expect(error.message).toContain(join(tree.path, HUB));
  });

  test.each([
    `server = "https://user:hunter2@m.example.com"`,
    `[host."https://user:hunter2@m.example.com"]`,
    `[host."https://user:hunter2@m.example.com"]\nca = 1`,
    `proxy = "http://user:hunter2@p.example.com/path"`,
    `header = { authorization = "hunter2\\u0000" }`,
    `header = { authorization = ["hunter2", 1] }`,
    `dial_timeout = "hunter2"`,
  ])("with a secret in the wrong place tells nobody: %s", async (content) => {
    await using tree = await openHostTree({ [HUB]: content });
    expect(printed(await tree.refusal("busybox"))).not.toContain("hunter2");
  });

  test("that is larger than it can be is not parsed", async () => {
    await using tree = await openHostTree({ [HUB]: `# ${"x".repeat(1024 * 1024)}` });
    expect((await tree.refusal("busybox")).message).toContain("larger than the limit");
  });

  test("that is a directory is config-invalid", async () => {
    await using tree = await openHostTree({});
    await mkdir(join(tree.path, HUB), { recursive: true });
    expect(await tree.refusal("busybox")).toMatchObject({ code: "config-invalid" });
  });
});

describe("the directory of a host", () => {
  const named = (host: string): string => `server = "https://${host}.example.com"`;

  test("with a port is looked for without its colon first", async () => {
    await using tree = await openHostTree({
      "hosts/r.example.com_5000_/hosts.toml": named("underscores"),
      "hosts/r.example.com:5000/hosts.toml": named("colon"),
      "hosts/s.example.com:5000/hosts.toml": named("colon"),
    });
    expect((await tree.only("r.example.com:5000/a")).endpoint.host).toBe("underscores.example.com");
    expect((await tree.only("s.example.com:5000/a")).endpoint.host).toBe("colon.example.com");
  });

  test("is that of the port that the reference has", async () => {
    await using tree = await openHostTree({ "hosts/r.example.com/hosts.toml": named("portless") });
    expect((await tree.only("r.example.com:5000/a")).endpoint.host).toBe("r.example.com:5000");
  });

  test("is found whatever the case of its letters", async () => {
    await using tree = await openHostTree({ "hosts/R.Example.COM/hosts.toml": named("other") });
    expect((await tree.only("r.example.com/a")).endpoint.host).toBe("other.example.com");
  });

  test("may be a link", async () => {
    await using tree = await openHostTree({ "elsewhere/hosts.toml": named("other"), "hosts/x/hosts.toml": "" });
    await symlink(join(tree.path, "elsewhere"), join(tree.path, "hosts/r.example.com"));
    expect((await tree.only("r.example.com/a")).endpoint.host).toBe("other.example.com");
  });

  test("in the first list of directories wins", async () => {
    await using tree = await openHostTree({
      "more-hosts/r.example.com/hosts.toml": named("second"),
      "more-hosts/s.example.com/hosts.toml": named("second"),
      "hosts/r.example.com/hosts.toml": named("first"),
    });
    expect((await tree.only("r.example.com/a")).endpoint.host).toBe("first.example.com");
    expect((await tree.only("s.example.com/a")).endpoint.host).toBe("second.example.com");
  });

  test.each(["..", ".", "_default", "../hosts/docker.io", "", "x/../docker.io"])(
    "is not left, nor the default taken for it, by the host %j",
    async (host) => {
      await using tree = await openHostTree({
        "hosts/hosts.toml": "skip_verify = true",
        "hosts/docker.io/hosts.toml": "skip_verify = true",
        "hosts.toml": "skip_verify = true",
        "certs/x": "",
      });
      expect((await tree.table.transportFor(host)).skipVerify).toBe(false);
    },
  );
});
