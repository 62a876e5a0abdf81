/** Every kind of place from which images reach a machine, by the command line alone, against the real servers. */
import { existsSync } from "node:fs";
import { chmod, cp, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { buildAci, writeAci } from "../support/aci-builder.ts";
import { type Authority, openAuthority } from "../support/certificates.ts";
import { type CliOptions, type ProvisionedRootfs, rootwright, rootwrightJson } from "../support/cli.ts";
import { fail, startFaultServer } from "../support/fault-server.ts";
import { startFileServer } from "../support/file-server.ts";
import { missingPrograms, type RunResult, run, skopeoCopy } from "../support/peers.ts";
import { startProxyServer } from "../support/proxy-server.ts";
import { pushImage, registryObstacle, startRegistry, type TestRegistry } from "../support/registry.ts";
import { buildImage, writeDockerArchive, writeOciLayout } from "../support/tar-builder.ts";
import { openTempDir, type TempDir } from "../support/temp-dir.ts";
import { startWebHdfs } from "../support/webhdfs-server.ts";

const IMAGE = buildImage([[{ name: "hello", content: "from a layer" }]], { config: { Cmd: ["/hello"], Env: ["A=1"] } });
const obstacle = registryObstacle("token") ?? missingPrograms("skopeo", "openssl")[0];
const why = obstacle === undefined ? "" : ` (${obstacle})`;

let temp: TempDir;
let store: string;
let hosts: string;
let things: AsyncDisposableStack;
beforeEach(async () => {
  temp = await openTempDir("sources");
  store = join(temp.path, "store");
  hosts = join(temp.path, "hosts");
  await mkdir(hosts);
  things = new AsyncDisposableStack();
});
afterEach(async () => {
  await things.disposeAsync();
  await temp[Symbol.asyncDispose]();
});

/** With nothing of this machine's own configuration. */
function cli(args: readonly string[], options: Partial<CliOptions> = {}): Promise<RunResult> {
  const isolated = ["--hosts-dirs", hosts, "--registries-conf", "/dev/null", "--docker_config", "{}"];
  const given = isolated.filter((_, at) => !args.includes(isolated[at - (at % 2)] ?? ""));
  return rootwright([...args, ...given], { root: store, ...options });
}

async function fileOf(image: string, name: string, ...args: string[]): Promise<string> {
  const { stdout } = await cli(["--json", "provision", image, "--id", "one", "--backend", "copy", ...args]);
  const made = JSON.parse(stdout) as ProvisionedRootfs;
  const content = await readFile(join(made.rootfs, name), "utf8");
  await cli(["destroy", "one"]);
  return content;
}

async function hostsToml(host: string, text: string): Promise<string> {
  const directory = join(hosts, host);
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, "hosts.toml"), text);
  return directory;
}

async function layout(): Promise<string> {
  const path = join(temp.path, "layout");
  if (!existsSync(path)) await writeOciLayout(path, IMAGE, "1");
  return path;
}

