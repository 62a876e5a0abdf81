/** Pull policies, plans, digests and imports, as an agent's operator uses them, against the real registry. */
import { readdirSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type CliOptions, type ProvisionedRootfs, rootwright, rootwrightJson } from "../support/cli.ts";
import { startFaultServer, truncate } from "../support/fault-server.ts";
import { pushImage, registryObstacle, startRegistry, type TestRegistry } from "../support/registry.ts";
import { type BuiltImage, buildImage, writeDockerArchive } from "../support/tar-builder.ts";
import { openTempDir, type TempDir } from "../support/temp-dir.ts";

const OLD = buildImage([[{ name: "version", content: "old" }]], { config: { Cmd: ["/old"] } });
const NEW = buildImage([[{ name: "version", content: "new" }]], { config: { Cmd: ["/new"] } });
const obstacle = registryObstacle("htpasswd");

let temp: TempDir;
let store: string;
let things: AsyncDisposableStack;
beforeEach(async () => {
  temp = await openTempDir("policy");
  store = join(temp.path, "store");
  things = new AsyncDisposableStack();
});
afterEach(async () => {
  await things.disposeAsync();
  await temp[Symbol.asyncDispose]();
});

function cli(args: readonly string[], options: Partial<CliOptions> = {}): ReturnType<typeof rootwright> {
  return rootwright(args, { root: store, ...options });
}

async function versionOf(image: string, ...args: string[]): Promise<string> {
  const made = await rootwrightJson<ProvisionedRootfs>(
    ["provision", image, "--id", "one", "--backend", "copy", ...args],
    { root: store },
  );
  const version = await readFile(join(made.rootfs, "version"), "utf8");
  await cli(["destroy", "one"]);
  return version;
}

async function serve(image: BuiltImage): Promise<TestRegistry> {
  const registry = things.use(await startRegistry());
  await pushImage(registry, "team/app", image, "1");
  return registry;
}

describe.skipIf(obstacle !== undefined)(`a tag that moved${obstacle === undefined ? "" : ` (${obstacle})`}`, () => {
  test("is what it was for provision, and what it is under --pull-policy always", async () => {
    const registry = await serve(OLD);
    const image = `${registry.host}/team/app:1`;
    expect(await versionOf(image)).toBe("old");
    await pushImage(registry, "team/app", NEW, "1");
    expect(await versionOf(image)).toBe("old");
    expect(await versionOf(image, "--pull-policy", "always")).toBe("new");
    expect(await versionOf(image)).toBe("new");
  });

  test("is looked up again for a Mesos image that is not to be cached, and for force_pull_image", async () => {
    const registry = await serve(OLD);
    const docker = { name: `${registry.host}/team/app:1` };
    expect(await versionOf(JSON.stringify({ type: "DOCKER", docker }))).toBe("old");
    await pushImage(registry, "team/app", NEW, "1");
    expect(await versionOf(JSON.stringify({ type: "DOCKER", docker, cached: true }))).toBe("old");
    expect(await versionOf(JSON.stringify({ type: "DOCKER", docker, cached: false }))).toBe("new");
    await pushImage(registry, "team/app", OLD, "1");
    expect(await versionOf(docker.name, "--force_pull_image")).toBe("old");
  });

  test("is resolved to the digest that it has now", async () => {
    const registry = await serve(OLD);
    const image = `${registry.host}/team/app:1`;
    expect((await cli(["resolve", image])).stdout).toBe(`${registry.host}/team/app@${OLD.manifest.digest}\n`);
    await pushImage(registry, "team/app", NEW, "1");
    const bound = (await cli(["resolve", image])).stdout.trim();
    expect(bound).toBe(`${registry.host}/team/app@${NEW.manifest.digest}`);
    expect(await versionOf(bound)).toBe("new");
  });

  test("is asked for with one HEAD request when it has not moved", async () => {
    const server = things.use(await startFaultServer(OLD, { digests: true }));
    await cli(["pull", `${server.host}/team/app:1`]);
    const before = server.requests.length;
    const { stderr } = await cli(["pull", `${server.host}/team/app:1`, "--explain"]);
    expect(server.requests.slice(before).map(({ method, target }) => `${method} ${target}`)).toEqual(["HEAD manifest"]);
    expect(stderr).toContain("still is what is in the store");
  });

  test("needs no registry once it is pinned by digest and here, whatever the policy", async () => {
    const registry = await serve(OLD);
    const pinned = `${registry.host}/team/app@${OLD.manifest.digest}`;
    await cli(["pull", pinned]);
    await registry[Symbol.asyncDispose]();
    expect((await cli(["pull", pinned, "--pull-policy", "always"])).stdout).toBe(`${pinned}\n`);
    expect(await versionOf(pinned, "--pull-policy", "never")).toBe("old");
  });

  test("--pull-policy never asks nobody and says what to do", async () => {
    const registry = await serve(OLD);
    const image = `${registry.host}/team/app:1`;
    const refused = await cli(["pull", image, "--pull-policy", "never"], { exits: [3] });
    expect(refused.stderr).toContain("the pull policy is never");
    expect(refused.stderr).toContain("hint: ");
    await cli(["pull", image]);
    await registry[Symbol.asyncDispose]();
    expect(await versionOf(image, "--pull-policy", "offline")).toBe("old");
  });
});

