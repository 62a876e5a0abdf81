/**
 * The prefix of simple discovery, which is put before `NAME-VERSION-OS-ARCH.aci`: where ACIs are looked for.
 *
 * | prefix | ACIs are |
 * | --- | --- |
 * | none | at the host that their names begin with: over https, and plain http where that may be spoken |
 * | `http://`, `https://` | the same, over that |
 * | `http://HOST[/PATH]`, `https://…` | on one web server |
 * | `file:///PATH`, `/PATH` | in a directory |
 * | `hdfs://NAMENODE[:PORT]/PATH` | in HDFS |
 *
 * A prefix that ends in a letter or digit gets a slash, as the one in Mesos's own documents needs it
 * (`hdfs://host:9000/user/abc/cde`): glued to it, `https://host` and `example.com/app` would name another host.
 * `https://host/get?file=` and `https://host/mirror-` are used as they are.
 */
import { fileURLToPath } from "node:url";
import { AppError } from "../../errors.ts";

export type AppcPrefix =
  | { readonly kind: "name"; readonly scheme?: "http" | "https" }
  | { readonly kind: "http"; readonly base: string }
  | { readonly kind: "file"; readonly path: string }
  | { readonly kind: "hdfs"; readonly authority: string; readonly path: string };

const HDFS = /^hdfs:\/\/([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(\/.*)?$/;

/** Throws AppError `config-invalid`, which does not repeat the prefix: there may be a password in it. */
export function parseAppcPrefix(text: string | undefined): AppcPrefix {
  if (text === undefined || text === "") return { kind: "name" };
  const bare = /^(https?):\/\/$/.exec(text)?.[1];
  if (bare === "http" || bare === "https") return { kind: "name", scheme: bare };
  if (/^https?:\/\//.test(text)) return { kind: "http", base: httpBase(text) };
  if (text.startsWith("/")) return { kind: "file", path: text };
  if (text.startsWith("file:")) return { kind: "file", path: filePath(text) };
  const hdfs = parseHdfsUrl(text);
  if (hdfs !== undefined) return { kind: "hdfs", ...hdfs, path: separated(hdfs.path) };
  if (text.startsWith("hdfs:")) throw invalid("it names no NameNode", "for example hdfs://namenode:8020/images/");
  throw invalid("it is neither an http, https, hdfs or file URL nor an absolute path", "for example file:///srv/appc/");
}

/** Undefined for what is no hdfs://HOST[:PORT]/PATH. */
export function parseHdfsUrl(text: string): { readonly authority: string; readonly path: string } | undefined {
  const [, host, port = "", path = "/"] = HDFS.exec(text) ?? [];
  return host === undefined ? undefined : { authority: `${host}${port}`, path };
}

function httpBase(text: string): string {
  const url = URL.parse(text);
  if (url === null || url.hash !== "") throw invalid("it is no URL", "for example https://images.example.com/appc/");
  if (url.username !== "" || url.password !== "") {
    throw invalid("it has credentials in it", "ACIs are fetched without; leave them out");
  }
  return separated(url.href);
}

function filePath(text: string): string {
  try {
    return fileURLToPath(text);
  } catch {
    throw invalid("it is no file URL of this machine", "for example file:///srv/appc/");
  }
}

function separated(text: string): string {
  return /[\p{L}\p{N}]$/u.test(text) ? `${text}/` : text;
}

function invalid(why: string, hint: string): AppError {
  return new AppError("config-invalid", `Cannot use the Appc prefix: ${why}`, { hint });
}
