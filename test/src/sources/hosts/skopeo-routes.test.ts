/** The places that registries.conf leads to are those that skopeo asks, in its order. Nothing listens there. */
import { describe, expect, test } from "vitest";
import { missingPrograms, run } from "../../../support/peers.ts";
import { openHostTree } from "./host-tree.ts";

const CONF = `
[[registry]]
prefix = "127.0.0.1:9/a"
location = "127.0.0.1:1/b"
[[registry.mirror]]
location = "127.0.0.1:2/m"
insecure = true
[[registry.mirror]]
location = "127.0.0.1:3"
[[registry.mirror]]
location = "127.0.0.1:4/tags"
pull-from-mirror = "tag-only"

[[registry]]
prefix = "127.0.0.1:9/a/long"
location = "127.0.0.1:5"

[[registry]]
location = "127.0.0.1:9/by-digest"
mirror-by-digest-only = true
[[registry.mirror]]
location = "127.0.0.1:6/deep/er"

[[registry]]
prefix = "127.0.0.1:8"
location = "127.0.0.1:7/all"
insecure = true
`;
const HOME_CONF = "home/.config/containers/registries.conf";
const DIGEST = `sha256:${"0".repeat(64)}`;

describe.skipIf(missingPrograms("skopeo").length > 0)("registries.conf (needs skopeo)", () => {
  test.each([
    "127.0.0.1:9/a:1",
    "127.0.0.1:9/a/x/y:1",
    `127.0.0.1:9/a/x@${DIGEST}`,
    "127.0.0.1:9/ab:1",
    "127.0.0.1:9/a/long/x:1",
    "127.0.0.1:9/a/longer:1",
    `127.0.0.1:9/by-digest/x@${DIGEST}`,
    "127.0.0.1:8/x:1",
  ])("leads %s where skopeo goes", async (reference) => {
    await using tree = await openHostTree({ [HOME_CONF]: CONF, "registries.conf": CONF });
    const refused = reference === "127.0.0.1:9/a:1" ? await tree.refusal(reference) : undefined;
    const asked = await askedBySkopeo(reference, `${tree.path}/home`);
    if (refused !== undefined) {
      // the second mirror would be left without a repository
      expect(refused.code).toBe("config-invalid");
      expect(asked).toEqual([]);
      return;
    }
    const { stops } = await tree.route(reference);
    const version = reference.includes("@") ? `@${DIGEST}` : ":1";
    const places = stops.map(({ endpoint, repository }) => `${endpoint.host}/${repository}${version}`);
    expect([...new Set(places)]).toEqual(asked);
  });

  test("keeps tags to the registry itself where skopeo does", async () => {
    await using tree = await openHostTree({ [HOME_CONF]: CONF, "registries.conf": CONF });
    const { stops } = await tree.route("127.0.0.1:9/by-digest/x:1");
    const forTags = stops.filter((stop) => stop.resolvesTags).map(({ endpoint }) => endpoint.host);
    expect(forTags).toEqual(["127.0.0.1:9"]);
    expect(await askedBySkopeo("127.0.0.1:9/by-digest/x:1", `${tree.path}/home`)).toEqual([
      "127.0.0.1:9/by-digest/x:1",
    ]);
  });
});

async function askedBySkopeo(reference: string, home: string): Promise<readonly string[]> {
  const env = { HOME: home, XDG_CONFIG_HOME: undefined };
  const { stderr } = await run("skopeo", ["--debug", "inspect", `docker://${reference}`], { env, exits: [1] });
  return [...stderr.matchAll(/Trying to access \\"([^"\\]+)\\"/g)].map(([, place]) => place ?? "");
}
