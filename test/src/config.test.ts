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

  test("takes an empty variable for an absent one", () => {
    expect(load({ env: { HOME: "/h", ROOTWRIGHT_ROOT: "" } }).origins.root).toBe("default");
  });

  test.each([
    ["backend", { backend: "zfs" }, /Cannot use backend from flag --backend/],
    ["jobs", { jobs: "many" }, /jobs/],
    ["durability", { durability: "some" }, /durability/],
  ])("refuses a bad %s and names where it came from", (_key, flags, message) => {
    expect(() => load({ flags })).toThrow(message);
  });
});
