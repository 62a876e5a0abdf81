/** ACIs on web servers: what is asked, what is trusted, and what happens when a transfer breaks. */
import { describe, expect, test } from "vitest";
import { asStranger, trustingPins } from "../../../../src/sources/appc/pinned-security.ts";
import { createTransportSecurity } from "../../../../src/sources/http/transport-security.ts";
import { digestOf } from "../../../../store/index.ts";
import { buildAci } from "../../../support/aci-builder.ts";
import { type FileServer, type FileServerOptions, startFileServer } from "../../../support/file-server.ts";
import { errorOf, printed } from "../resolve-with.ts";
import { type OpenAppc, openAppc } from "./open-appc.ts";

const LABELS = { version: "1.0.0", os: "linux", arch: "amd64" };
const app = buildAci({
  name: "example.com/app",
  labels: LABELS,
  rootfs: [{ name: "big", content: Buffer.alloc(200_000, "x") }],
  compression: "none",
});
const PATH = "/appc/example.com/app-1.0.0-linux-amd64.aci";
const SHORT = "/appc/example.com/app-1.0.0.aci";
const REFERENCE = "appc:example.com/app:1.0.0";

interface Web extends AsyncDisposable {
  readonly server: FileServer;
  readonly appc: OpenAppc;
}

async function openWeb(
  options: FileServerOptions = {},
  files: Readonly<Record<string, Buffer>> = { [PATH]: app.bytes },
): Promise<Web> {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(await startFileServer(files, options));
  const appc = stack.use(await openAppc({ prefix: `${server.url}/appc/` }));
  const opened = stack.move();
  return { server, appc, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}

const lines = (server: FileServer): string[] => server.requests.map(({ line }) => line);

describe("an ACI on a web server", () => {
  test("is fetched into the store, by one question and one answer", async () => {
    await using web = await openWeb();
    const { layers, source } = await web.appc.resolve(REFERENCE);
    expect(lines(web.server)).toEqual([`HEAD ${PATH}`, `GET ${PATH}`]);
    expect(source).toBe(`${web.server.url}${PATH}`);
    expect(layers[0]).toMatchObject({ keepBlob: true, blob: { digest: digestOf(app.bytes), size: app.bytes.length } });
  });

  test("is looked for under its full name first", async () => {
    await using web = await openWeb({}, { [SHORT]: app.bytes });
    await web.appc.resolve(REFERENCE);
    expect(lines(web.server)).toEqual([`HEAD ${PATH}`, `HEAD ${SHORT}`, `GET ${SHORT}`]);
  });

  test("that is not there is an error that lists the addresses", async () => {
    await using web = await openWeb({}, {});
    const error = await errorOf(web.appc.resolve(REFERENCE));
    expect(error.code).toBe("image-unknown");
    expect(error.details["tried"]).toEqual([`${web.server.url}${PATH}`, `${web.server.url}${SHORT}`]);
  });

  test("is fetched from a server that does not answer HEAD", async () => {
    await using web = await openWeb({ head: false });
    await web.appc.resolve(REFERENCE);
    expect(lines(web.server)).toEqual([`HEAD ${PATH}`, `GET ${PATH}`, `GET ${PATH}`]);
  });

  test("is found after redirects", async () => {
    await using target = await startFileServer({ "/elsewhere": app.bytes });
    await using web = await openWeb({
      intercept: (_, response) => {
        response.writeHead(302, { location: `${target.url}/elsewhere?signature=secret` }).end();
        return true;
      },
    });
    target.files.set("/elsewhere?signature=secret", app.bytes);
    await web.appc.resolve(REFERENCE);
    expect(JSON.stringify(web.appc.events)).not.toContain("secret");
  });

  test("is asked for with characters of its version encoded", async () => {
    const odd = buildAci({ name: "example.com/app", labels: { version: "1.0+a b%#" } });
    await using web = await openWeb({}, { "/appc/example.com/app-1.0%2Ba%20b%25%23.aci": odd.bytes });
    await web.appc.resolve("appc:example.com/app:1.0+a%20b%25%23");
  });

  test("whose prefix has a query keeps it, and never shows it", async () => {
    await using server = await startFileServer({ [`/get?key=secret&file=${PATH.slice("/appc/".length)}`]: app.bytes });
    await using appc = await openAppc({ prefix: `${server.url}/get?key=secret&file=` });
    const { source } = await appc.resolve(REFERENCE);
    const missing = await errorOf(appc.resolve("appc:example.com/none"));
    expect(source).not.toContain("secret");
    expect(printed(missing)).not.toContain("secret");
    expect(JSON.stringify(appc.events)).not.toContain("secret");
  });
});

describe("a transfer that breaks", () => {
  test.each(["etag", "date"] as const)(
    "goes on where it was, where the server tells versions by %s",
    async (validators) => {
      await using web = await openWeb({ validators, truncate: { bytes: 100_000, times: 1 } });
      await web.appc.resolve(REFERENCE);
      const { asked, got } = web.appc.keeping.opened[1] ?? {};
      expect(asked).toBeGreaterThan(0);
      expect(got).toBe(asked);
      expect(lines(web.server).at(-1)).toBe(`GET ${PATH} bytes=${asked}-`);
      expect(web.server.requests.at(-1)?.headers["if-range"]).toBeDefined();
    },
  );

  test.each(["weak", "none"] as const)("starts over where versions are told by %s validators", async (validators) => {
    await using web = await openWeb({ validators, truncate: { bytes: 100_000, times: 1 } });
    await web.appc.resolve(REFERENCE);
    expect(web.appc.keeping.opened[1]).toMatchObject({ got: 0 });
    expect(lines(web.server).at(-1)).toBe(`GET ${PATH}`);
  });

  test("starts over where the server has no ranges", async () => {
    await using web = await openWeb({ ranges: false, truncate: { bytes: 100_000, times: 1 } });
    await web.appc.resolve(REFERENCE);
    expect(web.appc.keeping.opened[1]).toMatchObject({ got: 0 });
  });

  test("starts over when the file is another one meanwhile, so that no two are mixed", async () => {
    const changed = Buffer.from(app.bytes.map((byte) => byte ^ 0));
    changed.fill("y", 3000, 5000);
    let gets = 0;
    await using web = await openWeb({
      truncate: { bytes: 100_000, times: 1 },
      intercept: (request) => {
        if (request.method === "GET" && ++gets === 2) web.server.files.set(PATH, changed);
        return false;
      },
    });
    const { layers } = await web.appc.resolve(REFERENCE);
    expect(web.appc.keeping.opened[1]).toMatchObject({ got: 0 });
    expect(layers[0]?.blob.digest).toBe(digestOf(changed));
  });

  test("of a file that changes all the time is given up, with a word on why", async () => {
    let gets = 0;
    await using web = await openWeb({
      intercept: (request) => {
        if (request.method === "GET") web.server.files.set(PATH, Buffer.concat([app.bytes, Buffer.alloc(++gets)]));
        return false;
      },
    });
    const error = await errorOf(web.appc.resolve(REFERENCE));
    expect(error.code).toBe("registry-error");
    expect(error.message).toContain("changed while it was fetched");
    expect(gets).toBe(3);
  });
});

describe("a transfer that ends early without anybody's notice", () => {
  /** As HTTP/1.0: the end of the connection is the end of the file. */
  const unmeasured = (send: (get: number) => Buffer): FileServerOptions => {
    let gets = 0;
    return {
      intercept: (request, response) => {
        response.shouldKeepAlive = false;
        response.useChunkedEncodingByDefault = false;
        response.writeHead(request.url === PATH ? 200 : 404, { etag: '"1"', connection: "close" });
        response.end(request.method === "HEAD" ? undefined : send(++gets));
        return true;
      },
    };
  };
  const half = app.bytes.subarray(0, 100_000);

  test("is begun again", async () => {
    await using web = await openWeb(unmeasured((get) => (get === 1 ? half : app.bytes)));
    const { layers } = await web.appc.resolve(REFERENCE);
    expect(layers[0]?.blob.digest).toBe(digestOf(app.bytes));
    expect(web.appc.events).toContainEqual({
      type: "warning",
      message: expect.stringContaining(`fetching ${web.server.url}${PATH} again from its start`),
    });
  });

  test("at the end of an entry is noticed by what is missing", async () => {
    const manifestOnly = app.bytes.subarray(0, 1024);
    await using web = await openWeb(unmeasured((get) => (get === 1 ? manifestOnly : app.bytes)));
    expect((await web.appc.resolve(REFERENCE)).layers[0]?.blob.digest).toBe(digestOf(app.bytes));
  });

  test("is an error the second time, which is not remembered as the image", async () => {
    await using web = await openWeb(unmeasured((get) => (get <= 2 ? half : app.bytes)));
    const error = await errorOf(web.appc.resolve(REFERENCE));
    expect(error).toMatchObject({
      code: "aci-invalid",
      message: `Cannot use ${web.server.url}${PATH}: it is no ACI, or a damaged one (the tar archive ends in the middle of an entry)`,
    });
    expect((await web.appc.resolve(REFERENCE)).layers[0]?.blob.digest).toBe(digestOf(app.bytes));
  });

  test("is not suspected where the server says how long the archive is, and it is no image", async () => {
    const other = buildAci({ name: "example.com/app", entries: [{ name: "etc/passwd", content: "x" }] });
    await using web = await openWeb({}, { [PATH]: other.bytes });
    expect((await errorOf(web.appc.resolve(REFERENCE))).code).toBe("aci-invalid");
    expect(lines(web.server)).toEqual([`HEAD ${PATH}`, `GET ${PATH}`]);
    web.server.files.set(PATH, app.bytes);
    await web.appc.resolve(REFERENCE);
  });
});

test("what is wrong inside of an archive is told by where it came from, not by where it lies", async () => {
  const hostile = buildAci({ entries: [{ name: "../x", content: "" }] });
  await using web = await openWeb({}, { [PATH]: hostile.bytes });
  expect(await errorOf(web.appc.resolve(REFERENCE))).toMatchObject({
    code: "layer-escape",
    message: `Cannot use ${web.server.url}${PATH}: entry "../x" leaves the tree by ".."`,
  });
});

describe("the key under which the workshop keeps an ACI", () => {
  const keyOf = async (options: FileServerOptions, bytes = app.bytes): Promise<string[]> => {
    await using web = await openWeb(options, { [PATH]: bytes });
    await web.appc.resolve(REFERENCE);
    await web.appc.resolve(REFERENCE);
    return web.appc.keeping.kept.map(({ key }) => key.replace(web.server.url, ""));
  };

  test("is the same for the same version, and another for the next", async () => {
    const [first, again] = await keyOf({});
    expect(again).toBe(first);
    expect((await keyOf({}, buildAci({ labels: LABELS }).bytes))[0]).not.toBe(first);
  });

  test.each(["none", "weak"] as const)(
    "is none where the server tells versions apart by %s validators",
    async (kind) => {
      expect(await keyOf({ validators: kind })).toEqual(["", ""]);
    },
  );
});

describe("a server that refuses", () => {
  const answers = (status: number, only?: string): FileServerOptions => ({
    intercept: (request, response) => {
      if (only !== undefined && request.url !== only) return false;
      response.writeHead(status).end();
      return true;
    },
  });

  test("with 403 is an error about who may read", async () => {
    await using web = await openWeb(answers(403));
    expect(await errorOf(web.appc.resolve(REFERENCE))).toMatchObject({
      code: "registry-denied",
      details: { status: 403 },
    });
  });

  test("one name with 403 may have the other", async () => {
    await using web = await openWeb(answers(403, PATH), { [SHORT]: app.bytes });
    expect((await web.appc.resolve(REFERENCE)).source).toContain(SHORT);
  });

  test("with 503 is asked again, and then an error", async () => {
    await using web = await openWeb(answers(503));
    expect(await errorOf(web.appc.resolve(REFERENCE))).toMatchObject({
      code: "registry-error",
      details: { status: 503 },
    });
    expect(web.server.requests.length).toBe(4);
  });
});

describe("plain http", () => {
  const reach = async (
    prefix: string | undefined,
    reference = REFERENCE,
    insecure: readonly string[] = [],
  ): Promise<string[]> => {
    const urls: string[] = [];
    await using appc = await openAppc({
      ...(prefix !== undefined && { prefix }),
      insecure,
      send: async ({ url }) => {
        urls.push(url.origin);
        throw new Error("stop");
      },
    });
    const error = await appc.resolve(reference).catch((thrown: Error & { code?: string }) => thrown);
    return urls.length > 0 ? [...new Set(urls)] : [String((error as { code?: string }).code)];
  };

  test.each([
    ["https by default", undefined, REFERENCE, [], "https://example.com"],
    ["http by default to a listed host", undefined, REFERENCE, ["example.com"], "http://example.com"],
    ["http by default to this machine", undefined, "appc:localhost/app", [], "http://localhost"],
    ["Mesos's prefix is refused", "http://", REFERENCE, [], "registry-insecure"],
    ["Mesos's prefix with a listed host", "http://", REFERENCE, ["example.com"], "http://example.com"],
    ["Mesos's prefix with a pinned image", "http://", `${REFERENCE}@${app.imageId}`, [], "http://example.com"],
    ["https for all", "https://", "appc:localhost/app", [], "https://localhost"],
    ["a server elsewhere is refused", "http://images.example.com/", REFERENCE, [], "registry-insecure"],
    [
      "a host stays whole without a slash after it",
      "https://images.example.com",
      REFERENCE,
      [],
      "https://images.example.com",
    ],
  ])("%s", async (_, prefix, reference, insecure, outcome) => {
    expect(await reach(prefix, reference, insecure)).toEqual([outcome]);
  });

  test("is refused with a hint that says what to do", async () => {
    await using appc = await openAppc({ prefix: "http://" });
    expect((await errorOf(appc.resolve(REFERENCE))).hint).toMatch(/https:\/\/.*insecure registries.*pin/);
  });

  test("cannot be spoken to a name that has no host in it", async () => {
    await using appc = await openAppc();
    expect(await errorOf(appc.resolve("appc:database"))).toMatchObject({
      code: "image-unknown",
      hint: expect.stringContaining("appc_simple_discovery_uri_prefix"),
    });
  });
});

describe("a pinned image", () => {
  const security = trustingPins(createTransportSecurity(["listed.example.com"]));
  const at = (text: string): URL => new URL(text);

  test("may come over plain http from anywhere, by plain steps", () => {
    security.check(at("http://a.example.com/x"));
    security.check(at("http://b.example.com/x"), at("http://a.example.com/x"));
  });

  test.each([
    ["from https to plain http", "http://b.example.com/", "https://a.example.com/"],
    ["from elsewhere to this machine", "http://127.0.0.1/", "http://a.example.com/"],
    ["from elsewhere to any address, which is this machine", "http://0.0.0.0/", "http://a.example.com/"],
    ["to a file", "file:///etc/passwd", "http://a.example.com/"],
  ])("is never led %s", (_, to, from) => {
    expect(() => security.check(at(to), at(from))).toThrow();
  });

  test("is what it is pinned to, whoever changed it on the way", async () => {
    await using web = await openWeb({}, { [PATH]: buildAci({ name: "example.com/app", labels: LABELS }).bytes });
    expect((await errorOf(web.appc.resolve(`${REFERENCE}@${app.imageId}`))).code).toBe("blob-corrupt");
  });

  test("counts an answer in plain http from elsewhere as one from a stranger", () => {
    expect(asStranger(at("http://a.example.com/x"))?.protocol).toBe("https:");
    expect(asStranger(at("http://127.0.0.1/x"))?.protocol).toBe("http:");
    expect(asStranger(undefined)).toBeUndefined();
  });
});

test("a dependency from elsewhere does not lead to this machine", async () => {
  const parent = buildAci({
    name: "images.example.com/app",
    manifest: { dependencies: [{ imageName: "127.0.0.1/admin" }] },
  });
  const asked: string[] = [];
  await using server = await startFileServer({ "/app-latest-linux-amd64.aci": parent.bytes });
  await using appc = await openAppc();
  await using redirected = await openAppc({
    send: async (request) => {
      asked.push(request.url.href);
      const response = await appc.send({ ...request, url: new URL(`${server.url}${request.url.pathname}`) });
      return { ...response, url: request.url };
    },
  });
  expect((await errorOf(redirected.resolve("appc:images.example.com/app"))).code).toBe("registry-insecure");
  expect(new Set(asked.map((url) => new URL(url).host))).toEqual(new Set(["images.example.com"]));
});

test("estimate asks for the size, and fetches nothing", async () => {
  await using web = await openWeb();
  expect(await web.appc.estimate(REFERENCE)).toEqual([
    { location: `${web.server.url}${PATH}`, sizeBytes: app.bytes.length, local: false },
  ]);
  expect(lines(web.server)).toEqual([`HEAD ${PATH}`]);
});
