/** Reads the body of a small document into memory, with its size limited while it arrives. */
import { type HttpResponse, singleHeader } from "./http-client.ts";

/** Undefined when the body is, or says it is, larger than `maxBytes`; the rest of it is then not read. */
export async function readAtMost(response: HttpResponse, maxBytes: number): Promise<Buffer | undefined> {
  if ((contentLength(response) ?? 0) > maxBytes) {
    await response.discard();
    return undefined;
  }
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body) {
    length += chunk.byteLength;
    // leaving the loop ends the body, and with it the connection
    if (length > maxBytes) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, length);
}

/** Content-Length in bytes, when the server gave a usable one. */
export function contentLength(response: HttpResponse): number | undefined {
  const text = singleHeader(response, "content-length");
  return text !== undefined && /^[0-9]{1,15}$/.test(text) ? Number(text) : undefined;
}
