/** ACIs in HDFS: over WebHDFS from a cluster that keeps to the protocol, and through a `hadoop` program. */
import { readFileSync } from "node:fs";
import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readHadoop } from "../../../../src/sources/appc/hadoop-client.ts";
import { digestOf } from "../../../../store/index.ts";
import { buildAci } from "../../../support/aci-builder.ts";
import { openTempDir } from "../../../support/temp-dir.ts";
import {
  type HdfsFile,
  startWebHdfs,
  type WebHdfsCluster,
  type WebHdfsOptions,
} from "../../../support/webhdfs-server.ts";
import { errorOf, printed } from "../resolve-with.ts";
import { type OpenAppc, openAppc } from "./open-appc.ts";

const LABELS = { version: "1.0.0", os: "linux", arch: "amd64" };
const rootfs = [{ name: "big", content: Buffer.alloc(200_000, "x") }];
const app = buildAci({ name: "example.com/app", labels: LABELS, rootfs, compression: "none" });
const PATH = "/user/abc/cde/example.com/app-1.0.0-linux-amd64.aci";
const SHORT = "/user/abc/cde/example.com/app-1.0.0.aci";
const REFERENCE = "appc:example.com/app:1.0.0";
const PREFIX = "hdfs://namenode:9000/user/abc/cde";

interface Hdfs extends AsyncDisposable {
  readonly cluster: WebHdfsCluster;
  readonly appc: OpenAppc;
}

