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
  const chunks = chunksOf(body);
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
    await chunks.return(undefined);
  }
}

/** Chunks that are taken from a stream ahead of their reader. */
const AHEAD = 4;

/**
 * As they came. A stream's own iterator joins all that is waiting into new memory, and for a reader that is busy most of the
 * time something always is. What has come before a transfer breaks is given out first: the next attempt begins behind it.
 */
async function* chunksOf(body: Dispatcher.ResponseData["body"]): AsyncGenerator<Uint8Array, undefined> {
  const waiting: Uint8Array[] = [];
  let ended = body.readableEnded;
  let failure = body.errored ?? (body.destroyed && !ended ? closedEarly() : undefined);
  let wake: () => void = () => {};
  const early: Uint8Array | null = body.destroyed ? null : body.read();
  if (early !== null) waiting.push(early);
  body.on("data", (chunk: Uint8Array) => {
    waiting.push(chunk);
    if (waiting.length >= AHEAD) body.pause();
    wake();
  });
  body.on("end", () => {
    ended = true;
    wake();
  });
  body.on("error", (error: Error) => {
    failure ??= error;
    wake();
  });
  body.on("close", () => {
    if (!ended) failure ??= closedEarly();
    wake();
  });
  try {
    for (;;) {
      for (let chunk = waiting.shift(); chunk !== undefined; chunk = waiting.shift()) yield chunk;
      if (failure !== undefined) throw failure;
      if (ended) return;
      await new Promise<void>((resolve) => {
        wake = resolve;
        body.resume();
      });
    }
  } finally {
    if (!ended) body.destroy();
  }
}

function closedEarly(): Error {
  return Object.assign(new Error("the connection was closed"), { code: "ERR_STREAM_PREMATURE_CLOSE" });
}

function stalled(url: URL, bytes: number, { windowMs, minBytesPerSecond }: SpeedLimit): AppError {
  const where = redactUrl(url);
  const message = `Cannot fetch ${where}: the transfer stalled: ${bytes} bytes in the last ${windowMs / 1000} s`;
  return new AppError("registry-unreachable", message, {
    details: { url: where, reason: "STALLED", temporary: true, bytes, windowMs, minBytesPerSecond },
    hint: "the network, the registry or a proxy on the way is overloaded; try again, or use a mirror that is nearer",
  });
}
