/** From an answer that is no success to an AppError that says who refused what, with which credentials, and what to do. */
import { z } from "zod";
import { AppError, type ErrorCode } from "../../errors.ts";
import { type HttpResponse, singleHeader } from "../http/http-client.ts";
import { readAtMost } from "../http/read-body.ts";
import { redactUrl } from "../http/redact-url.ts";
import { parseRetryAfter, retryAfterIn } from "../http/retry.ts";
import type { Endpoint } from "./endpoint.ts";

/** A tag is somebody's word; a manifest or blob by digest is something that another document said would be there. */
export type ItemKind = "tag" | "manifest" | "blob";

export interface Asked {
  /** What the user wanted, for messages: an image name. */
  readonly what: string;
  readonly endpoint: Endpoint;
  /** `repository library/busybox` and what of it: tag, digest, blob. */
  readonly repository: string;
  readonly item: string;
  readonly kind: ItemKind;
  /** Where the credentials that were sent came from; undefined when none were. */
  readonly credentialSource: string | undefined;
}

const MAX_BODY_BYTES = 64 * 1024;

/** distribution-spec, error codes. The messages beside them are the registry's own words and are not repeated. */
const errorBodySchema = z.object({ errors: z.array(z.object({ code: z.string().regex(/^[A-Z_]{1,40}$/) })).min(1) });

/** Reads and ends the body. */
export async function responseError(response: HttpResponse, request: Asked): Promise<AppError> {
  // after a redirect somebody else answers, who was not sent the credentials
  const elsewhere = response.url.origin !== request.endpoint.api.origin;
  const asked: Answered = elsewhere
    ? { ...request, elsewhere, host: response.url.host, credentialSource: undefined }
    : { ...request, elsewhere, host: request.endpoint.host };
  const { status } = response;
  const body = await readBody(response);
  const registryCode = codeIn(body);
  // some registries only say it in words
  const inWords = status === 429 ? retryAfterIn(body) : undefined;
  const retryAfterMs = parseRetryAfter(singleHeader(response, "retry-after")) ?? inWords;
  const { code, why, hint } = explain(status, registryCode, asked, retryAfterMs);
  return new AppError(code, `Cannot get ${asked.what}: ${why}`, {
    hint,
    details: {
      status,
      url: redactUrl(response.url),
      temporary: status === 429 || status >= 500,
      ...(registryCode !== undefined && { registryCode }),
      ...(retryAfterMs !== undefined && { retryAfterMs }),
    },
  });
}

type Answered = Asked & { readonly host: string; readonly elsewhere: boolean };

interface Explanation {
  readonly code: ErrorCode;
  readonly why: string;
  readonly hint: string;
}

function explain(
  status: number,
  registryCode: string | undefined,
  asked: Answered,
  retryAfterMs: number | undefined,
): Explanation {
  const named = registryCode === undefined ? "" : ` (${registryCode})`;
  if (status === 401 || status === 403) return denied(status, named, asked);
  if (status === 404) return unknown(registryCode, asked);
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
    hint:
      status >= 500
        ? "the failure is the registry's; try again later, or ask who runs it"
        : "is that address a container registry, and is the name one that it can have?",
  };
}

function unknown(registryCode: string | undefined, asked: Answered): Explanation {
  const { host, repository, item } = asked;
  const noRepository = registryCode === "NAME_UNKNOWN";
  const why = `registry ${host} has ${noRepository ? "no repository" : `no ${item} in`} ${repository}`;
  if (asked.kind === "blob") {
    const hint = asked.elsewhere
      ? `registry ${asked.endpoint.host} sent us there: it has lost what the manifest names; push the image again`
      : "the manifest names it, so the registry has lost it; push the image again";
    return { code: "image-unknown", why, hint };
  }
  return {
    code: "image-unknown",
    why,
    hint:
      asked.kind === "tag"
        ? "check the spelling of repository and tag"
        : "check the digest; what nothing refers to any more is deleted by many registries",
  };
}

function denied(status: number, named: string, asked: Answered): Explanation {
  const anonymous = asked.credentialSource === undefined;
  const whom = anonymous ? "an anonymous request" : `the credentials from ${asked.credentialSource}`;
  const why = `registry ${asked.host} answered ${status}${named} to ${whom}`;
  if (asked.elsewhere) {
    const hint = `registry ${asked.endpoint.host} sent us there, without credentials as it must be; signed links run out: try again`;
    return { code: "registry-denied", why, hint };
  }
  return {
    code: "registry-denied",
    why,
    hint: anonymous
      ? `log in to ${asked.host} (docker login), or check the name: registries also answer so for what does not exist`
      : "check that they are current and may read this repository, and that the name is right",
  };
}

/** What came of it, "" where it broke or is too long: the status alone must do then. */
async function readBody(response: HttpResponse): Promise<string> {
  try {
    return (await readAtMost(response, MAX_BODY_BYTES))?.toString("utf8") ?? "";
  } catch {
    return "";
  }
}

function codeIn(body: string): string | undefined {
  try {
    return errorBodySchema.safeParse(JSON.parse(body)).data?.errors[0]?.code;
  } catch {
    return undefined;
  }
}
