/**
 * HDFS over HTTP (Hadoop's WebHDFS REST API): a NameNode knows the file, and sends whoever wants its bytes to a DataNode.
 *
 *     GET http://NAMENODE/webhdfs/v1/PATH?op=GETFILESTATUS  →  200 {"FileStatus":{length, modificationTime, type}}
 *     GET http://NAMENODE/webhdfs/v1/PATH?op=OPEN&offset=N  →  307 Location: http://DATANODE/…  →  200 the bytes from N on
 *
 * Of several NameNodes one is active; the others answer 403 with a StandbyException. All of it is plain http to hosts of the
 * cluster's choosing, unless it is set up otherwise: that is what an operator who configured hdfs:// has chosen. No request
 * carries credentials, so there are none to go astray.
 */
import { AppError } from "../../errors.ts";
import { type HttpResponse, type Send, singleHeader } from "../http/http-client.ts";
import { contentLength, readAtMost } from "../http/read-body.ts";
import { redactUrl } from "../http/redact-url.ts";
import type { TransportFor } from "../http/redirects.ts";
import { type RetryPolicy, retry } from "../http/retry.ts";
import type { ByteStream } from "../source.ts";
import { aciChanged, type Search } from "./found-aci.ts";
import { fileStatusSchema, locationSchema, readJson, remoteFailure } from "./webhdfs-answers.ts";

export interface WebHdfsParts {
  /** Follows nothing. */
  readonly send: Send;
  readonly transportFor: TransportFor;
  readonly retryPolicy: RetryPolicy;
  /** Sent as `user.name`. */
  readonly user?: string;
}

export interface HdfsFile {
  /** `hdfs://…`, for messages. */
  readonly uri: string;
  /** Absolute, not encoded. */
  readonly path: string;
  /** Of the NameNodes' HTTP: `host:port`, or a URL for https. Never empty. */
  readonly addresses: readonly string[];
}

export interface HdfsStatus {
  readonly sizeBytes: number;
  /** Milliseconds since 1970. */
  readonly modified: number;
}

export interface WebHdfs {
  /** Undefined when there is no such file. Throws AppErrors `hadoop-failed`, `registry-denied`, `registry-unreachable`. */
  status(file: HdfsFile, search: Search): Promise<HdfsStatus | undefined>;
  /** Bytes from `offset` on. Throws the error of `aciChanged` when the file is not the one any more that was found. */
  open(file: HdfsFile, expected: HdfsStatus, offset: number, search: Search): Promise<ByteStream>;
}

const MAX_STEPS = 5;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);

export function createWebHdfs(parts: WebHdfsParts): WebHdfs {
  const get = async (url: URL, { emit, signal }: Search): Promise<HttpResponse> => {
    const transport = await parts.transportFor(url.host);
    return await parts.send({ method: "GET", url, emit, transport, ...(signal !== undefined && { signal }) });
  };

  /** Asks one NameNode after the other until one is neither on standby nor out of reach. */
  const ask = async <T>(
    file: HdfsFile,
    query: Readonly<Record<string, string>>,
    search: Search,
    read: (response: HttpResponse, url: URL) => Promise<T>,
  ): Promise<T> => {
    const attempt = async (): Promise<T> => {
      const failures: AppError[] = [];
      for (const address of file.addresses) {
        const url = requestUrl(address, file.path, {
          ...query,
          ...(parts.user !== undefined && { "user.name": parts.user }),
        });
        try {
          return await read(await get(url, search), url);
        } catch (error) {
          if (!isElsewhere(error)) throw error;
          search.emit({ type: "decision", topic: "discovery", message: `NameNode ${url.host}: ${error.message}` });
          failures.push(error);
        }
      }
      throw allFailed(file.uri, failures);
    };
    const { emit, signal } = search;
    const what = `${query["op"]} ${file.uri}`;
    return await retry(attempt, { what, policy: parts.retryPolicy, emit, ...(signal !== undefined && { signal }) });
  };

  const status = (file: HdfsFile, search: Search): Promise<HdfsStatus | undefined> =>
    ask(file, { op: "GETFILESTATUS" }, search, async (response) => {
      if (response.status !== 200) return await absentOrThrow(response, file);
      const { FileStatus } = await readJson(response, fileStatusSchema, file.uri);
      if (FileStatus.type !== "FILE") return undefined;
      return { sizeBytes: FileStatus.length, modified: FileStatus.modificationTime };
    });

  /** From the NameNode's answer to the DataNode's, step by step. */
  const follow = async (first: HttpResponse, start: URL, file: HdfsFile, search: Search): Promise<HttpResponse> => {
    let [response, url] = [first, start];
    for (let step = 0; step < MAX_STEPS; step += 1) {
      const next = await nextUrl(response, url, file.uri);
      if (next === undefined) return response;
      if (next.host !== url.host) {
        search.emit({
          type: "decision",
          topic: "redirect",
          message: `${url.host} hands ${file.uri} over to ${next.host}`,
        });
      }
      response = await get(next, search);
      url = next;
    }
    await response.discard();
    throw failed(file.uri, `${start.host} redirected more than ${MAX_STEPS} times`, false);
  };

  return {
    status,
    async open(file, expected, offset, search) {
      const now = offset === 0 ? expected : await status(file, search);
      if (now?.sizeBytes !== expected.sizeBytes || now.modified !== expected.modified) throw changed(file, search);
      if (offset > 0 && offset >= expected.sizeBytes) return { offset, body: nothing() };
      return await ask(file, { op: "OPEN", offset: String(offset) }, search, async (first, url) => {
        const response = await follow(first, url, file, search);
        if (response.status !== 200) {
          await absentOrThrow(response, file);
          throw changed(file, search);
        }
        const length = contentLength(response);
        if (length !== undefined && length !== expected.sizeBytes - offset) {
          await response.discard();
          throw changed(file, search);
        }
        return { offset, body: response.body };
      });
    },
  };
}