async function openHdfs(
  options: WebHdfsOptions = {},
  files: Readonly<Record<string, HdfsFile>> = { [PATH]: { bytes: app.bytes } },
): Promise<Hdfs> {
  await using stack = new AsyncDisposableStack();
  const cluster = stack.use(await startWebHdfs(files, options));
  const httpAddresses = { "namenode:9000": cluster.addresses };
  const appc = stack.use(await openAppc({ prefix: PREFIX, httpAddresses, user: "agent" }));
  const opened = stack.move();
  return { cluster, appc, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}

const asked = ({ requests }: WebHdfsCluster): string[] =>
  requests.map(({ role, url }) =>
    `${role} ${url.searchParams.get("op")} ${url.searchParams.get("offset") ?? ""}`.trim(),
  );

describe("an ACI in HDFS, over WebHDFS", () => {
  test("is known to the NameNode and comes from a DataNode", async () => {
    await using hdfs = await openHdfs();
    const { layers, source } = await hdfs.appc.resolve(REFERENCE);
    expect(asked(hdfs.cluster)).toEqual(["namenode GETFILESTATUS", "namenode OPEN 0", "datanode OPEN 0"]);
    expect(source).toBe(`${PREFIX.replace(/\/$/, "")}/example.com/app-1.0.0-linux-amd64.aci`);
    expect(layers[0]).toMatchObject({ keepBlob: true, blob: { digest: digestOf(app.bytes) } });
  });

  test("is read as the configured user, and without credentials anywhere", async () => {
    await using hdfs = await openHdfs();
    await hdfs.appc.resolve(REFERENCE);
    for (const { url, headers } of hdfs.cluster.requests) {
      expect(url.searchParams.get("user.name")).toBe("agent");
      expect(headers.authorization).toBeUndefined();
    }
  });

  test("is fetched where the address of the DataNode comes in a document", async () => {
    await using hdfs = await openHdfs({ noRedirect: true });
    await hdfs.appc.resolve(REFERENCE);
    expect(asked(hdfs.cluster)).toEqual(["namenode GETFILESTATUS", "namenode OPEN 0", "datanode OPEN 0"]);
  });

  test("goes on by offset when a DataNode breaks off", async () => {
    await using hdfs = await openHdfs({ truncate: { bytes: 100_000, times: 1 } });
    await hdfs.appc.resolve(REFERENCE);
    const { asked: from = 0, got } = hdfs.appc.keeping.opened[1] ?? {};
    expect(from).toBeGreaterThan(0);
    expect(got).toBe(from);
    expect(asked(hdfs.cluster).slice(-2)).toEqual([`namenode OPEN ${from}`, `datanode OPEN ${from}`]);
  });

  test("is asked for from the next NameNode when the first is on standby", async () => {
    await using hdfs = await openHdfs({ nameNodes: 2, active: 1 });
    await hdfs.appc.resolve(REFERENCE);
    expect(hdfs.appc.decisions("discovery").some((message) => message.includes("StandbyException"))).toBe(true);
  });

  test("is an error with a hint where every NameNode is on standby", async () => {
    await using hdfs = await openHdfs({ nameNodes: 2, active: 7 });
    const error = await errorOf(hdfs.appc.resolve(REFERENCE));
    expect(error).toMatchObject({ code: "hadoop-failed", hint: expect.stringContaining("hdfs_http_addresses") });
  });

  test("is found under its short name, and unknown where it has neither", async () => {
    await using short = await openHdfs({}, { [SHORT]: { bytes: app.bytes } });
    await short.appc.resolve(REFERENCE);
    await using none = await openHdfs({}, {});
    expect((await errorOf(none.appc.resolve(REFERENCE))).code).toBe("image-unknown");
  });

  test("is not a directory", async () => {
    await using hdfs = await openHdfs({}, { [PATH]: { bytes: Buffer.alloc(0), type: "DIRECTORY" } });
    expect((await errorOf(hdfs.appc.resolve(REFERENCE))).code).toBe("image-unknown");
  });

  test("that may not be read is an error with the cluster's words, in one line", async () => {
    const exception = {
      name: "AccessControlException",
      message: "Permission denied: user=agent\n\tat java\u001b[2J",
      status: 403,
    };
    await using hdfs = await openHdfs({}, { [PATH]: { bytes: app.bytes, exception } });
    const error = await errorOf(hdfs.appc.resolve(REFERENCE));
    expect(error.code).toBe("registry-denied");
    expect(error.message).toContain("Permission denied: user=agent");
    expect(error.message).not.toMatch(/java|\p{Cc}/u);
  });

  test("is asked for again while the NameNode starts", async () => {
    const exception = { name: "RetriableException", message: "NameNode is starting", status: 403 };
    await using hdfs = await openHdfs({}, { [PATH]: { bytes: app.bytes, exception: { ...exception, status: 500 } } });
    expect((await errorOf(hdfs.appc.resolve(REFERENCE))).code).toBe("hadoop-failed");
    expect(hdfs.cluster.requests.length).toBe(4);
  });

  test("has a key that tells its versions apart", async () => {
    await using hdfs = await openHdfs();
    await hdfs.appc.resolve(REFERENCE);
    hdfs.cluster.files.set(PATH, { bytes: app.bytes, modified: 5 });
    await hdfs.appc.resolve(REFERENCE);
    const [first, second] = hdfs.appc.keeping.kept.map(({ key }) => key);
    expect(second).not.toBe(first);
  });

  test("starts over when the file is another one meanwhile", async () => {
    await using hdfs = await openHdfs({ truncate: { bytes: 100_000, times: 1 } });
    const changed = Buffer.from(app.bytes).fill("y", 3000, 5000);
    const swap: WebHdfsCluster["files"] = hdfs.cluster.files;
    await using appc = await openAppc({
      prefix: PREFIX,
      httpAddresses: { namenode: hdfs.cluster.addresses },
      send: async (request) => {
        const response = await hdfs.appc.send(request);
        if (request.url.host === hdfs.cluster.dataNode) swap.set(PATH, { bytes: changed, modified: 9 });
        return response;
      },
    });
    const { layers } = await appc.resolve(REFERENCE);
    expect(appc.keeping.opened[1]).toMatchObject({ got: 0 });
    expect(layers[0]?.blob.digest).toBe(digestOf(changed));
  });

  test("is looked for at the usual ports where none are listed and there is no client", async () => {
    const hosts: string[] = [];
    await using appc = await openAppc({
      prefix: "hdfs://namenode/x",
      send: async ({ url }) => {
        hosts.push(url.host);
        throw Object.assign(new Error("stop"), { name: "AbortError" });
      },
    });
    await appc.resolve(REFERENCE).catch(() => {});
    expect(hosts).toEqual(["namenode:9870"]);
    expect(appc.decisions("transport")[0]).toContain("usual ports");
  });

  test("is known for its size without being fetched", async () => {
    await using hdfs = await openHdfs();
    expect(await hdfs.appc.estimate(REFERENCE)).toMatchObject([{ sizeBytes: app.bytes.length, local: false }]);
    expect(asked(hdfs.cluster)).toEqual(["namenode GETFILESTATUS"]);
  });
});

describe("a WebHDFS that is none", () => {
  const withServer = async (
    status: number,
    body: string,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Awaited<ReturnType<typeof errorOf>>> => {
    await using stack = new AsyncDisposableStack();
    const server = createServer((_, response) => void response.writeHead(status, headers).end(body));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    stack.defer(async () => void (await new Promise((resolve) => server.close(resolve))));
    const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    await using appc = await openAppc({ prefix: PREFIX, httpAddresses: { namenode: [address] } });
    return await errorOf(appc.resolve(REFERENCE));
  };

  test.each([
    ["HTML", 200, "<html>"],
    ["JSON of another kind", 200, "{}"],
    ["a size that is no number", 200, '{"FileStatus":{"length":-1,"modificationTime":1,"type":"FILE"}}'],
    ["more than anybody needs", 200, `"${"x".repeat(2_000_000)}"`],
    ["a 404 that is not Hadoop's", 404, "<html>not here</html>"],
  ])("answers %s, and that is an error", async (_, status, body) => {
    expect((await withServer(status, body)).code).toBe("hadoop-failed");
  });

  test("wants Kerberos, and the hint says who speaks it", async () => {
    const error = await withServer(401, "", { "www-authenticate": "Negotiate" });
    expect(error).toMatchObject({ code: "registry-denied", hint: expect.stringContaining("hadoop_home") });
  });

  test("that sends on for ever is given up", async () => {
    const error = await withServer(307, "", { location: "/webhdfs/v1/again" });
    expect(error.code).toBe("hadoop-failed");
  });
});

interface OpenClient extends AsyncDisposable {
  readonly appc: OpenAppc;
  readonly home: string;
  readonly calls: () => Promise<string[]>;
}

/** One that has ended, and whose new parent has not noticed yet, is dead too. */
function isAlive(pid: number): boolean {
  try {
    return !/\) [ZX] [^)]*$/.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}

describe("an ACI in HDFS, through the hadoop client", () => {
  /** A `hadoop` that has `files`, and writes down how it was called. */
  async function openClient(script: string): Promise<OpenClient> {
    await using stack = new AsyncDisposableStack();
    const { path } = stack.use(await openTempDir("hadoop"));
    await mkdir(join(path, "bin"));
    await writeFile(join(path, "the.aci"), app.bytes);
    const lines = ["#!/bin/sh", `echo "$*" >> ${path}/calls`, `aci=${path}/the.aci`, `uri="$4"`, script];
    await writeFile(join(path, "bin/hadoop"), `${lines.join("\n")}\n`);
    await chmod(join(path, "bin/hadoop"), 0o755);
    const appc = stack.use(await openAppc({ prefix: PREFIX, hadoopHome: path }));
    const opened = stack.move();
    const calls = async (): Promise<string[]> => (await readFile(join(path, "calls"), "utf8")).trim().split("\n");
    return { appc, home: path, calls, [Symbol.asyncDispose]: () => opened.disposeAsync() };
  }
  const SIZE = app.bytes.length;
  const stat = `[ "$2" = -stat ] && { echo "WARN util.NativeCodeLoader: none" >&2; echo "${SIZE},1700000000000,regular file"; exit 0; }`;
  const absent = `echo "stat: \\\`$4': No such file or directory" >&2; exit 1`;

  test("is piped from it into the store", async () => {
    await using client = await openClient(`${stat}\n[ "$2" = -cat ] && exec cat "$aci"`);
    const { layers } = await client.appc.resolve(REFERENCE);
    const uri = `${PREFIX}/example.com/app-1.0.0-linux-amd64.aci`;
    expect(await client.calls()).toEqual([`fs -stat %b,%Y,%F ${uri}`, `fs -cat ${uri}`]);
    expect(layers[0]).toMatchObject({ keepBlob: true, blob: { digest: digestOf(app.bytes) } });
    expect(client.appc.decisions("transport")[0]).toContain("bin/hadoop");
  });

  test("is told from one that is not there", async () => {
    await using client = await openClient(absent);
    const error = await errorOf(client.appc.resolve(REFERENCE));
    expect(error.code).toBe("image-unknown");
    expect(await client.calls()).toHaveLength(2);
  });

  test("is an error when the client fails, with its last words", async () => {
    await using client = await openClient('echo "Call From here to namenode failed: Connection refused" >&2; exit 1');
    const error = await errorOf(client.appc.resolve(REFERENCE));
    expect(error).toMatchObject({ code: "hadoop-failed", details: { exitCode: 1 } });
    expect(error.message).toContain("Connection refused");
  });

  test("is an error when the client fails in the middle", async () => {
    await using client = await openClient(`${stat}\nhead -c 1000 "$aci"; echo "Could not obtain block" >&2; exit 1`);
    const error = await errorOf(client.appc.resolve(REFERENCE));
    expect(error.code).toBe("hadoop-failed");
    expect(error.message).toContain("Could not obtain block");
  });

  test("is an error when the client answers what nobody understands", async () => {
    await using client = await openClient("echo hello");
    expect((await errorOf(client.appc.resolve(REFERENCE))).code).toBe("hadoop-failed");
  });

  test("does not steer a terminal with what the client says", async () => {
    await using client = await openClient(`printf 'bad \\033[2J' >&2; exit 2`);
    expect(printed(await errorOf(client.appc.resolve(REFERENCE)))).not.toContain("\\u001b");
  });

  test("is an error when the client ends early as if that were all, and is not asked for again", async () => {
    await using client = await openClient(`${stat}\nhead -c 1000 "$aci"; exit 0`);
    const error = await errorOf(client.appc.resolve(REFERENCE));
    expect(error).toMatchObject({ code: "hadoop-failed", hint: expect.stringContaining("hadoop fs -cat URI") });
    expect(error.message).toContain(`ended early, after 1000 of ${SIZE} bytes`);
    expect(await client.calls()).toHaveLength(2);
  });

  test("is not waited for when its client is over but has left others behind", async () => {
    await using directory = await openTempDir("hadoop");
    const [program, pidFile] = [join(directory.path, "hadoop"), join(directory.path, "pid")];
    await writeFile(program, `#!/bin/sh\nsleep 600 &\necho $! > ${pidFile}\necho first\n`, { mode: 0o755 });
    for await (const _ of readHadoop(program, "hdfs://namenode/x", 6)) break;
    const pid = Number(await readFile(pidFile, "utf8"));
    await expect.poll(() => isAlive(pid)).toBe(false);
  });

  test("is not waited for when nobody wants it any more, and its client ends", async () => {
    await using directory = await openTempDir("hadoop");
    const [program, pidFile] = [join(directory.path, "hadoop"), join(directory.path, "pid")];
    // as the real one, which starts a Java machine and stays
    const script = `#!/bin/sh\nsleep 600 &\necho $! > ${pidFile}\necho first\nwait\n`;
    await writeFile(program, script, { mode: 0o755 });
    const stop = new AbortController();
    const read = async (): Promise<void> => {
      for await (const _ of readHadoop(program, "hdfs://namenode/x", 6, stop.signal)) stop.abort(new Error("enough"));
    };
    await expect(read()).rejects.toThrow("enough");
    const pid = Number(await readFile(pidFile, "utf8"));
    await expect.poll(() => isAlive(pid)).toBe(false);
  });

  test("is not asked where the operator listed addresses of WebHDFS", async () => {
    await using cluster = await startWebHdfs({ [PATH]: { bytes: app.bytes } });
    await using client = await openClient("exit 9");
    const httpAddresses = { namenode: cluster.addresses };
    await using appc = await openAppc({ prefix: PREFIX, hadoopHome: client.home, httpAddresses });
    await appc.resolve(REFERENCE);
    expect(cluster.requests.length).toBe(3);
    await expect(client.calls()).rejects.toThrow("ENOENT");
  });

  test("is looked for on the search path where there is no home", async () => {
    await using directory = await openTempDir("path");
    await writeFile(join(directory.path, "hadoop"), `#!/bin/sh\n${stat}\nexec cat ${directory.path}/the.aci\n`);
    await chmod(join(directory.path, "hadoop"), 0o755);
    await writeFile(join(directory.path, "the.aci"), app.bytes);
    await using appc = await openAppc({ prefix: PREFIX, searchPath: `relative:${directory.path}` });
    await appc.resolve(REFERENCE);
  });
});
