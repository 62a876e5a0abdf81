import { describe, expect, test } from "vitest";
import { executionConfigOf } from "../../../src/image/aci-config.ts";
import { type AciManifest, MAX_ACI_MANIFEST_BYTES, parseAciManifest } from "../../../src/image/aci-manifest.ts";
import { appcRuntimeConfigOf } from "../../../src/runtime/appc-config.ts";
import { aciManifest, labelList } from "../../support/aci-builder.ts";

const HEX = "0f".repeat(64);

function parse(fields: Readonly<Record<string, unknown>> = {}): AciManifest {
  return parseAciManifest(Buffer.from(JSON.stringify(aciManifest({ manifest: fields }))), "it");
}

const APP = {
  exec: ["/usr/bin/reduce-worker", "--quiet"],
  user: "100",
  group: "300",
  supplementaryGIDs: [400, 500],
  eventHandlers: [{ name: "pre-start", exec: ["/usr/bin/data-downloader"] }],
  workingDirectory: "/opt/work",
  environment: [{ name: "REDUCE_WORKER_DEBUG", value: "a=b" }],
  isolators: [{ name: "resource/cpu", value: { request: "250", limit: "500" } }],
  mountPoints: [{ name: "work", path: "/var/lib/work", readOnly: false }],
  ports: [
    { name: "health", port: 4000, protocol: "tcp", socketActivated: true },
    { name: "ftp-data", port: 20000, count: 1000, protocol: "tcp" },
  ],
  userLabels: { team: "workers" },
};

describe("parseAciManifest", () => {
  test("reads everything that the specification's example has", () => {
    const manifest = parse({
      labels: labelList({ version: "1.0.0", arch: "amd64", os: "linux" }),
      app: APP,
      dependencies: [
        {
          imageName: "example.com/base",
          imageID: `sha512-${HEX}`,
          labels: labelList({ env: "canary" }),
          size: 22017258,
        },
        { imageName: "example.com/other" },
      ],
      pathWhitelist: ["/etc/ca/example.com/crt", "/etc/systemd/system/"],
      annotations: [
        { name: "created", value: "2014-10-27T19:32:27.67021798Z" },
        { name: "appc.io/executor/supports-systemd-notify", value: false },
      ],
      somethingNew: { of: "a later version" },
    });
    expect(manifest.labels).toEqual({ version: "1.0.0", arch: "amd64", os: "linux" });
    expect(manifest.app).toMatchObject({ exec: APP.exec, supplementaryGIDs: [400, 500], isolators: APP.isolators });
    expect(manifest.dependencies).toEqual([
      { imageName: "example.com/base", imageId: `sha512:${HEX}`, labels: { env: "canary" }, size: 22017258 },
      { imageName: "example.com/other", labels: {} },
    ]);
    expect(manifest.pathWhitelist).toEqual(["/etc/ca/example.com/crt", "/etc/systemd/system/"]);
    expect(manifest.annotations["appc.io/executor/supports-systemd-notify"]).toBe("false");
  });

  test("takes the smallest one", () => {
    expect(parse()).toEqual({
      acVersion: "0.8.11",
      name: "example.com/app",
      labels: {},
      dependencies: [],
      pathWhitelist: [],
      annotations: {},
    });
  });

  test.each<[string, Record<string, unknown>]>([
    ["another kind", { acKind: "PodManifest" }],
    ["no semantic version", { acVersion: "1" }],
    ["a name in capitals", { name: "Example" }],
    ["a name that leaves its directory", { name: "../../etc" }],
    ["a name that is an image ID", { name: `sha512-${HEX}` }],
    ["a label called name", { labels: labelList({ name: "x" }) }],
    ["the same label twice", { labels: [...labelList({ a: "1" }), ...labelList({ a: "2" })] }],
    ["an unknown os", { labels: labelList({ os: "plan9" }) }],
    ["an arch that its os has not", { labels: labelList({ os: "linux", arch: "x86_64" }) }],
    ["an os that is an inherited member", { labels: labelList({ os: "constructor" }) }],
    ["a relative working directory", { app: { ...APP, workingDirectory: "opt" } }],
    ["a relative mount point", { app: { ...APP, mountPoints: [{ name: "x", path: "x" }] } }],
    ["a mount point with ..", { app: { ...APP, mountPoints: [{ name: "x", path: "/a/../../b" }] } }],
    ["the same variable twice", { app: { ...APP, environment: [...APP.environment, ...APP.environment] } }],
    ["a variable with = in its name", { app: { ...APP, environment: [{ name: "a=b", value: "" }] } }],
    ["a NUL in a word", { app: { ...APP, exec: ["/bin/sh\0"] } }],
    ["port 0", { app: { ...APP, ports: [{ name: "x", port: 0, protocol: "tcp" }] } }],
    ["ports beyond the last", { app: { ...APP, ports: [{ name: "x", port: 65_000, count: 1000, protocol: "tcp" }] } }],
    ["an unknown event", { app: { ...APP, eventHandlers: [{ name: "on-fire", exec: ["/x"] }] } }],
    ["a negative group", { app: { ...APP, supplementaryGIDs: [-1] } }],
    ["a dependency without a name", { dependencies: [{}] }],
    ["a dependency with a malformed ID", { dependencies: [{ imageName: "a", imageID: "sha256-00" }] }],
    ["a relative whitelist", { pathWhitelist: ["etc"] }],
    ["a whitelist with ..", { pathWhitelist: ["/etc/../root"] }],
    ["a path of more bytes than Linux takes", { pathWhitelist: [`/${"ö".repeat(2048)}`] }],
    ["a whitelist of too many paths", { pathWhitelist: Array.from({ length: 100_001 }, () => "/a") }],
    ["the same annotation twice", { annotations: [...labelList({ a: "1" }), ...labelList({ a: "1" })] }],
  ])("refuses %s", (_, fields) => {
    expect(() => parse(fields)).toThrowError(expect.objectContaining({ code: "aci-invalid" }));
  });

  test.each([
    ["no JSON", Buffer.from("{")],
    ["no UTF-8", Buffer.from([0x7b, 0xff, 0x7d])],
    ["more than the limit", Buffer.alloc(MAX_ACI_MANIFEST_BYTES + 1, 0x20)],
    ["nesting without end", Buffer.from("[".repeat(200_000))],
  ])("refuses %s", (_, bytes) => {
    expect(() => parseAciManifest(bytes, "it")).toThrowError(expect.objectContaining({ code: "aci-invalid" }));
  });
});

