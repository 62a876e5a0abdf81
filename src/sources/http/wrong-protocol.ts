/**
 * Web servers that expect TLS answer plain http with a 400 whose words say so (Go: "Client sent an HTTP request to an HTTPS
 * server.", nginx: "The plain HTTP request was sent to HTTPS port"). Taken for a registry's answer it would puzzle people.
 */
import { AppError } from "../../errors.ts";
import type { HttpResponse } from "./http-client.ts";
import { redactUrl } from "./redact-url.ts";

const WORDS = /http request (?:was sent )?to (?:an )?https (?:server|port)/i;

/** Passes every other response on. Throws AppError `registry-unreachable`. */
export async function refuseTlsServer(response: HttpResponse): Promise<HttpResponse> {
  const { url } = response;
  if (response.status !== 400 || url.protocol !== "http:") return response;
  const rest = response.body[Symbol.asyncIterator]();
  // it is a short text, and comes in one piece
  const first = await rest.next();
  const words = first.done === true ? "" : Buffer.from(first.value).subarray(0, 4096).toString("latin1");
  if (!WORDS.test(words)) return replay(response, first, rest);
  await rest.return?.();
  throw new AppError("registry-unreachable", `Cannot reach ${redactUrl(url)}: it speaks TLS, not plain http`, {
    hint: `use https, and do not list ${url.host} among the insecure registries`,
    details: { url: redactUrl(url), reason: "HTTP_REQUEST_TO_TLS_SERVER", temporary: false },
  });
}

function replay(
  response: HttpResponse,
  first: IteratorResult<Uint8Array, unknown>,
  rest: AsyncIterator<Uint8Array, unknown>,
): HttpResponse {
  const end = async (): Promise<IteratorResult<Uint8Array, unknown>> => {
    await rest.return?.();
    return { done: true, value: undefined };
  };
  let replayed: typeof first | undefined = first;
  const body: AsyncIterableIterator<Uint8Array, unknown> = {
    [Symbol.asyncIterator]: () => body,
    async next() {
      const next = replayed ?? rest.next();
      replayed = undefined;
      return next;
    },
    return: end,
  };
  return { ...response, body, discard: async () => void (await end()) };
}
