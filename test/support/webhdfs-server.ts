/**
 * An HDFS cluster as WebHDFS clients see it: NameNodes that know files and redirect, and one DataNode, a server of its own,
 * that has the bytes. Follows Hadoop's WebHDFS.md.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface HdfsFile {
  readonly bytes: Buffer;
  readonly modified?: number;
  readonly type?: "FILE" | "DIRECTORY";
  /** Answered instead, with its status. */
  readonly exception?: { readonly name: string; readonly message: string; readonly status: number };
}

export interface WebHdfsOptions {
  /** How many NameNodes there are, and which of them is active. Default: one, which is. */
  readonly nameNodes?: number;
  readonly active?: number;
  /** Answer OPEN with 200 and a JSON document, as with noredirect=true. */
  readonly noRedirect?: boolean;
  /** Requests to the DataNode that are cut off after so many bytes. */
  readonly truncate?: { readonly bytes: number; times: number };
}

export interface WebHdfsCluster extends AsyncDisposable {
  /** `127.0.0.1:PORT` of every NameNode's HTTP. */
  readonly addresses: readonly string[];
  readonly dataNode: string;
  readonly files: Map<string, HdfsFile>;
  /** `namenode GET /webhdfs/v1/…?op=…`, in order. */
  readonly requests: readonly {
    readonly role: "namenode" | "datanode";
    readonly url: URL;
    readonly headers: IncomingMessage["headers"];
  }[];
}

export async function startWebHdfs(
  files: Readonly<Record<string, HdfsFile>>,
  options: WebHdfsOptions = {},
): Promise<WebHdfsCluster> {
  await using stack = new AsyncDisposableStack();
  const table = new Map(Object.entries(files));
  const requests: WebHdfsCluster["requests"][number][] = [];
  const record = (role: "namenode" | "datanode", request: IncomingMessage): URL => {
    const url = new URL(request.url ?? "/", "http://cluster");
    requests.push({ role, url, headers: request.headers });
    return url;
  };
  const dataNode = await listen(stack, (request, response) => {
    const url = record("datanode", request);
    sendBytes(table.get(pathOf(url)), Number(url.searchParams.get("offset") ?? 0), response, options);
  });
  const addresses: string[] = [];
  for (let index = 0; index < (options.nameNodes ?? 1); index += 1) {
    const active = index === (options.active ?? 0);
    addresses.push(
      await listen(stack, (request, response) => {
        const url = record("namenode", request);
        if (active) answer(url, table.get(pathOf(url)), dataNode, response, options);
        else refuse(response, 403, "StandbyException", "Operation category READ is not supported in state standby");
      }),
    );
  }
  const opened = stack.move();
  return { addresses, dataNode, files: table, requests, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}

function answer(
  url: URL,
  file: HdfsFile | undefined,
  dataNode: string,
  response: ServerResponse,
  { noRedirect = false }: WebHdfsOptions,
): ServerResponse {
  const op = url.searchParams.get("op");
  if (file === undefined) return refuse(response, 404, "FileNotFoundException", `File does not exist: ${pathOf(url)}`);
  if (file.exception !== undefined)
    return refuse(response, file.exception.status, file.exception.name, file.exception.message);
  if (op === "GETFILESTATUS") {
    return json(response, 200, {
      FileStatus: {
        accessTime: 0,
        length: file.bytes.length,
        modificationTime: file.modified ?? 1_700_000_000_000,
        owner: "hdfs",
        pathSuffix: "",
        permission: "644",
        type: file.type ?? "FILE",
      },
    });
  }
  if (op !== "OPEN")
    return refuse(response, 400, "IllegalArgumentException", `Invalid value for webhdfs parameter "op": ${op}`);
  const location = new URL(`http://${dataNode}${url.pathname}${url.search}`);
  location.searchParams.set("namenoderpcaddress", "namenode:8020");
  if (noRedirect) return json(response, 200, { Location: location.href });
  return response.writeHead(307, { location: location.href, "content-length": 0 }).end();
}

function sendBytes(
  file: HdfsFile | undefined,
  offset: number,
  response: ServerResponse,
  options: WebHdfsOptions,
): ServerResponse {
  if (file === undefined) return refuse(response, 404, "FileNotFoundException", "gone");
  const sent = file.bytes.subarray(offset);
  response.writeHead(200, { "content-type": "application/octet-stream", "content-length": sent.length });
  const { truncate } = options;
  if (truncate === undefined || truncate.times <= 0) return response.end(sent);
  truncate.times -= 1;
  response.write(sent.subarray(0, truncate.bytes), () => response.destroy());
  return response;
}

function refuse(response: ServerResponse, status: number, exception: string, message: string): ServerResponse {
  return json(response, status, { RemoteException: { exception, javaClassName: `org.example.${exception}`, message } });
}

function json(response: ServerResponse, status: number, value: unknown): ServerResponse {
  return response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));
}

function pathOf(url: URL): string {
  return decodeURIComponent(url.pathname.replace(/^\/webhdfs\/v1/, ""));
}

async function listen(
  stack: AsyncDisposableStack,
  handler: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<string> {
  const server = createServer(handler);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  stack.defer(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}
