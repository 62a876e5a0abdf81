/** Keys for a namespace or a repository, as containers-auth.json(5) has them, and names that only look alike. */
import { describe, expect, test } from "vitest";
import { createCredentials, createRequestCredentials } from "../../../../src/sources/registry/credentials.ts";

async function userFor(host: string, repository: string | undefined, keys: readonly string[]): Promise<string> {
  const auths = Object.fromEntries(keys.map((key) => [key, { username: key, password: "p" }]));
  const credentials = createCredentials({ dockerConfig: JSON.stringify({ auths }) });
  const credential = await credentials.find({ host, ...(repository !== undefined && { repository }) });
  return credential?.kind === "password" ? credential.username : "nobody";
}

describe("of several keys", () => {
  const KEYS = ["quay.io", "quay.io/team", "quay.io/team/app", "quay.io/team/app/part", "https://quay.io/v2/"];

  test.each([
    ["team/app", "quay.io/team/app"],
    ["team/app/part", "quay.io/team/app/part"],
    ["team/app/part/more", "quay.io/team/app/part"],
    ["team/application", "quay.io/team"],
    ["team/other", "quay.io/team"],
    ["team", "quay.io/team"],
    ["teamwork/app", "quay.io"],
    ["other/team/app", "quay.io"],
    [undefined, "quay.io"],
  ])("the closest is for %s", async (repository, key) => {
    expect(await userFor("quay.io", repository, KEYS)).toBe(key);
    expect(await userFor("quay.io", repository, KEYS.toReversed())).toBe(key);
  });

  test("the next one is taken when the closest has nothing in it", async () => {
    const auths = { "quay.io/team": {}, "quay.io": { username: "host", password: "p" } };
    const credentials = createCredentials({ dockerConfig: JSON.stringify({ auths }) });
    expect(await credentials.find({ host: "quay.io", repository: "team/app" })).toMatchObject({ username: "host" });
  });

  test("none is for the whole registry, and so for another namespace", async () => {
    expect(await userFor("quay.io", "other/app", ["quay.io/team"])).toBe("nobody");
    expect(await userFor("quay.io", undefined, ["quay.io/team"])).toBe("nobody");
  });

  test("none is for a namespace of a registry on another port", async () => {
    expect(await userFor("quay.io:5000", "team/app", ["quay.io/team", "quay.io"])).toBe("nobody");
  });

  test("Docker Hub's may have any of its names", async () => {
    expect(await userFor("registry-1.docker.io", "library/busybox", ["docker.io/library", "docker.io"])).toBe(
      "docker.io/library",
    );
    expect(await userFor("registry-1.docker.io", "team/app", ["docker.io/library", "docker.io"])).toBe("docker.io");
  });
});

describe("Docker Hub's credentials are not for", () => {
  const HUB = ["https://index.docker.io/v1/", "docker.io", "index.docker.io", "registry-1.docker.io"];

  test.each([
    "docker.io.example.com",
    "mydocker.io",
    "my-docker.io",
    "docker.io:5000",
    "registry-1.docker.io:8443",
    "evil.docker.io",
    "auth.docker.io",
    "docker.iо",
    "example.com",
  ])("%s", async (host) => {
    expect(await userFor(host, "docker.io/library/busybox", HUB)).toBe("nobody");
    const request = createRequestCredentials(JSON.stringify({ auths: { "docker.io": { auth: btoa("u:p") } } }));
    expect(await request.find({ host })).toBeUndefined();
  });
});
