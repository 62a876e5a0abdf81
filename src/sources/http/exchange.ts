/**
 * One request and the beginning of its answer, with both waits bounded to the millisecond and an abort heard at once.
 * (Undici's own timers are coarse, and it hears an abort only when the connection is there.)
 *
 *     dispatched ──connectMs── on its way ──headersMs── answered ── body … ── over
 */
import type { Dispatcher } from "undici";
import { REAL_CLOCK } from "./speed-watch.ts";

export interface ExchangeLimits {
  /** Everything until the request can be sent: name look-up, TCP, proxy, TLS. */
  readonly connectMs: number;
  readonly headersMs: number;
  readonly signal?: AbortSignal;
  /** Called when the connection is free again or given up; perhaps more than once. */
  readonly over: () => void;
}

/** Carries the codes that undici's own errors of this kind have. */
class ExchangeTimeout extends Error {
  readonly code: "UND_ERR_CONNECT_TIMEOUT" | "UND_ERR_HEADERS_TIMEOUT";

  constructor(code: ExchangeTimeout["code"], ms: number) {
    super(`nothing within ${ms} ms`);
    this.name = "ExchangeTimeout";
    this.code = code;
  }
}

/** Rejects with the signal's reason when it is aborted, with what went wrong otherwise. */
export async function exchange(
  via: Dispatcher,
  request: Dispatcher.RequestOptions,
  { connectMs, headersMs, signal, over }: ExchangeLimits,
): Promise<Dispatcher.ResponseData> {
  const giveUp = new AbortController();
  const ended = signal === undefined ? giveUp.signal : AbortSignal.any([signal, giveUp.signal]);
  const timer = (code: ExchangeTimeout["code"], ms: number): (() => void) =>
    REAL_CLOCK.after(ms, () => giveUp.abort(new ExchangeTimeout(code, ms)));
  let stopTimer = timer("UND_ERR_CONNECT_TIMEOUT", connectMs);
  const stages = {
    sending: () => {
      stopTimer();
      if (!ended.aborted) stopTimer = timer("UND_ERR_HEADERS_TIMEOUT", headersMs);
    },
    answered: () => stopTimer(),
    over,
  };
  try {
    const answer = via.compose((dispatch) => (options, handler) => dispatch(options, staged(handler, stages)));
    return await before(ended, answer.request({ ...request, signal: ended }));
  } catch (error) {
    over();
    throw error;
  } finally {
    stopTimer();
  }
}

interface Stages {
  readonly sending: () => void;
  readonly answered: () => void;
  readonly over: () => void;
}

function staged(handler: Dispatcher.DispatchHandler, stages: Stages): Dispatcher.DispatchHandler {
  return {
    onRequestStart(controller, context) {
      stages.sending();
      handler.onRequestStart?.(controller, context);
    },
    onResponseStart(controller, status, headers, message) {
      // a server may send any number of "not yet" (1xx) before it answers
      if (status >= 200) stages.answered();
      handler.onResponseStart?.(controller, status, headers, message);
    },
    onResponseData(controller, chunk) {
      handler.onResponseData?.(controller, chunk);
    },
    onResponseEnd(controller, trailers) {
      stages.over();
      handler.onResponseEnd?.(controller, trailers);
    },
    onResponseError(controller, error) {
      stages.over();
      handler.onResponseError?.(controller, error);
    },
  };
}

/** What comes of `promise` after the signal was aborted is nobody's concern any more. */
function before<T>(signal: AbortSignal, promise: Promise<T>): Promise<T> {
  const { promise: first, resolve, reject } = Promise.withResolvers<T>();
  const abort = (): void => reject(signal.reason);
  if (signal.aborted) abort();
  signal.addEventListener("abort", abort, { once: true });
  promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  return first;
}