describe.skipIf(obstacle !== undefined)(`a registry behind TLS${why}`, () => {
  let authority: Authority;
  let registry: TestRegistry;
  let certs: string;
  beforeEach(async () => {
    authority = things.use(await openAuthority("an authority of our own"));
    const [server, client] = [await authority.issue("registry"), await authority.issue("client")];
    const tls = { certificate: server.certFile, key: server.keyFile, clientCa: authority.caFile };
    registry = things.use(await startRegistry({ tls }));
    certs = join(temp.path, "certs");
    await mkdir(certs);
    await cp(authority.caFile, join(certs, "ca.crt"));
    await cp(client.certFile, join(certs, "client.cert"));
    await cp(client.keyFile, join(certs, "client.key"));
    await skopeoCopy(`oci:${await layout()}:1`, `docker://${registry.host}/app:1`, ["--dest-cert-dir", certs]);
  });

  test("is read with the authority and the client certificate of certs.d", async () => {
    await cp(certs, join(hosts, registry.host), { recursive: true });
    expect(await fileOf(`${registry.host}/app:1`, "hello")).toBe("from a layer");
  });

  test("is read as hosts.toml says, which --explain tells without telling the key", async () => {
    const files = await hostsToml(
      registry.host,
      `server = "https://${registry.host}"\nca = "ca.crt"\nclient = [["client.cert", "client.key"]]\n`,
    );
    for (const name of ["ca.crt", "client.cert", "client.key"]) await cp(join(certs, name), join(files, name));
    const { stderr } = await cli(["pull", `${registry.host}/app:1`, "--explain"]);
    expect(stderr).toContain(join(files, "hosts.toml"));
    expect(stderr).toMatch(/^transport: .*client certificate/m);
    expect(stderr).not.toContain("PRIVATE KEY");
  });

  test("is refused without the authority, with a hint where to put it", async () => {
    await hostsToml(registry.host, `server = "https://${registry.host}"\n`);
    const { stderr } = await cli(["pull", `${registry.host}/app:1`], { exits: [7] });
    expect(stderr).toContain("its certificate is signed by an unknown authority");
    expect(stderr).toMatch(/^hint: .*ca\.crt/m);
    expect(existsSync(join(store, "blobs/sha256")) && (await cli(["--json", "images"])).stdout).toBe("[]\n");
  });

  test("is refused without a client certificate, with a hint where to put it", async () => {
    const files = await hostsToml(registry.host, `server = "https://${registry.host}"\nca = "ca.crt"\n`);
    await cp(join(certs, "ca.crt"), join(files, "ca.crt"));
    const { stderr } = await cli(["pull", `${registry.host}/app:1`], { exits: [7] });
    expect(stderr).toMatch(/client certificate/);
  });

  test("is read through a proxy that sees no more than its name", async () => {
    const port = Number(registry.host.split(":")[1]);
    const proxy = things.use(await startProxyServer({ hosts: { [registry.host]: port } }));
    const files = await hostsToml(
      registry.host,
      `server = "https://${registry.host}"\nca = "ca.crt"\nclient = [["client.cert", "client.key"]]\nproxy = "http://user:proxy-secret@${proxy.host}"\n`,
    );
    for (const name of ["ca.crt", "client.cert", "client.key"]) await cp(join(certs, name), join(files, name));
    const { stderr } = await cli(["pull", `${registry.host}/app:1`, "--explain"]);
    expect(proxy.requests.length).toBeGreaterThan(0);
    expect(stderr).not.toContain("proxy-secret");
  });
});

describe.skipIf(obstacle !== undefined)(`mirrors${why}`, () => {
  test("a pull-through registry serves what its origin cannot any more", async () => {
    const origin = things.use(await startRegistry());
    await pushImage(origin, "team/app", IMAGE, "1");
    const mirror = things.use(await startRegistry({ proxyOf: origin.url }));
    await hostsToml(
      origin.host,
      `server = "${origin.url}"\n[host."${mirror.url}"]\ncapabilities = ["pull", "resolve"]\n`,
    );
    const { stderr } = await cli(["pull", `${origin.host}/team/app:1`, "--explain"]);
    expect(stderr).toMatch(new RegExp(`^mirror: .*${mirror.host}.*${origin.host}`, "m"));
    await origin[Symbol.asyncDispose]();
    const other = join(temp.path, "other-machine");
    const again = await cli(["pull", `${origin.host}/team/app:1`], { root: other });
    expect(again.stdout).toBe(`${origin.host}/team/app:1@${IMAGE.manifest.digest}\n`);
  });

  test.each([401, 403, 404, 500])("one that answers %i is passed over for the origin", async (status) => {
    const origin = things.use(await startRegistry());
    await pushImage(origin, "team/app", IMAGE, "1");
    const broken = things.use(await startFaultServer(undefined, { faults: [fail("any", status)] }));
    await writeFile(
      join(temp.path, "registries.conf"),
      `[[registry]]\nlocation = "${origin.host}"\n[[registry.mirror]]\nlocation = "${broken.host}"\n`,
    );
    const { stderr } = await cli([
      "pull",
      `${origin.host}/team/app:1`,
      "--explain",
      "--registries-conf",
      join(temp.path, "registries.conf"),
    ]);
    expect(broken.requests.length).toBeGreaterThan(0);
    expect(stderr).toContain(String(status));
  });

  test("one without credentials of its own gets none of the origin's", async () => {
    const origin = things.use(await startRegistry({ auth: "htpasswd" }));
    await pushImage(origin, "team/app", IMAGE, "1");
    const mirror = things.use(
      await startFaultServer(undefined, {
        faults: [fail("any", 401, { headers: { "www-authenticate": 'Basic realm="m"' } })],
      }),
    );
    await hostsToml(origin.host, `server = "${origin.url}"\n[host."${mirror.url}"]\n`);
    await cli(["pull", `${origin.host}/team/app:1`, "--docker_config", origin.dockerConfig]);
    expect(mirror.requests.length).toBeGreaterThan(0);
    expect(mirror.requests.filter(({ headers }) => headers.authorization !== undefined)).toEqual([]);
  });

  test("a registry that registries.conf blocks is not asked", async () => {
    const origin = things.use(await startFaultServer(IMAGE));
    const conf = join(temp.path, "registries.conf");
    await writeFile(conf, `[[registry]]\nlocation = "${origin.host}"\nblocked = true\n`);
    const { stderr } = await cli(["pull", `${origin.host}/app:1`, "--registries-conf", conf], { exits: [4] });
    expect(stderr).toContain(conf);
    expect(origin.requests).toEqual([]);
  });

  test("an alias of registries.conf is what a short name means, where that is wanted", async () => {
    const registry = things.use(await startRegistry());
    await pushImage(registry, "team/app", IMAGE, "1");
    const conf = join(temp.path, "registries.conf");
    await writeFile(conf, `[aliases]\n"greeter" = "${registry.host}/team/app"\n`);
    const files = ["--registries-conf", conf, "--short-names", "containers"];
    expect((await cli(["pull", "greeter:1", ...files])).stdout).toContain(`${registry.host}/team/app:1@`);
    expect((await cli(["inspect", "greeter:1", ...files])).stdout).toContain(IMAGE.manifest.digest);
  });
});