describe("executionConfigOf", () => {
  test("says in OCI's words how the app runs", () => {
    expect(executionConfigOf(parse({ app: APP, annotations: labelList({ authors: "C", "my/note": "n" }) }))).toEqual({
      User: "100:300",
      ExposedPorts: { "4000/tcp": {}, "20000-20999/tcp": {} },
      Env: ["REDUCE_WORKER_DEBUG=a=b"],
      Entrypoint: APP.exec,
      Volumes: { "/var/lib/work": {} },
      WorkingDir: "/opt/work",
      Labels: { team: "workers", "org.opencontainers.image.authors": "C", "my/note": "n" },
    });
  });

  test("says nothing for an image without an app", () => {
    expect(executionConfigOf(parse())).toEqual({});
  });

  test.each([
    [{ user: "root" }, "root"],
    [{ group: "wheel" }, "0:wheel"],
    [{ user: "/usr/bin/ping", group: "/usr/bin/ping" }, "/usr/bin/ping:/usr/bin/ping"],
    [{}, undefined],
  ])("writes user and group of %j as one", (app, user) => {
    expect(executionConfigOf(parse({ app })).User).toBe(user);
  });
});

test("appcRuntimeConfigOf keeps what OCI has no words for", () => {
  expect(appcRuntimeConfigOf(parse({ app: APP }))).toMatchObject({
    entrypoint: APP.exec,
    cmd: [],
    user: "100:300",
    workingDir: "/opt/work",
    supplementaryGids: [400, 500],
    eventHandlers: APP.eventHandlers,
    isolators: APP.isolators,
    mountPoints: APP.mountPoints,
  });
  expect(appcRuntimeConfigOf(parse())).toMatchObject({ entrypoint: [], workingDir: "/", supplementaryGids: [] });
});
