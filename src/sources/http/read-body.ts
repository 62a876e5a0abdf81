/**
 * Reads the body of a small document into memory, with its size and its time limited while it arrives. The watch over the
 * speed of a body lets one pass that drips for hours; a layer may, but nobody waits so long for a manifest.
 */
import { AppError } from "../../errors.ts";
import { type HttpResponse, singleHeader } from "./http-client.ts";
import { redactUrl } from "./redact-url.ts";
import { type Clock, REAL_CLOCK } from "./speed-watch.ts";

/** What a document of no size at all may take, and how fast the rest of one must be on the whole. */
const LEAST_MS = 60_000;
const BYTES_PER_SECOND = 64 * 1024;

/**
 * Undefined when the body is, or says it is, larger than `maxBytes`; the rest of it is then not read. Throws AppError
 * `registry-unreachable` when it takes longer than a minute and its size (`maxBytes` where it does not say) at 64 KiB/s.
 */
export async function readAtMost(
  response: HttpResponse,
  maxBytes: number,
  clock: Clock = REAL_CLOCK,
): Promise<Buffer | undefined> {
  const promised = contentLength(response) ?? maxBytes;
  if (promised > maxBytes) {
    await response.discard();
    return undefined;
  }
  const limitMs = LEAST_MS + Math.ceil((promised / BYTES_PER_SECOND) * 1000);
  const late = Promise.withResolvers<never>();
  const cancel = clock.after(limitMs, () => late.reject(tooSlow(response.url, limitMs)));
  const body = response.body[Symbol.asyncIterator]();
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    for (;;) {
      const next = await Promise.race([body.next(), late.promise]);
      if (next.done === true) return Buffer.concat(chunks, length);
      length += next.value.byteLength;
      if (length > maxBytes) break;
      chunks.push(next.value);
    }
  } catch (error) {
    leave(body);
    throw error;
  } finally {
    cancel();
  }
  leave(body);
  return undefined;
}

/** Ends the body, and with it the connection. It may be in the middle of a step, and is not waited for. */
function leave(body: AsyncIterator<Uint8Array>): void {
  body.return?.().catch(() => {});
}

function tooSlow(url: URL, limitMs: number): AppError {
  const where = redactUrl(url);
  const message = `Cannot fetch ${where}: it is small, and did not come within ${Math.ceil(limitMs / 1000)} s`;
  return new AppError("registry-unreachable", message, {
    // all the time that it could want was given already
    details: { url: where, reason: "SLOW", temporary: false, limitMs },
    hint: "the network, the registry or a proxy on the way is overloaded; try again later, or use a mirror that is nearer",
  });
}

/** Content-Length in bytes, when the server gave a usable one. */
export function contentLength(response: HttpResponse): number | undefined {
  const text = singleHeader(response, "content-length");
  return text !== undefined && /^[0-9]{1,15}$/.test(text) ? Number(text) : undefined;
}
