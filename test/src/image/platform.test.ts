/** Platforms: spellings, and which manifest of an index serves which machine. */
import { describe, expect, test } from "vitest";
import { type Descriptor, descriptorSchema } from "../../../src/image/descriptor.ts";
import { OCI_INDEX, OCI_MANIFEST } from "../../../src/image/media-types.ts";
import { describePick, pickPlatform } from "../../../src/image/pick-platform.ts";
import { formatPlatform, hostPlatform, parsePlatform } from "../../../src/image/platform.ts";

describe("parsePlatform", () => {
  test.each([
    ["linux/amd64", "linux/amd64"],
    ["linux/x86_64", "linux/amd64"],
    ["Linux/AMD64", "linux/amd64"],
    ["linux/amd64/v1", "linux/amd64"],
    ["linux/amd64/v3", "linux/amd64/v3"],
    ["linux/aarch64", "linux/arm64"],
    ["linux/arm64/v8", "linux/arm64"],
    ["linux/arm64/8", "linux/arm64"],
    ["linux/arm", "linux/arm/v7"],
    ["linux/arm/6", "linux/arm/v6"],
    ["linux/armhf", "linux/arm/v7"],
    ["linux/armel", "linux/arm/v6"],
    ["linux/i686", "linux/386"],
    ["linux/riscv64", "linux/riscv64"],
  ])("takes %s for %s", (text, name) => {
    expect(formatPlatform(parsePlatform(text))).toBe(name);
  });

  test.each(["", "linux", "linux/", "/amd64", "linux/arm/v7/x", "linux/a b"])("refuses %j", (text) => {
    expect(() => parsePlatform(text)).toThrow(expect.objectContaining({ code: "platform-invalid" }));
  });

  test("knows this machine", () => {
    expect(hostPlatform().os).toBe("linux");
    expect(parsePlatform(formatPlatform(hostPlatform()))).toEqual(hostPlatform());
  });
});