describe.skipIf(obstacle !== undefined)(`a registry with a token server${why}`, () => {
  test("gives a private image to whom it knows, and no output ever has the secret", async () => {
    const registry = things.use(await startRegistry({ auth: "token" }));
    await pushImage(registry, "team/app", IMAGE, "1");
    const image = `${registry.host}/team/app:1`;
    const denied = await cli(["pull", image], { exits: [4] });
    expect(denied.stderr).toMatch(/^hint: /m);
    const config = ["--docker_config", registry.dockerConfig];
    const { stdout, stderr } = await cli(["pull", image, "--explain", "--log-level", "debug", ...config]);
    for (const secret of [registry.password, btoa(`${registry.username}:${registry.password}`), "Bearer ey"])
      expect(stdout + stderr).not.toContain(secret);
    expect(stderr).toMatch(/^credentials/m);
  });

  test("takes what a credential helper says", async () => {
    const registry = things.use(await startRegistry({ auth: "token" }));
    await pushImage(registry, "team/app", IMAGE, "1");
    const bin = join(temp.path, "bin");
    await mkdir(bin);
    const answer = JSON.stringify({ ServerURL: registry.host, Username: registry.username, Secret: registry.password });
    await writeFile(join(bin, "docker-credential-e2e"), `#!/bin/sh\nread host\necho '${answer}'\n`);
    await chmod(join(bin, "docker-credential-e2e"), 0o755);
    const config = JSON.stringify({ credHelpers: { [registry.host]: "e2e" } });
    const env = { PATH: `${bin}:${process.env["PATH"] ?? ""}` };
    await cli(["pull", `${registry.host}/team/app:1`, "--docker_config", config], { env });
    const missing = await cli(["pull", `${registry.host}/team/other:1`, "--docker_config", config], { exits: [2] });
    expect(missing.stderr).toContain("docker-credential-e2e");
  });
});

