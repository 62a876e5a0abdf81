import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type ConfigInput, loadConfig } from "../../src/config.ts";
import { openTempDir } from "../support/temp-dir.ts";

const load = (input: Partial<ConfigInput> = {}): ReturnType<typeof loadConfig> =>
  loadConfig({ flags: {}, env: { HOME: "/home/somebody" }, uid: 1000, ...input });

describe("the configuration", () => {
  test("keeps root's store in /var/lib, and an ordinary user's with their data", () => {
    expect(load({ uid: 0 }).root).toBe("/var/lib/rootwright");
    expect(load().root).toBe("/home/somebody/.local/share/rootwright");
    expect(load({ env: { HOME: "/h", XDG_DATA_HOME: "/data" } }).root).toBe("/data/rootwright");
  });

  test("prefers flags to variables, variables to the file, the file to defaults, and says so", async () => {
    await using temp = await openTempDir("config");
    const configFile = join(temp.path, "config.toml");
    writeFileSync(configFile, 'root = "/from-file"\nbackend = "copy"\ninsecure_registries = ["a:5000"]\n');
    const config = load({
      configFile,
      env: { HOME: "/h", ROOTWRIGHT_ROOT: "/from-env", ROOTWRIGHT_BACKEND: "bind" },
      flags: { root: "/from-flag" },
    });
    expect(config).toMatchObject({
      root: "/from-flag",
      backend: "bind",
      insecureRegistries: ["a:5000"],
      durability: "relaxed",
    });
    expect(config.origins).toMatchObject({
      root: "flag --root",
      backend: "variable ROOTWRIGHT_BACKEND",
      insecureRegistries: `file ${configFile}`,
      durability: "default",
    });
  });

  test("finds an ordinary user's own file", async () => {
    await using temp = await openTempDir("config");
    mkdirSync(join(temp.path, "rootwright"));
    writeFileSync(join(temp.path, "rootwright/config.toml"), "jobs = 3");
    expect(load({ env: { HOME: "/h", XDG_CONFIG_HOME: temp.path } }).jobs).toBe(3);
  });

  test("reads lists and numbers from variables", () => {
    const config = load({ env: { HOME: "/h", ROOTWRIGHT_INSECURE_REGISTRIES: "a,b:5000", ROOTWRIGHT_JOBS: "2" } });
    expect([config.insecureRegistries, config.jobs]).toEqual([["a", "b:5000"], 2]);
  });

  test.each([
    ["90", 90_000],
    [90, 90_000],
    ["90s", 90_000],
    ["2mins", 120_000],
    ["2m", 120_000],
    ["1.5secs", 1500],
    ["1hrs", 3_600_000],
    ["1500ms", 1500],
  ])("reads the time %s", (text, milliseconds) => {
    expect(load({ flags: { stallTimeout: text } }).stallTimeoutMs).toBe(milliseconds);
  });

  test("takes the Mesos agent's words for types of images, and other tools' for policies", () => {
    const config = load({ flags: { imageProviders: "DOCKER,APPC", pullPolicy: "missing" } });
    expect(config).toMatchObject({ imageProviders: ["docker", "appc"], pullPolicy: "cached" });
    expect(load({ flags: { pullPolicy: "offline" } }).pullPolicy).toBe("never");
  });

  test("gathers several WebHDFS addresses of one name service", () => {
    const flags = { hdfsHttpAddresses: "ns=a:9870,nn:8020=b:50070,ns=c:9870" };
    expect(load({ flags }).hdfsHttpAddresses).toEqual({ ns: ["a:9870", "c:9870"], "nn:8020": ["b:50070"] });
  });

  test("reads proxies under both spellings, the lower-case one first", () => {
    const env = { HOME: "/h", https_proxy: "http://a", HTTPS_PROXY: "http://b", NO_PROXY: "c" };
    expect(load({ env }).environment.proxies).toEqual({ http: undefined, https: "http://a", all: undefined, no: "c" });
  });

  test("never shows what a secret setting holds", async () => {
    await using temp = await openTempDir("config");
    const configFile = join(temp.path, "config.toml");
    writeFileSync(configFile, 'docker_config = ["dGVzdGVyOnNlY3JldA=="]');
    const error = (() => {
      try {
        return load({ configFile });
      } catch (thrown) {
        return thrown as Error;
      }
    })();
    expect(JSON.stringify([(error as Error).message, error])).not.toContain("dGVzdGVy");
    expect((error as Error).message).toMatch(/Cannot use docker_config from file .*: it must be/);
  });

  test("takes credentials as a table, too", async () => {
    await using temp = await openTempDir("config");
    const configFile = join(temp.path, "config.toml");
    writeFileSync(configFile, '[docker_config.auths."r.example.com"]\nauth = "eDp5"\n');
    expect(load({ configFile }).dockerConfig).toBe('{"auths":{"r.example.com":{"auth":"eDp5"}}}');
  });

  test("takes a directory's name for the directory where it could be no host", async () => {
    await using temp = await openTempDir("config");
    for (const name of ["archives", "r.example.com", "localhost"]) mkdirSync(join(temp.path, name));
    const registry = (dockerRegistry: string) =>
      load({ flags: { dockerRegistry }, env: { HOME: "/h", npm_lifecycle_event: "x", INIT_CWD: temp.path } })
        .dockerRegistry;
    expect(registry("archives")).toBe(join(temp.path, "archives"));
    expect(registry("./archives")).toBe(join(temp.path, "archives"));
    for (const host of ["r.example.com", "localhost", "other", "https://archives"]) expect(registry(host)).toBe(host);
  });

  test("takes an empty variable for an absent one", () => {
    expect(load({ env: { HOME: "/h", ROOTWRIGHT_ROOT: "" } }).origins.root).toBe("default");
  });

  test.each([
    ["backend", { backend: "zfs" }, /Cannot use backend from flag --backend/],
    ["jobs", { jobs: "many" }, /jobs/],
    ["durability", { durability: "some" }, /durability/],
    ["time", { stallTimeout: "soon" }, /it must be a time such as/],
    ["time of nothing", { stallTimeout: "0" }, /fetcher_stall_timeout/],
    ["type of images", { imageProviders: "docker,rpm" }, /image_providers/],
    ["empty list of types", { imageProviders: "," }, /image_providers/],
    ["host", { insecureRegistries: "a:5000/path" }, /insecure_registries/],
    ["policy", { pullPolicy: "sometimes" }, /pull_policy/],
    ["WebHDFS address", { hdfsHttpAddresses: "nn" }, /hdfs_http_addresses/],
    ["switch", { foreignLayers: "perhaps" }, /foreign_layers/],
  ])("refuses a bad %s and names where it came from", (_key, flags, message) => {
    expect(() => load({ flags })).toThrow(message);
  });
});
