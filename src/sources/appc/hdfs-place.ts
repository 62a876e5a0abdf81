/**
 * ACIs in HDFS. Where the operator listed HTTP addresses of the NameNode, WebHDFS is spoken: it is faster, and goes on in the
 * middle of a file. Else the `hadoop` client is asked where there is one, and WebHDFS at Hadoop's usual ports where not.
 */
import type { ByteStream } from "../source.ts";
import { aciChanged, type Candidate, type FoundAci, type Search } from "./found-aci.ts";
import { findHadoop, type HadoopLocation, readHadoop, statHadoop } from "./hadoop-client.ts";
import { createWebHdfs, type HdfsFile, type WebHdfsParts } from "./webhdfs.ts";

export interface HdfsParts extends WebHdfsParts, HadoopLocation {
  /** NameNode (`host:port` of the URI, or its host alone) or name service → addresses of its HTTP, in the order to ask. */
  readonly httpAddresses: Readonly<Record<string, readonly string[]>>;
}

export type HdfsPlace = (prefix: HdfsPrefix, candidate: Candidate, search: Search) => Promise<FoundAci | undefined>;

export interface HdfsPrefix {
  /** `host[:port]` */
  readonly authority: string;
  readonly path: string;
}

/** Of a NameNode's HTTP: Hadoop 3, then Hadoop 2. The port in an hdfs:// URI is another one, for its own protocol. */
const USUAL_PORTS = [9870, 50_070];

export function createHdfsPlace(parts: HdfsParts): HdfsPlace {
  const webHdfs = createWebHdfs(parts);
  let looked: Promise<string | undefined> | undefined;

  const viaClient = async (program: string, uri: string, search: Search): Promise<FoundAci | undefined> => {
    const file = await statHadoop(program, uri, search.signal);
    if (file === undefined) return undefined;
    const open = async (offset: number, signal: AbortSignal): Promise<ByteStream> => {
      const now = offset === 0 ? file : await statHadoop(program, uri, signal);
      if (now?.sizeBytes !== file.sizeBytes || now.modified !== file.modified) {
        throw aciChanged("hadoop-failed", search.what, `${uri} changed while it was fetched`);
      }
      return { offset: 0, body: readHadoop(program, uri, file.sizeBytes, signal) };
    };
    return found(uri, file, open);
  };

  const viaHttp = async (file: HdfsFile, search: Search): Promise<FoundAci | undefined> => {
    const status = await webHdfs.status(file, search);
    if (status === undefined) return undefined;
    return found(file.uri, status, (offset, signal) => webHdfs.open(file, status, offset, { ...search, signal }));
  };

  return async ({ authority, path: prefix }, candidate, search) => {
    const path = `${prefix}${candidate.path}`;
    const uri = `hdfs://${authority}${path}`;
    const listed = addressesOf(parts.httpAddresses, authority);
    looked ??= findHadoop(parts);
    const program = listed === undefined ? await looked : undefined;
    const how = listed === undefined ? (program ?? "WebHDFS at the usual ports") : `WebHDFS at ${listed.join(", ")}`;
    search.emit({ type: "decision", topic: "transport", message: `${uri} is read through ${how}` });
    if (program !== undefined) return await viaClient(program, uri, search);
    return await viaHttp({ uri, path, addresses: listed ?? usualAddresses(authority) }, search);
  };
}

function found(uri: string, file: { sizeBytes: number; modified: number }, open: Opened["open"]): FoundAci {
  const key = `aci ${uri} ${file.modified} ${file.sizeBytes}`;
  return { where: uri, place: uri, sizeBytes: file.sizeBytes, bytes: { key, open } };
}

type Opened = Extract<FoundAci["bytes"], { readonly open: unknown }>;

function addressesOf(table: HdfsParts["httpAddresses"], authority: string): readonly string[] | undefined {
  const listed = [authority, hostOf(authority)].map((name) => (Object.hasOwn(table, name) ? table[name] : undefined));
  return listed.find((addresses) => addresses !== undefined && addresses.length > 0);
}

function usualAddresses(authority: string): readonly string[] {
  return USUAL_PORTS.map((port) => `${hostOf(authority)}:${port}`);
}

function hostOf(authority: string): string {
  return authority.replace(/:[0-9]+$/, "");
}
