/** Image configurations as Docker and others write them, and as somebody would who means harm. */
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { describe, expect, test } from "vitest";
import { diffIdsFor, parseImageConfig, requirePlatform } from "../../../src/image/image-config.ts";
import { parsePlatform } from "../../../src/image/platform.ts";

const DIFF_ID = `sha256:${"d".repeat(64)}`;
const ROOTFS = { type: "layers", diff_ids: [DIFF_ID] };

describe("an image configuration", () => {
  test("is read with all that says how to run the image", () => {
    const config = {
      User: "app",
      ExposedPorts: { "80/tcp": {} },
      Env: ["PATH=/bin"],
      Entrypoint: ["/init"],
      Cmd: ["serve"],
      Volumes: { "/data": {} },
      WorkingDir: "/srv",
      Labels: { a: "b" },
      StopSignal: "SIGTERM",
      Shell: ["/bin/sh", "-c"],
      Healthcheck: { Test: ["CMD", "true"], Interval: 1 },
    };
    expect(parse({ architecture: "amd64", os: "linux", config, rootfs: ROOTFS }).config).toEqual(config);
  });

  test("may have null wherever Docker writes null", () => {
    const config = { Entrypoint: null, Env: null, Cmd: ["sh"], Labels: null, Volumes: null, ExposedPorts: null };
    const parsed = parse({ architecture: "amd64", os: "linux", config, rootfs: ROOTFS, history: null, author: null });
    expect(parsed.config).toEqual({ Cmd: ["sh"] });
    expect(parsed.history).toEqual([]);
  });

  test("may have no config object, and no layers", () => {
    expect(parse({ rootfs: { type: "layers", diff_ids: null } })).toMatchObject({
      config: {},
      rootfs: { diff_ids: [] },
    });
  });

  test.each([
    ["no rootfs", {}, /rootfs/],
    ["a rootfs that is no layers", { rootfs: { type: "other", diff_ids: [] } }, /rootfs\.type/],
    ["a malformed DiffID", { rootfs: { type: "layers", diff_ids: ["x"] } }, /diff_ids\.0/],
    ["Env that is no list", { config: { Env: "A=b" }, rootfs: ROOTFS }, /config\.Env/],
  ])("is refused with %s", (_, document, message) => {
    expect(() => parse(document)).toThrow(
      expect.objectContaining({ code: "manifest-invalid", message: expect.stringMatching(message) }),
    );
  });

  test("must have a DiffID for each layer", () => {
    const config = parse({ rootfs: ROOTFS });
    expect(diffIdsFor(config, 1, "x")).toEqual([DIFF_ID]);
    expect(() => diffIdsFor(config, 2, "x")).toThrow(expect.objectContaining({ code: "manifest-invalid" }));
  });
});

describe("an image configuration that is too much", () => {
  const many = Array.from({ length: 10_001 }, (_, at) => String(at));
  const record = (value: unknown): unknown => Object.fromEntries(many.map((name) => [name, value]));

  test.each<readonly [string, unknown]>([
    ["rootfs.diff_ids", { rootfs: { diff_ids: many } }],
    ["history", { history: many, rootfs: ROOTFS }],
    ...["Env", "Cmd", "Entrypoint", "Shell"].map((name) => [`config.${name}`, inConfig({ [name]: many })] as const),
    ...["Volumes", "ExposedPorts"].map((name) => [`config.${name}`, inConfig({ [name]: record({}) })] as const),
    ...["Labels", "Healthcheck"].map((name) => [`config.${name}`, inConfig({ [name]: record("") })] as const),
    ["config.Volumes./x", inConfig({ Volumes: { "/x": record(1) } })],
  ])("is refused for the length of %s, before a member is looked at", (where, document) => {
    expect(() => parse(document)).toThrow(
      expect.objectContaining({
        code: "manifest-invalid",
        message: `Cannot use the configuration of x: ${where} has more than 10000 entries`,
      }),
    );
  });

  // what is measured is a heap of its own: one that overflows ends its thread, and nothing else
  test.each(["short values", "wrong values", "as many values as are parsed"])(
    "is refused at 15 MiB of %s with little memory",
    async (kind) => {
      const module = JSON.stringify(new URL("../../../src/image/image-config.ts", import.meta.url).href);
      const program = `
        const { parentPort, workerData } = require("node:worker_threads");
        const piece = { "short values": '""', "wrong values": "1" }[workerData] ?? '"' + "x".repeat(62) + '"';
        const env = Array(Math.floor(15 * 2 ** 20 / (piece.length + 1))).fill(piece).join();
        const bytes = Buffer.from('{"rootfs":{},"config":{"Env":[' + env + "]}}");
        import(${module}).then(({ parseImageConfig }) => {
          try { parseImageConfig(bytes, "x"); } catch ({ code }) { parentPort.postMessage(code); }
        });`;
      const worker = new Worker(program, {
        eval: true,
        workerData: kind,
        execArgv: ["--disable-warning=ExperimentalWarning"],
        resourceLimits: { maxOldGenerationSizeMb: 128 },
      });
      expect(await once(worker, "message")).toEqual(["manifest-invalid"]);
      await worker.terminate();
    },
    20_000,
  );
});

describe("requirePlatform", () => {
  const of = (fields: object): ReturnType<typeof parse> => parse({ ...fields, rootfs: ROOTFS });
  const amd64 = parsePlatform("linux/amd64");

  test("lets an image pass that says nothing, or says the same in other words", () => {
    expect(requirePlatform(of({}), amd64, "x")).toEqual(amd64);
    expect(requirePlatform(of({ os: "linux", architecture: "x86_64" }), amd64, "x")).toEqual(amd64);
  });

  test("takes a missing variant for no contradiction", () => {
    const wanted = parsePlatform("linux/arm/v6");
    expect(requirePlatform(of({ os: "linux", architecture: "arm" }), wanted, "x").architecture).toBe("arm");
  });

  test("refuses another architecture, and names it", () => {
    const require = (): unknown => requirePlatform(of({ os: "linux", architecture: "s390x" }), amd64, "x");
    expect(require).toThrow(
      expect.objectContaining({ code: "platform-unknown", hint: expect.stringContaining("linux/s390x") }),
    );
  });
});

function inConfig(config: unknown): unknown {
  return { config, rootfs: ROOTFS };
}

function parse(document: unknown): ReturnType<typeof parseImageConfig> {
  return parseImageConfig(Buffer.from(JSON.stringify(document)), "x");
}
