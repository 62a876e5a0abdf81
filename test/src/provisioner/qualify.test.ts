import { expect, test } from "vitest";
import { parseReference } from "../../../src/image/reference.ts";
import { createQualify } from "../../../src/provisioner/qualify.ts";

test.each([
  ["docker.io/library/busybox", "docker"],
  ["docker-archive:/a.tar", "docker"],
  ["oci:/layout", "docker"],
  ["oci-archive:/a.tar", "docker"],
  ["appc:a.com/x", "appc"],
] as const)("%s is of the type %s, and is refused where that is not taken", async (text, provider) => {
  const reference = parseReference(text);
  const other = provider === "docker" ? "appc" : "docker";
  expect(await createQualify({ imageProviders: [provider] })(reference)).toEqual([reference]);
  const refused = createQualify({ imageProviders: [other] })(reference);
  await expect(refused).rejects.toMatchObject({ code: "provider-disabled", details: { provider, taken: [other] } });
});

test("a short name means what it is told to mean, and nothing else is asked", async () => {
  const meant = [parseReference("a.example.com/x"), parseReference("b.example.com/x")];
  const qualify = createQualify({ imageProviders: ["docker", "appc"], shortNames: async () => meant });
  expect(await qualify(parseReference("x"))).toEqual(meant);
  const appc = parseReference("appc:a.com/x");
  expect(await qualify(appc)).toEqual([appc]);
});