describe("pickPlatform", () => {
  test.each([
    ["linux/amd64", ["linux/arm64", "linux/amd64"], "linux/amd64"],
    ["linux/arm64", ["linux/amd64", "linux/arm64/v8"], "linux/arm64"],
    ["linux/arm/v7", ["linux/arm/v5", "linux/arm/v6", "linux/arm64"], "linux/arm/v6"],
    ["linux/arm/v7", ["linux/arm/v6", "linux/arm/v7"], "linux/arm/v7"],
    ["linux/amd64/v3", ["linux/amd64", "linux/amd64/v2", "linux/amd64/v4"], "linux/amd64/v2"],
    ["linux/amd64/v3", ["linux/amd64"], "linux/amd64"],
    ["linux/amd64/v3", ["linux/386", "linux/amd64"], "linux/amd64"],
    ["linux/amd64", ["linux/386"], "linux/386"],
    ["linux/arm64", ["linux/arm/v6", "linux/arm/v7"], "linux/arm/v7"],
    ["linux/arm64", ["linux/arm/v8", "linux/arm/v7"], "linux/arm/v8"],
    ["linux/arm64/v9.1", ["linux/arm64/v8.6", "linux/arm64/v9"], "linux/arm64/v9"],
    ["linux/arm64/v9.1", ["linux/arm64/v8.7", "linux/arm64/v8.6"], "linux/arm64/v8.6"],
    ["linux/arm64/v8.2", ["linux/arm64", "linux/arm64/v8.1"], "linux/arm64/v8.1"],
    ["linux/riscv64", ["linux/riscv64"], "linux/riscv64"],
  ])("for %s of %j is %s", (wanted, offered, picked) => {
    const platform = pickPlatform(offered.map(manifestFor), parsePlatform(wanted), "x").platform;
    expect(platform && formatPlatform(platform)).toBe(picked);
  });

  test.each([
    ["linux/amd64", ["linux/arm64", "windows/amd64"]],
    ["linux/amd64", ["linux/amd64/v2"]],
    ["linux/arm/v6", ["linux/arm/v7"]],
    ["linux/386", ["linux/amd64"]],
    ["linux/arm/v7", ["linux/arm64"]],
    ["linux/arm64", ["linux/arm64/v9"]],
  ])("for %s of %j is an error that lists them", (wanted, offered) => {
    const pick = (): unknown => pickPlatform(offered.map(manifestFor), parsePlatform(wanted), "x");
    expect(pick).toThrow(
      expect.objectContaining({ code: "platform-unknown", message: expect.stringContaining(offered.join(", ")) }),
    );
  });

  test("passes over attestations and what is no manifest", () => {
    const attestation = {
      ...manifestFor("linux/amd64"),
      annotations: { "vnd.docker.reference.type": "attestation-manifest" },
    };
    const unknown = descriptor({ platform: { os: "unknown", architecture: "unknown" } });
    const chart = descriptor({ mediaType: "application/x-chart", platform: { os: "linux", architecture: "amd64" } });
    const image = manifestFor("linux/amd64");
    expect(pickPlatform([attestation, unknown, chart, image], parsePlatform("linux/amd64"), "x")).toBe(image);
    expect(() => pickPlatform([attestation, unknown, chart], parsePlatform("linux/amd64"), "x")).toThrow(
      expect.objectContaining({
        code: "platform-unknown",
        message: expect.stringMatching(/has no image, only things about images \(3\), such as attestations/),
        hint: expect.stringContaining("push it again"),
      }),
    );
  });

  test("in an index of nothing is an error that says that it is empty", () => {
    expect(() => pickPlatform([], parsePlatform("linux/amd64"), "x")).toThrow(
      expect.objectContaining({ code: "platform-unknown", message: "Cannot use x: its index is empty" }),
    );
  });

  test("takes the first of two for one platform", () => {
    const first = { ...manifestFor("linux/amd64"), annotations: { at: "1" } };
    const second = { ...manifestFor("linux/amd64"), annotations: { at: "2" } };
    expect(pickPlatform([first, second], parsePlatform("linux/amd64"), "x")).toBe(first);
  });

  test("passes over artifacts that say so, and not images that say so", () => {
    const artifact = { ...manifestFor("linux/amd64"), artifactType: "application/vnd.example.sbom" };
    const image = { ...manifestFor("linux/amd64"), artifactType: "application/vnd.oci.image.config.v1+json" };
    expect(pickPlatform([artifact, image], parsePlatform("linux/amd64"), "x")).toBe(image);
  });

  test("lists what there is in bounds, and nothing that would steer a terminal", () => {
    const many = Array.from({ length: 500 }, (_, at) => manifestFor(`linux/a${at}`));
    const hostile = manifestFor(`linux/\u001b[31mred\u202e${"x".repeat(1000)}`);
    const pick = (): unknown => pickPlatform([hostile, ...many], parsePlatform("linux/amd64"), "x");
    expect(pick).toThrow(expect.objectContaining({ message: expect.stringMatching(/^[ -~]{1,600}$/) }));
    expect(pick).toThrow(/and 489 more/);
  });

  test("says why it took what it took", () => {
    const wanted = parsePlatform("linux/arm/v7");
    const [older, plain] = [manifestFor("linux/arm/v6"), descriptor({})];
    expect(describePick(older, [older, plain], wanted)).toMatch(/no linux\/arm\/v7, but it runs linux\/arm\/v6/);
    expect(describePick(plain, [plain], wanted)).toContain("does not say");
    expect(describePick(older, [older], parsePlatform("linux/arm/v6"))).toContain("is in the index");
  });

  test("takes an entry without a platform only when none with one fits", () => {
    const plain = descriptor({ mediaType: OCI_INDEX });
    const image = manifestFor("linux/amd64");
    expect(pickPlatform([plain, image], parsePlatform("linux/amd64"), "x")).toBe(image);
    expect(pickPlatform([plain, image], parsePlatform("linux/s390x"), "x")).toBe(plain);
  });
});

function manifestFor(platform: string): Descriptor {
  const [os, architecture, variant] = platform.split("/");
  return descriptor({ platform: { os, architecture, variant } });
}

function descriptor(fields: Readonly<Record<string, unknown>>): Descriptor {
  const base = { mediaType: OCI_MANIFEST, digest: `sha256:${"0".repeat(64)}`, size: 1 };
  return descriptorSchema.parse(JSON.parse(JSON.stringify({ ...base, ...fields })));
}
