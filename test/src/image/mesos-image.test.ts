import { describe, expect, test } from "vitest";
import { parseNamedImage } from "../../../src/image/named-image.ts";
import { formatReference } from "../../../src/image/reference.ts";

const ID = `sha512-${"a".repeat(128)}`;

function parse(image: unknown) {
  return parseNamedImage(JSON.stringify(image), "/");
}

function refusal(image: unknown): { readonly code: unknown; readonly message: string } {
  try {
    parse(image);
  } catch (error) {
    return { code: (error as { code?: unknown }).code, message: (error as Error).message };
  }
  throw new Error("nothing was thrown");
}

describe("a Mesos image of type DOCKER", () => {
  test.each([
    ["library/redis", "docker.io/library/redis:latest"],
    ["docker:///redis:7", "docker.io/library/redis:7"],
    ["registry.example.com:5000/ns/img:tag", "registry.example.com:5000/ns/img:tag"],
  ])("names %s", (name, canonical) => {
    const named = parse({ type: "DOCKER", docker: { name } });
    expect(formatReference(named.reference)).toBe(canonical);
    expect(named).toMatchObject({ cached: true });
    expect(named.dockerConfig).toBeUndefined();
  });

  test("may ask for a fresh look", () => {
    expect(parse({ type: "DOCKER", docker: { name: "redis" }, cached: false }).cached).toBe(false);
  });

  test("brings its own credentials", () => {
    const config = '{"auths":{}}';
    const secret = { type: "VALUE", value: { data: Buffer.from(config).toString("base64") } };
    expect(parse({ type: "DOCKER", docker: { name: "redis", config: secret } }).dockerConfig).toBe(config);
  });

  test("cannot bring a secret that only the agent could look up", () => {
    const config = { type: "REFERENCE", reference: { name: "vault/secret" } };
    const { code, message } = refusal({ type: "DOCKER", docker: { name: "redis", config } });
    expect(code).toBe("credentials-invalid");
    expect(message).not.toContain("vault");
  });

  test("may have fields that nobody knows", () => {
    expect(parse({ type: "DOCKER", docker: { name: "redis", credential: { principal: "x" } }, more: 1 }).cached).toBe(
      true,
    );
  });
});

describe("a Mesos image of type APPC", () => {
  test("has a name, labels and an ID", () => {
    const labels = {
      labels: [
        { key: "version", value: "1.0.0" },
        { key: "os", value: "linux" },
      ],
    };
    const { reference } = parse({ type: "APPC", appc: { name: "example.com/x", id: ID, labels } });
    expect(formatReference(reference)).toBe(`appc:example.com/x:1.0.0,os=linux@${ID}`);
  });

  test("may be an ID alone, since its required name may be empty", () => {
    expect(formatReference(parse({ type: "APPC", appc: { name: "", id: ID } }).reference)).toBe(`appc:${ID}`);
  });
});

test.each([
  ["no type", { docker: { name: "redis" } }],
  ["an unknown type", { type: "TAR", docker: { name: "redis" } }],
  ["the message of the other type", { type: "APPC", docker: { name: "redis" } }],
  ["both messages", { type: "DOCKER", docker: { name: "redis" }, appc: { name: "x" } }],
  ["no name", { type: "DOCKER", docker: {} }],
  ["a name that does not parse", { type: "DOCKER", docker: { name: "UPPER" } }],
  ["an archive for a name", { type: "DOCKER", docker: { name: "docker-archive:/etc/shadow.tar" } }],
  ["a malformed ID", { type: "APPC", appc: { name: "x", id: "sha512-abc" } }],
  [
    "a label twice",
    {
      type: "APPC",
      appc: {
        name: "x",
        labels: {
          labels: [
            { key: "os", value: "a" },
            { key: "os", value: "b" },
          ],
        },
      },
    },
  ],
  ["a label that is none", { type: "APPC", appc: { name: "x", labels: { labels: [{ key: "../", value: "a" }] } } }],
])("a Mesos image with %s is refused", (_, image) => {
  expect(refusal(image).code).toBe("reference-invalid");
});

test.each([
  ["{redis", "it is not JSON"],
  [JSON.stringify({ type: "TAR", docker: { name: "redis" } }), 'type should be "DOCKER" or "APPC"'],
  [JSON.stringify({ type: "DOCKER", docker: {} }), "docker.name is missing"],
])("%s is refused in plain words, with an example", (text, words) => {
  expect(() => parseNamedImage(text, "/")).toThrow(
    expect.objectContaining({
      message: `Cannot use the Mesos image: ${words}`,
      hint: expect.stringContaining('{"type":"DOCKER"'),
    }),
  );
});