describe("Appc images", () => {
  const base = buildAci({
    name: "example.com/base",
    labels: { version: "2", os: "linux", arch: "amd64" },
    rootfs: [
      { name: "base", content: "base" },
      { name: "both", content: "of the base" },
    ],
  });
  const app = buildAci({
    name: "example.com/app",
    labels: { version: "1.0.0", os: "linux", arch: "amd64" },
    rootfs: [{ name: "both", content: "of the app" }],
    manifest: {
      app: {
        exec: ["/both", "--now"],
        user: "0",
        group: "0",
        workingDirectory: "/tmp",
        environment: [{ name: "WHO", value: "appc" }],
        supplementaryGIDs: [7],
      },
      dependencies: [
        {
          imageName: "example.com/base",
          imageID: base.imageId,
          labels: [{ name: "version", value: "2" }],
          size: base.bytes.length,
        },
      ],
    },
  });
  const FILES = {
    "/example.com/app-1.0.0-linux-amd64.aci": app.bytes,
    "/example.com/base-2-linux-amd64.aci": base.bytes,
  };
  const NAME = "appc:example.com/app:1.0.0,os=linux,arch=amd64";

  test("come over http with their dependencies, and the top image says what runs", async () => {
    const server = things.use(await startFileServer(FILES));
    const prefix = ["--appc_simple_discovery_uri_prefix", `${server.url}/`];
    const { stdout } = await cli(["--json", "provision", NAME, "--id", "a", "--backend", "copy", ...prefix]);
    const made = JSON.parse(stdout) as ProvisionedRootfs & { readonly runtimeConfig: Record<string, unknown> };
    expect(await readFile(join(made.rootfs, "base"), "utf8")).toBe("base");
    expect(await readFile(join(made.rootfs, "both"), "utf8")).toBe("of the app");
    expect(existsSync(join(made.rootfs, "manifest"))).toBe(false);
    expect(made.runtimeConfig).toMatchObject({
      entrypoint: ["/both", "--now"],
      env: ["WHO=appc"],
      workingDir: "/tmp",
      user: "0:0",
      supplementaryGids: [7],
    });
    await cli(["destroy", "a"]);
    const asked = server.requests.length;
    // from here on the store knows it: by ID, by name alone, and by a Mesos message with some of its labels
    expect(await fileOf(`appc:${app.imageId}`, "both", "--pull-policy", "never")).toBe("of the app");
    expect(await fileOf("appc:example.com/app", "both", "--pull-policy", "never")).toBe("of the app");
    const labels = { labels: [{ key: "version", value: "1.0.0" }] };
    const message = JSON.stringify({ type: "APPC", appc: { name: "example.com/app", labels } });
    expect(await fileOf(message, "both", ...prefix)).toBe("of the app");
    const wrong = JSON.stringify({
      type: "APPC",
      appc: { name: "example.com/app", labels: { labels: [{ key: "version", value: "9" }] } },
    });
    await cli(["pull", wrong, "--pull-policy", "never"], { exits: [3] });
    expect(server.requests.length).toBe(asked);
    // looked up again, it is still the same: no ACI is fetched twice
    await cli(["pull", NAME, ...prefix]);
    expect(server.requests.slice(asked).filter(({ line }) => line.startsWith("GET"))).toEqual([]);
  });

  test("come from a directory under the seed's short name, and are read where they lie", async () => {
    const directory = join(temp.path, "acis");
    await writeAci(join(directory, "example.com/app-1.0.0.aci"), app);
    await writeAci(join(directory, "example.com/base-2.aci"), base);
    const prefix = ["--appc_simple_discovery_uri_prefix", `file://${directory}/`];
    const { stdout } = await cli(["pull", NAME, ...prefix]);
    expect(stdout.trim()).toBe(`appc:example.com/app:1.0.0,arch=amd64,os=linux@${app.imageId}`);
  });

  test("come from HDFS over WebHDFS", async () => {
    const files = Object.fromEntries(Object.entries(FILES).map(([path, bytes]) => [`/user/acis${path}`, { bytes }]));
    const cluster = things.use(await startWebHdfs(files));
    const { stdout } = await cli([
      "resolve",
      NAME,
      "--appc_simple_discovery_uri_prefix",
      "hdfs://cluster:9000/user/acis/",
      "--hdfs_http_addresses",
      `cluster:9000=${cluster.addresses[0]}`,
      "--hadoop_home",
      join(temp.path, "no-hadoop-here"),
    ]);
    expect(stdout).toContain(app.imageId);
  });

  test("come from HDFS through the hadoop client", async () => {
    const home = join(temp.path, "hadoop");
    await writeAci(join(home, "files/acis/example.com/app-1.0.0-linux-amd64.aci"), app);
    await writeAci(join(home, "files/acis/example.com/base-2-linux-amd64.aci"), base);
    await mkdir(join(home, "bin"));
    const script = [
      "#!/bin/sh",
      'for last; do :; done; file="$(dirname "$0")/../files/$(echo "$last" | cut -d/ -f4-)"',
      'case "$2" in',
      '-test) test -e "$file" ;;',
      '-stat) test -e "$file" || { echo "stat: No such file or directory" >&2; exit 1; }; echo "$(wc -c < "$file"),1700000000000,regular file" ;;',
      '-cat) cat "$file" ;;',
      "esac",
    ];
    await writeFile(join(home, "bin/hadoop"), `${script.join("\n")}\n`);
    await chmod(join(home, "bin/hadoop"), 0o755);
    const prefix = ["--appc_simple_discovery_uri_prefix", "hdfs://cluster:9000/acis/", "--hadoop_home", home];
    expect(await fileOf(NAME, "base", ...prefix)).toBe("base");
  });

  test("that are not what they are called are refused, and nothing of them stays", async () => {
    const liar = buildAci({ name: "example.com/liar", labels: { version: "1.0.0" } });
    const server = things.use(await startFileServer({ "/example.com/app-1.0.0-linux-amd64.aci": liar.bytes }));
    const prefix = ["--appc_simple_discovery_uri_prefix", `${server.url}/`];
    const { stderr } = await cli(["pull", NAME, ...prefix], { exits: [6] });
    expect(stderr).toContain("example.com/liar");
    expect((await cli(["--json", "images"])).stdout).toBe("[]\n");
  });

  test("can be imported, and planned", async () => {
    const file = join(temp.path, "base.aci");
    await writeAci(file, base);
    expect((await cli(["import", file])).stdout.trim()).toBe(
      `appc:example.com/base:2,arch=amd64,os=linux@${base.imageId}`,
    );
    const server = things.use(await startFileServer(FILES));
    const plan = await cli(["plan", NAME, "--appc_simple_discovery_uri_prefix", `${server.url}/`]);
    expect(plan.stdout).toContain("to be fetched");
  });

  test("are refused where the operator takes none", async () => {
    const { stderr } = await cli(["pull", NAME, "--image_providers", "docker"], { exits: [4] });
    expect(stderr).toMatch(/hint: add appc to image_providers/);
  });
});

