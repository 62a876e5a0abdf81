/** What WebHDFS answers, as Hadoop's WebHDFS.md describes it: documents, and what a RemoteException means for a reader. */
import { z } from "zod";
import { AppError } from "../../errors.ts";
import { parseJsonDocument } from "../../image/json-document.ts";
import { printable } from "../../image/remote-text.ts";
import { type HttpResponse, singleHeader } from "../http/http-client.ts";
import { readAtMost } from "../http/read-body.ts";

const MAX_BYTES = 1024 * 1024;

export const fileStatusSchema = z.object({
  FileStatus: z.object({
    length: z.int().nonnegative(),
    /** Milliseconds since 1970. */
    modificationTime: z.int(),
    type: z.enum(["FILE", "DIRECTORY", "SYMLINK"]),
  }),
});

export const locationSchema = z.object({ Location: z.string() });

const remoteExceptionSchema = z.object({
  RemoteException: z.object({ exception: z.string(), message: z.string().default("") }),
});

/** Reads and ends the body. Throws AppError `hadoop-failed`. */
export async function readJson<T>(response: HttpResponse, schema: z.ZodType<T>, uri: string): Promise<T> {
  const bytes = await readAtMost(response, MAX_BYTES);
  const what = `the answer of ${response.url.host} about ${uri}`;
  return parseJsonDocument(bytes ?? new Uint8Array(), { schema, what, maxBytes: MAX_BYTES, code: "hadoop-failed" });
}

/** `bytes` are the body of an answer that is no success. "absent" when it says that there is no such file. */
export function remoteFailure(response: HttpResponse, bytes: Uint8Array | undefined, uri: string): AppError | "absent" {
  const { status, url } = response;
  const remote = parseRemote(bytes);
  if (remote?.exception === "FileNotFoundException") return "absent";
  const named =
    remote === undefined ? "" : `, ${printable(remote.exception, 60)}: ${printable(firstLine(remote.message), 200)}`;
  const why = `${url.host} answered ${status}${named}`;
  const details = { uri, status, ...(remote !== undefined && { exception: printable(remote.exception, 60) }) };
  if (remote?.exception === "StandbyException") {
    return new AppError("hadoop-failed", `Cannot read ${uri}: ${why}`, {
      hint: "list the HTTP addresses of all NameNodes of the name service (hdfs_http_addresses)",
      details: { ...details, standby: true, temporary: true },
    });
  }
  if (status === 401 || status === 403) {
    const kerberos = response.headers("www-authenticate").some((value) => /^negotiate/i.test(value));
    return new AppError("registry-denied", `Cannot read ${uri}: ${why}`, {
      hint: kerberos
        ? "the cluster wants Kerberos, which only the hadoop client speaks: set hadoop_home, and get a ticket (kinit)"
        : "check who may read it, and as whom it is read (hdfs_user)",
      details,
    });
  }
  // what a NameNode says while it starts or hands over
  const passing = status >= 500 || status === 429 || remote?.exception === "RetriableException";
  if (status === 404 && remote === undefined) {
    return new AppError("hadoop-failed", `Cannot read ${uri}: ${why}, and not as WebHDFS does`, {
      hint: "is that the NameNode's HTTP address (hdfs_http_addresses), and WebHDFS enabled there?",
      details,
    });
  }
  const retryAfter = singleHeader(response, "retry-after");
  return new AppError("hadoop-failed", `Cannot read ${uri}: ${why}`, {
    details: {
      ...details,
      temporary: passing,
      ...(retryAfter !== undefined && /^[0-9]{1,6}$/.test(retryAfter) && { retryAfterMs: Number(retryAfter) * 1000 }),
    },
  });
}

function parseRemote(
  bytes: Uint8Array | undefined,
): z.output<typeof remoteExceptionSchema>["RemoteException"] | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes ?? []).toString("utf8"));
    return remoteExceptionSchema.safeParse(value).data?.RemoteException;
  } catch {
    // the status alone must do
    return undefined;
  }
}

/** Java's messages go on with a stack trace. */
function firstLine(message: string): string {
  return message.split("\n", 1)[0] ?? "";
}
