/**
 * The stream of a layer, from wherever the registry was able to start it. Sizes that contradict the descriptor are refused
 * before a byte is read; digest and true length are checked by the reader, who sees every byte anyway.
 */
import type { Digest } from "../../../store/index.ts";
import { AppError } from "../../errors.ts";
import { type HttpResponse, singleHeader } from "../http/http-client.ts";
import { contentLength } from "../http/read-body.ts";
import type { ByteStream } from "../source.ts";

/** A blob whose size need not be known: manifests of schema 1 do not tell it. */
export interface WantedBlob {
  readonly digest: Digest;
  readonly size?: number;
}

/** Bytes `from` to `to`, both included, or to the end. */
export interface ByteRange {
  readonly from: number;
  readonly to?: number;
}

export type StreamedBlob = (ByteStream & { readonly isPart: boolean }) | "refused-range";

/** Undefined for all of it: servers that know nothing of ranges are then not even asked. */
export function rangeHeader({ from, to }: ByteRange): string | undefined {
  return from === 0 && to === undefined ? undefined : `bytes=${from}-${to ?? ""}`;
}

/** `range` is what was asked for. Takes 200 (starts at 0), 206 (starts there) and 416. */
export async function blobStream(
  response: HttpResponse,
  blob: WantedBlob,
  range: ByteRange,
  what: string,
): Promise<StreamedBlob> {
  if (response.status === 416 && rangeHeader(range) !== undefined) {
    await response.discard();
    return "refused-range";
  }
  const isPart = response.status === 206;
  const sent = isPart ? range : { from: 0 };
  const wrong = contradiction(response, blob, sent);
  if (wrong === undefined) return { offset: sent.from, body: response.body, isPart };
  await response.discard();
  throw new AppError("blob-corrupt", `Cannot use ${what}: ${wrong}`, {
    details: { ...(blob.size !== undefined && { expectedBytes: blob.size }) },
    hint: "the registry, or a proxy before it, has another blob there than the manifest says",
  });
}

function contradiction(response: HttpResponse, blob: WantedBlob, { from, to }: ByteRange): string | undefined {
  if (response.status === 416) return "the registry refused to send it from its start";
  const end = to === undefined ? blob.size : to + 1;
  const length = contentLength(response);
  if (length !== undefined && end !== undefined && length !== end - from) {
    return `the registry would send ${length} bytes where ${end - from} are to come`;
  }
  if (response.status !== 206) return undefined;
  const [, start, last, total] =
    /^bytes ([0-9]+)-([0-9]+)\/([0-9]+|\*)$/.exec(singleHeader(response, "content-range") ?? "") ?? [];
  if (start !== String(from)) return `asked to start at byte ${from}, the registry started elsewhere`;
  if (to !== undefined && last !== String(to)) return `asked to end at byte ${to}, the registry ended elsewhere`;
  if (blob.size !== undefined && total !== "*" && total !== String(blob.size))
    return `the registry has ${total} bytes of it, not ${blob.size}`;
  return undefined;
}