test("layouts and archives of every kind are read", async () => {
  const directory = await layout();
  expect(await fileOf(`oci:${directory}:1`, "hello")).toBe("from a layer");
  expect(await fileOf(`oci:${directory}@${IMAGE.manifest.digest}`, "hello")).toBe("from a layer");
  await run("tar", ["-C", directory, "-czf", join(temp.path, "layout.tar.gz"), "."]);
  expect(await fileOf(`oci-archive:${join(temp.path, "layout.tar.gz")}:1`, "hello")).toBe("from a layer");
  const unknown = await cli(["pull", `oci:${directory}:nothing`], { exits: [3] });
  expect(unknown.stderr).toContain("1");
});

test("archives in HDFS are found by their names", async () => {
  const saved = join(temp.path, "saved.tar");
  await writeDockerArchive(saved, IMAGE, ["team/app:1"]);
  const bytes = await readFile(saved);
  const cluster = things.use(await startWebHdfs({ "/images/team/app_1.tar": { bytes } }));
  const flags = [
    "--docker_registry",
    "hdfs://cluster:8020/images",
    "--hdfs_http_addresses",
    `cluster=${cluster.addresses[0]}`,
  ];
  expect(await fileOf("team/app:1", "hello", ...flags)).toBe("from a layer");
  const missing = await cli(["pull", "team/app:2", ...flags], { exits: [3] });
  expect(missing.stderr).toContain("hdfs://cluster:8020/images/");
  expect(missing.stderr).toMatch(/^hint: /m);
});

test("a Mesos agent's flags are taken as they are", async () => {
  const server = things.use(await startFaultServer(IMAGE));
  const flags = [
    "--image_providers=DOCKER,APPC",
    `--docker_registry=${server.url}`,
    `--docker_store_dir=${join(temp.path, "mesos")}`,
    "--image_provisioner_backend=copy",
    "--fetcher_stall_timeout=2mins",
    "--appc_simple_discovery_uri_prefix=https://",
    `--hadoop_home=${temp.path}`,
  ];
  const { stdout } = await run(process.execPath, [
    join(import.meta.dirname, "../../src/main.ts"),
    "pull",
    "library/busybox",
    ...flags,
  ]);
  expect(stdout).toBe(`docker.io/library/busybox:latest@${IMAGE.manifest.digest}\n`);
  expect(await rootwrightJson<unknown[]>(["images"], { root: join(temp.path, "mesos") })).toHaveLength(1);
});