/** `path` may have any character; `address` may be a URL already. */
function requestUrl(address: string, path: string, query: Readonly<Record<string, string>>): URL {
  const url = URL.parse(/^https?:\/\//.test(address) ? address : `http://${address}`);
  if (url === null || url.username !== "" || url.password !== "") {
    throw new AppError(
      "config-invalid",
      "Cannot use a configured HDFS address: it is neither host:port nor a plain URL",
      {
        hint: 'for example hdfs_http_addresses = ["namenode=namenode.example.com:9870"]',
      },
    );
  }
  // gateways have it below a path of their own
  const target = new URL(url);
  target.pathname = `${url.pathname.replace(/\/+$/, "")}/webhdfs/v1${path.split("/").map(encodeURIComponent).join("/")}`;
  for (const [name, value] of Object.entries(query)) target.searchParams.set(name, value);
  return target;
}

/** Where the bytes are said to be; undefined when `response` is the answer itself. */
async function nextUrl(response: HttpResponse, url: URL, uri: string): Promise<URL | undefined> {
  const redirected = REDIRECTS.has(response.status);
  // some gateways put the address into a document; the bytes of a file are never sent as JSON
  const isJson = response.status === 200 && /^application\/json\b/i.test(singleHeader(response, "content-type") ?? "");
  if (!redirected && !isJson) return undefined;
  const location = isJson
    ? (await readJson(response, locationSchema, uri)).Location
    : singleHeader(response, "location");
  if (redirected) await response.discard();
  const next = location === undefined ? null : URL.parse(location, url.href);
  if (next === null || !["http:", "https:"].includes(next.protocol))
    throw failed(uri, `${url.host} redirected to nowhere`, false);
  if (url.protocol === "https:" && next.protocol === "http:") {
    throw failed(uri, `${redactUrl(url)} would lead from https to plain http`, false);
  }
  return next;
}

/** Undefined when the answer says that there is no such file. */
async function absentOrThrow(response: HttpResponse, file: HdfsFile): Promise<undefined> {
  const bytes = await readAtMost(response, 64 * 1024).catch(() => undefined);
  const failure = remoteFailure(response, bytes, file.uri);
  if (failure !== "absent") throw failure;
}

function isElsewhere(error: unknown): error is AppError {
  return error instanceof AppError && (error.code === "registry-unreachable" || error.details["standby"] === true);
}

function changed({ uri }: HdfsFile, search: Search): AppError {
  return aciChanged("hadoop-failed", search.what, `${uri} changed while it was fetched`);
}

function allFailed(uri: string, failures: readonly AppError[]): AppError {
  const [first, ...more] = failures;
  if (first !== undefined && more.length === 0) return first;
  const why = `no NameNode answers for it: ${failures.map((failure) => failure.message).join("; ")}`;
  const hint = failures.find((failure) => failure.hint !== undefined)?.hint;
  return new AppError("hadoop-failed", `Cannot read ${uri}: ${why}`, {
    ...(hint !== undefined && { hint }),
    details: { uri, temporary: failures.some((failure) => failure.details["temporary"] === true) },
    cause: first,
  });
}

function failed(uri: string, why: string, temporary: boolean): AppError {
  return new AppError("hadoop-failed", `Cannot read ${uri}: ${why}`, { details: { uri, temporary } });
}

async function* nothing(): AsyncGenerator<Uint8Array> {}
