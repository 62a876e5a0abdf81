/** From an answer that is no success to an AppError that says who refused what, with which credentials, and what to do. */
import { z } from "zod";
import { AppError, type ErrorCode } from "../../errors.ts";
import type { Endpoint } from "./endpoint.ts";
import { type HttpResponse, singleHeader } from "./http-client.ts";
import { readAtMost } from "./read-body.ts";
import { redactUrl } from "./redact-url.ts";
import { parseRetryAfter } from "./retry.ts";

export interface Asked {
  /** What the user wanted, for messages: an image name. */
  readonly what: string;
  readonly endpoint: Endpoint;
  /** `repository library/busybox` and what of it: tag, digest, blob. */
  readonly repository: string;
  readonly item: string;
  /** Where the credentials that were sent came from; undefined when none were. */
  readonly credentialSource: string | undefined;
}

/** distribution-spec, error codes. The messages beside them are the registry's own words and are not repeated. */
const errorBodySchema = z.object({ errors: z.array(z.object({ code: z.string().regex(/^[A-Z_]{1,40}$/) })).min(1) });

/** Reads and ends the body. */
export async function responseError(response: HttpResponse, request: Asked): Promise<AppError> {
  // after a redirect somebody else answers, who was not sent the credentials
  const elsewhere = response.url.origin !== request.endpoint.api.origin;
  const asked: Answered = elsewhere
    ? { ...request, host: response.url.host, credentialSource: undefined }
    : { ...request, host: request.endpoint.host };
  const { status } = response;
  const registryCode = await readRegistryCode(response);
  const retryAfterMs = parseRetryAfter(singleHeader(response, "retry-after"));
  const { code, why, hint } = explain(status, registryCode, asked, retryAfterMs);
  return new AppError(code, `Cannot pull ${asked.what}: ${why}`, {
    ...(hint !== undefined && { hint }),
    details: {
      status,
      url: redactUrl(response.url),
      temporary: status === 429 || status >= 500,
      ...(registryCode !== undefined && { registryCode }),
      ...(retryAfterMs !== undefined && { retryAfterMs }),
    },
  });
}

type Answered = Asked & { readonly host: string };

interface Explanation {
  readonly code: ErrorCode;
  readonly why: string;
  readonly hint?: string;
}

function explain(
  status: number,
  registryCode: string | undefined,
  asked: Answered,
  retryAfterMs: number | undefined,
): Explanation {
  const named = registryCode === undefined ? "" : ` (${registryCode})`;
  if (status === 401 || status === 403) return denied(status, named, asked);
  if (status === 404) {
    const lost = registryCode === "NAME_UNKNOWN" ? "no repository" : `no ${asked.item} in`;
    return {
      code: "image-unknown",
      why: `registry ${asked.host} has ${lost} ${asked.repository}`,
      hint: "check the spelling of repository and tag",
    };
  }
  if (status === 429) {
    const when = retryAfterMs === undefined ? "later" : `in ${Math.ceil(retryAfterMs / 1000)} s`;
    return {
      code: "registry-error",
      why: `registry ${asked.host} answered 429, too many requests`,
      hint: `try again ${when}${asked.credentialSource === undefined ? ", or log in: limits for anonymous users are lower" : ""}`,
    };
  }
  return {
    code: "registry-error",
    why: `registry ${asked.host} answered ${status}${named} when asked for ${asked.item}`,
  };
}

function denied(status: number, named: string, asked: Answered): Explanation {
  const anonymous = asked.credentialSource === undefined;
  const whom = anonymous ? "an anonymous request" : `the credentials from ${asked.credentialSource}`;
  return {
    code: "registry-denied",
    why: `registry ${asked.host} answered ${status}${named} to ${whom}`,
    hint: anonymous
      ? `log in to ${asked.host} (docker login), or check the name: registries also answer so for what does not exist`
      : "check that they are current and may read this repository, and that the name is right",
  };
}

async function readRegistryCode(response: HttpResponse): Promise<string | undefined> {
  try {
    const bytes = await readAtMost(response, 64 * 1024);
    if (bytes === undefined) return undefined;
    return errorBodySchema.safeParse(JSON.parse(bytes.toString("utf8"))).data?.errors[0]?.code;
  } catch {
    // the status alone must do: what broke here is only the explanation of a failure
    return undefined;
  }
}
