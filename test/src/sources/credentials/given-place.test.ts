/** The docker_config setting: a path, a file:// URL, JSON, or something that was to be one of these and is a secret. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, test } from "vitest";
import { checkDockerConfig } from "../../../../src/sources/registry/credentials.ts";
import { openTempDir } from "../../../support/temp-dir.ts";
import { errorOf, printed } from "../resolve-with.ts";

const CONFIG = JSON.stringify({ auths: { "a.io": { auth: btoa("user:hush-hush") } } });
const TOKEN = Buffer.from("user:hush-hush and what else there is to it").toString("base64");

describe("a docker_config that is neither JSON nor a file", () => {
  test.each([
    ["base64 of JSON", btoa(CONFIG), /decode|base64/],
    ["base64 of JSON with blanks", btoa(JSON.stringify(JSON.parse(CONFIG), undefined, 2)), /base64/],
    ["JSON in quotes", JSON.stringify(CONFIG), /config\.json/],
    ["JSON after something else", `x ${CONFIG}`, /config\.json/],
    ["several lines", "user\nhush-hush", /config\.json/],
    ["long base64", TOKEN.replaceAll("=", ""), /config\.json/],
    ["short base64", btoa("user:hush-hush!!"), /config\.json/],
  ])("is not shown when it is %s, made a path or not", async (_, given, hint) => {
    for (const dockerConfig of [given, `/srv/agent/${given}`]) {
      const error = await errorOf(checkDockerConfig({ dockerConfig }));
      expect(error).toMatchObject({
        code: "credentials-invalid",
        message: "Cannot read the docker_config setting: it is neither JSON nor a file that exists",
        hint: expect.stringMatching(hint),
      });
      expect(error.cause).toBeUndefined();
      expect(printed(error)).not.toContain(given.slice(0, 12));
    }
  });

  test.each([
    "/etc/rootwright/config.json",
    "config.json",
    "/home/eyal/docker/config",
    "/var/lib/mesos/0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0-S1/config",
  ])("is shown when it is a path (%s)", async (dockerConfig) => {
    const error = await errorOf(checkDockerConfig({ dockerConfig: `/nowhere/${dockerConfig}` }));
    expect(error.message).toBe(`Cannot read the credentials in /nowhere/${dockerConfig}: it does not exist`);
  });
});

test("a file of any name is read where it is there", async () => {
  await using temp = await openTempDir("given");
  const path = join(temp.path, `${"0123456789".repeat(5)}`, "{c}.json");
  await mkdir(join(path, ".."));
  await writeFile(path, CONFIG);
  await checkDockerConfig({ dockerConfig: path });
  await checkDockerConfig({ dockerConfig: pathToFileURL(path).href });
});

test("a URL that is none is an error, with an example", async () => {
  const error = await errorOf(checkDockerConfig({ dockerConfig: "file://host/x" }));
  expect(error).toMatchObject({ code: "credentials-invalid", hint: expect.stringContaining("file:///") });
});
