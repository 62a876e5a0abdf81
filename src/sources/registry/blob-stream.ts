/**
 * The stream of a layer, from wherever the registry was able to start it. Sizes that contradict the descriptor are refused
 * before a byte is read; digest and true length are checked by the reader, who sees every byte anyway.
 */
import { AppError } from "../../errors.ts";
import type { Descriptor } from "../../image/descriptor.ts";
import type { ByteStream } from "../source.ts";
import { type HttpResponse, singleHeader } from "./http-client.ts";
import { contentLength } from "./read-body.ts";

export type StreamedBlob = ByteStream | "refused-range";

/** `from` is the offset that was asked for. Takes 200 (starts at 0), 206 (starts there) and 416. */
export async function blobStream(
  response: HttpResponse,
  descriptor: Descriptor,
  from: number,
  what: string,
): Promise<StreamedBlob> {
  if (response.status === 416 && from > 0) {
    await response.discard();
    return "refused-range";
  }
  const offset = response.status === 200 ? 0 : from;
  const wrong = contradiction(response, descriptor, offset);
  if (wrong === undefined) return { offset, body: response.body };
  await response.discard();
  throw new AppError("blob-corrupt", `Cannot use ${what}: ${wrong}`, {
    details: { expectedBytes: descriptor.size },
    hint: "the registry, or a proxy before it, has another blob there than the manifest says",
  });
}

function contradiction(response: HttpResponse, descriptor: Descriptor, offset: number): string | undefined {
  if (response.status === 416) return "the registry refused to send it from its start";
  const length = contentLength(response);
  if (length !== undefined && length !== descriptor.size - offset) {
    return `the registry would send ${length} bytes where ${descriptor.size - offset} are to come`;
  }
  if (response.status !== 206) return undefined;
  const [, start, total] =
    /^bytes ([0-9]+)-[0-9]+\/([0-9]+|\*)$/.exec(singleHeader(response, "content-range") ?? "") ?? [];
  if (start !== String(offset)) return `asked to start at byte ${offset}, the registry started elsewhere`;
  if (total !== "*" && total !== String(descriptor.size))
    return `the registry has ${total} bytes of it, not ${descriptor.size}`;
  return undefined;
}