describe.skipIf(obstacle !== undefined)(
  `a cached private image${obstacle === undefined ? "" : ` (${obstacle})`}`,
  () => {
    test("goes to whom the registry gives it, under always-verify, and to nobody else", async () => {
      const registry = things.use(await startRegistry({ auth: "htpasswd" }));
      await pushImage(registry, "private/app", OLD, "1");
      const image = `${registry.host}/private/app:1`;
      await cli(["pull", image, "--docker_config", registry.dockerConfig]);
      // another user of this machine, without credentials or with wrong ones
      expect(await versionOf(image, "--docker_config", "{}")).toBe("old");
      const verify = ["provision", image, "--id", "two", "--backend", "copy", "--pull-policy", "always-verify"];
      const stranger = await cli([...verify, "--docker_config", "{}"], { exits: [4] });
      expect(stranger.stderr).toMatch(/answered 401 to an anonymous request/);
      const wrong = JSON.stringify({ auths: { [registry.host]: { auth: btoa("tester:wrong-password") } } });
      const refused = await cli([...verify, "--explain", "--docker_config", wrong], { exits: [4] });
      expect(refused.stderr).not.toContain("wrong-password");
      expect((await rootwrightJson<unknown[]>(["ps"], { root: store })).length).toBe(0);
      await cli([...verify, "--docker_config", registry.dockerConfig]);
      await cli(["destroy", "two"]);
      // naming it by digest, or asking for it anew, is no way around the question
      const pinned = `${registry.host}/private/app@${OLD.manifest.digest}`;
      await cli(["pull", pinned, "--docker_config", registry.dockerConfig]);
      for (const asked of [
        [pinned, "--force_pull_image"],
        [JSON.stringify({ type: "DOCKER", cached: false, docker: { name: pinned } })],
        [image, "--force_pull_image"],
      ]) {
        const args = ["--id", "three", "--backend", "copy", "--pull-policy", "always-verify", "--docker_config", "{}"];
        await cli(["provision", ...asked, ...args], { exits: [4] });
      }
      for (const command of ["plan", "resolve"])
        await cli([command, image, "--pull-policy", "always-verify", "--docker_config", "{}"], { exits: [4] });
      const secret = { type: "VALUE", value: { data: btoa(registry.dockerConfig) } };
      const named = JSON.stringify({ type: "DOCKER", docker: { name: image, config: secret } });
      expect(await versionOf(named, "--pull-policy", "always-verify", "--docker_config", "{}")).toBe("old");
      await registry[Symbol.asyncDispose]();
      const unreachable = await cli([...verify, "--docker_config", registry.dockerConfig], { exits: [7] });
      expect(unreachable.stderr).toContain("Cannot reach");
    });
  },
);

interface PlanJson {
  readonly fetchBytes: number;
  readonly presentBytes: number;
  readonly images: readonly { readonly layers: readonly { readonly state: string; readonly source: string }[] }[];
  readonly disk: { readonly fits: boolean; readonly peakBytes: number; readonly freeBytes: number };
}

