/** The bytes of an answer as they come, watched for breaking off and for slowing down to nothing. */
import type { Dispatcher } from "undici";
import { AppError } from "../../errors.ts";
import type { HttpRequest } from "./http-client.ts";
import { networkError } from "./network-error.ts";
import type { ProxyServer } from "./proxy-address.ts";
import { redactUrl } from "./redact-url.ts";
import { createSpeedWatch, type SpeedLimit } from "./speed-watch.ts";

/**
 * Throws AppError `registry-unreachable` when the connection breaks or the transfer is slower than the limit, and the reason
 * of the request's signal when that is aborted. A reader that leaves early ends the connection, at once: also one that has
 * not begun, or is waiting.
 */
export function watchedBody(
  body: Dispatcher.ResponseData["body"],
  request: HttpRequest,
  proxy: ProxyServer | undefined,
  limit: SpeedLimit,
): AsyncIterableIterator<Uint8Array> {
  const chunks = readWatched(body, request, proxy, limit);
  return {
    [Symbol.asyncIterator]() {
      return this;
    },
    next: () => chunks.next(),
    async return() {
      // of this a generator hears nothing before its first step, nor within one
      body.on("error", () => {}).destroy();
      return await chunks.return(undefined);
    },
  };
}

async function* readWatched(
  body: Dispatcher.ResponseData["body"],
  { url, signal }: HttpRequest,
  proxy: ProxyServer | undefined,
  limit: SpeedLimit,
): AsyncGenerator<Uint8Array, undefined> {
  const watch = createSpeedWatch(limit, (bytes) => body.destroy(stalled(url, bytes, limit)));
  const chunks = body[Symbol.asyncIterator]();
  try {
    watch.waiting();
    for (let next = await chunks.next(); next.done !== true; next = await chunks.next()) {
      watch.received(next.value.byteLength);
      yield next.value;
      watch.waiting();
    }
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    // at its beginning this means a server that speaks something else; here, a transfer that broke
    const garbled = error instanceof Error && error.name === "HTTPParserError";
    throw networkError(garbled ? Object.assign(error, { code: "BODY_GARBLED" }) : error, url, proxy);
  } finally {
    watch.stop();
    await chunks.return?.();
  }
}

function stalled(url: URL, bytes: number, { windowMs, minBytesPerSecond }: SpeedLimit): AppError {
  const where = redactUrl(url);
  const message = `Cannot fetch ${where}: the transfer stalled: ${bytes} bytes in the last ${windowMs / 1000} s`;
  return new AppError("registry-unreachable", message, {
    details: { url: where, reason: "STALLED", temporary: true, bytes, windowMs, minBytesPerSecond },
    hint: "the network, the registry or a proxy on the way is overloaded; try again, or use a mirror that is nearer",
  });
}