describe("plan", () => {
  const shared = [{ name: "base", content: "shared ".repeat(5000) }];
  const app = buildImage([shared, [{ name: "app", content: "app" }]], { config: {} });
  const other = buildImage([shared, [{ name: "other", content: "other" }]], { config: {} });

  test.skipIf(obstacle !== undefined)("counts what is here, what is shared and what is to be fetched", async () => {
    const registry = things.use(await startRegistry());
    await pushImage(registry, "app", app, "1");
    await pushImage(registry, "other", other, "1");
    const names = [`${registry.host}/app:1`, `${registry.host}/other:1`];
    const before = await rootwrightJson<PlanJson>(["plan", ...names], { root: store });
    const [base = 0, top = 0] = app.layers.map(({ size }) => size);
    const otherTop = other.layers[1]?.size ?? 0;
    expect(before).toMatchObject({ fetchBytes: base + top + otherTop, presentBytes: base, disk: { fits: true } });
    expect(before.images.map(({ layers }) => layers.map(({ state }) => state))).toEqual([
      ["remote", "remote"],
      ["shared", "remote"],
    ]);
    // planning brings nothing in
    expect(await rootwrightJson(["images"], { root: store })).toEqual([]);
    await cli(["pull", `${registry.host}/app:1`]);
    const after = await rootwrightJson<PlanJson>(["plan", ...names], { root: store });
    expect(after).toMatchObject({ fetchBytes: otherTop, presentBytes: base * 2 + top });
    expect((await cli(["plan", ...names])).stdout).toMatch(/^fetch {5}\S+ B, .* are here already$/m);
  });

  test("counts the bytes that a broken download left", async () => {
    const big = buildImage([{ tar: [{ name: "big", content: "x".repeat(3_000_000) }], compression: "none" }], {
      config: {},
    });
    const server = things.use(await startFaultServer(big, { faults: [truncate("layer", 2_000_000)], ranges: false }));
    await cli(["pull", `${server.host}/app:1`], { exits: [7] });
    const plan = await rootwrightJson<PlanJson>(["plan", `${server.host}/app:1`], { root: store });
    expect(plan.images[0]?.layers[0]).toMatchObject({ state: "partial", source: server.host });
    expect(plan.fetchBytes).toBeLessThan(big.layers[0]?.size ?? 0);
    expect(plan.presentBytes).toBeGreaterThan(0);
  });

  test("tells of the others where one of several cannot be planned", async () => {
    const server = things.use(await startFaultServer(OLD));
    const { stdout } = await cli(["plan", `${server.host}/app:1`, "docker-archive:/nowhere.tar"], { exits: [10] });
    expect(stdout).toContain(`${server.host}/app:1`);
    expect(stdout).toMatch(/^fits /m);
  });

  test("explains itself in JSON, too", async () => {
    const server = things.use(await startFaultServer(OLD));
    const { stderr } = await cli(["--json", "plan", `${server.host}/app:1`, "--explain"]);
    const events = stderr
      .trim()
      .split("\n")
      .map((line) => (JSON.parse(line) as { event: { type: string } }).event.type);
    expect(events).toEqual(expect.arrayContaining(["decision", "request", "resolved", "phase"]));
    await cli(["--quiet", "plan", `${server.host}/app:1`, "--explain"], { exits: [2] });
  });

  test("exits with 9 where the image does not fit", async () => {
    const manifest = JSON.parse(OLD.blobs.get(OLD.manifest.digest)?.toString() ?? "{}") as {
      layers: { size: number }[];
    };
    for (const layer of manifest.layers) layer.size = 2 ** 52;
    const image = buildImage([[{ name: "version", content: "old" }]], { config: { Cmd: ["/old"] } }, { manifest });
    const server = things.use(await startFaultServer(image));
    const refused = await cli(["plan", `${server.host}/huge:1`], { exits: [9] });
    expect(refused.stdout).toMatch(/^fits {6}no$/m);
    expect(refused.stderr).toMatch(/are needed, .* are free/);
    // and pulling does not even begin
    const pulled = await cli(["pull", `${server.host}/huge:1`], { exits: [9] });
    expect(pulled.stderr).toMatch(/its layers alone are [0-9]+ bytes/);
    expect(server.requests.filter(({ target }) => target === "layer")).toEqual([]);
  });
});

describe("import", () => {
  test("takes all images of a compressed archive from standard input, under their own names", async () => {
    const archive = join(temp.path, "saved.tar");
    await writeDockerArchive(archive, OLD, ["example.com/app:1", "example.com/app:stable"]);
    const imported = await cli(["import", "-"], { input: gzipSync(await readFile(archive)) });
    expect(
      imported.stdout
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => line.split("@")[0]),
    ).toEqual(["example.com/app:1", "example.com/app:stable"]);
    expect(await versionOf("example.com/app:stable", "--pull-policy", "never")).toBe("old");
    // the archive itself was only lying there while it was read
    expect(readdirSync(join(store, "ingest"))).toEqual([]);
  });

  test("gives an image the name that it is told", async () => {
    const archive = join(temp.path, "saved.tar");
    await writeDockerArchive(archive, OLD, []);
    const unnamed = await cli(["import", archive], { exits: [2] });
    expect(unnamed.stderr).toContain("--name");
    await cli(["import", archive, "--name", "mine", "--name", "mine:2"]);
    expect(await versionOf("mine:2", "--pull-policy", "never")).toBe("old");
  });

  test("says what is wrong with what is no archive, and takes in nothing", async () => {
    const path = join(temp.path, "text");
    await writeFile(path, "no archive at all".repeat(100));
    const refused = await cli(["import", path], { exits: [6] });
    expect(refused.stderr).toContain(path);
    expect(await rootwrightJson(["images"], { root: store })).toEqual([]);
  });
});
