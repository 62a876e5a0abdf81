/**
 * What is asked of a registry (distribution-spec, "Pull"): a manifest, a small blob, or the stream of a layer.
 * Everything that is returned as bytes has been verified; streams are verified by whoever reads them.
 */
import { type Digest, digestOf, isDigest } from "../../../store/index.ts";
import { AppError } from "../../errors.ts";
import type { Emit } from "../../events.ts";
import type { Descriptor } from "../../image/descriptor.ts";
import { MAX_MANIFEST_BYTES } from "../../image/manifest.ts";
import {
  contentMediaType,
  DOCKER_MANIFEST,
  DOCKER_MANIFEST_LIST,
  DOCKER_MANIFEST_V1,
  DOCKER_MANIFEST_V1_SIGNED,
  OCI_INDEX,
  OCI_MANIFEST,
} from "../../image/media-types.ts";
import { signedPayload } from "../../image/schema1.ts";
import { type HttpRequest, type HttpResponse, singleHeader } from "../http/http-client.ts";
import { contentLength, readAtMost } from "../http/read-body.ts";
import { type RetryPolicy, retry } from "../http/retry.ts";
import { MAX_WARNINGS, registryWarnings } from "../http/warnings.ts";
import type { ByteStream } from "../source.ts";
import { verifyBytes } from "../verify-bytes.ts";
import type { Authorizer } from "./authorizer.ts";
import { type ByteRange, blobStream, rangeHeader, type StreamedBlob, type WantedBlob } from "./blob-stream.ts";
import type { Credentials } from "./credentials.ts";
import { openInParallel, type RangeOptions } from "./parallel-ranges.ts";
import type { Place } from "./places.ts";
import { type ItemKind, responseError } from "./registry-error.ts";

/** For whom a registry is asked, and whom to tell about what happens. */
export interface Inquiry {
  /** The image, for messages. */
  readonly what: string;
  readonly emit: Emit;
  readonly signal?: AbortSignal;
  /** Those of this request, and no others; the configured ones otherwise. */
  readonly credentials?: Credentials;
  /** `HOST says: TEXT` that were told already. */
  readonly warned: Set<string>;
}

export interface FetchedManifest {
  /** What its digest is the digest of: of a signed manifest of schema 1 only the payload. */
  readonly bytes: Uint8Array;
  readonly digest: Digest;
  readonly contentType: string | undefined;
}

export interface ManifestHead {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly size: number;
}

export interface RegistryClient {
  /** By tag or by digest. `expected` is the descriptor that led here, if one did: its size bounds what is read. */
  fetchManifest(place: Place, inquiry: Inquiry, version: string, expected?: Descriptor): Promise<FetchedManifest>;
  /**
   * What the registry says about a manifest without sending it: its word, no more. "unclear" when it does not know HEAD, has
   * nothing there (proxies that have not fetched it yet say so too) or leaves out one of the three; GET tells then.
   */
  headManifest(place: Place, inquiry: Inquiry, version: string): Promise<ManifestHead | "unclear">;
  /** What the registry says that a blob's size is; undefined when it does not say. */
  blobSize(place: Place, inquiry: Inquiry, digest: Digest): Promise<number | undefined>;
  /** A blob that fits into memory. Throws `blob-corrupt` when it is not what its descriptor says. */
  fetchBlob(place: Place, inquiry: Inquiry, descriptor: Descriptor, maxBytes: number): Promise<Uint8Array>;
  /** See ResolvedLayer.bytes. Not verified, but for what the headers already give away. */
  openBlob(place: Place, inquiry: Inquiry, blob: WantedBlob, offset: number, signal: AbortSignal): Promise<ByteStream>;
}

export interface RegistryClientParts {
  readonly authorizer: Authorizer;
  readonly retryPolicy: RetryPolicy;
  readonly ranges: RangeOptions;
}

const ACCEPT_MANIFESTS = [
  OCI_INDEX,
  DOCKER_MANIFEST_LIST,
  OCI_MANIFEST,
  DOCKER_MANIFEST,
  `${DOCKER_MANIFEST_V1_SIGNED};q=0.5`,
  `${DOCKER_MANIFEST_V1};q=0.5`,
].join(", ");

export function createRegistryClient({ authorizer, retryPolicy, ranges }: RegistryClientParts): RegistryClient {
  /** One successful answer (200, or one of `accepted`), handed to `read` under the same retries. */
  const ask = <T>(
    place: Place,
    inquiry: Inquiry,
    question: Question,
    read: (response: HttpResponse) => Promise<T>,
  ): Promise<T> => {
    const { what, emit, credentials } = inquiry;
    const signal = question.signal ?? inquiry.signal;
    const repository = `${place.stop.endpoint.repositoryPrefix}${place.repository}`;
    const request = requestFor(place, repository, question, emit, signal);
    const attempt = async (): Promise<T> => {
      const target = { host: place.host, repository, ...(credentials !== undefined && { credentials }) };
      const { response, credentialSource } = await authorizer.send(request, target);
      tellWarnings(response, inquiry);
      if (response.status === 200 || question.accepted?.includes(response.status)) return read(response);
      const { endpoint } = place.stop;
      throw await responseError(response, { ...question, what, endpoint, repository, credentialSource });
    };
    const patient = place.patience === "all" ? attempt : () => attempt().catch(impatiently);
    const policy = place.patience === "none" ? { ...retryPolicy, attempts: 1 } : retryPolicy;
    return retry(patient, { what: question.item, policy, emit, ...(signal !== undefined && { signal }) });
  };

  return {
    fetchManifest(place, inquiry, version, expected) {
      const question = manifestQuestion(version);
      return ask(place, inquiry, question, async (response) => {
        const what = `${question.item} of ${inquiry.what}`;
        const contentType = singleHeader(response, "content-type");
        const received = await readDocument(response, expected?.size, MAX_MANIFEST_BYTES, what);
        const bytes = signedPayload(received, contentType, inquiry.what) ?? received;
        // by tag, the server's own claim proves nothing, but where it contradicts the bytes one of them is damaged
        const claimed = isDigest(version) ? version : singleHeader(response, "docker-content-digest");
        const size = expected?.size;
        if (isDigest(claimed)) verifyBytes(bytes, { digest: claimed, ...(size !== undefined && { size }) }, what);
        return { bytes, contentType, digest: isDigest(version) ? version : digestOf(bytes) };
      });
    },

    headManifest(place, inquiry, version) {
      const question = { ...manifestQuestion(version), method: "HEAD" as const, accepted: [400, 404, 405, 501] };
      return ask(place, inquiry, question, async (response) => {
        await response.discard();
        const digest = singleHeader(response, "docker-content-digest");
        const mediaType = contentMediaType(singleHeader(response, "content-type"));
        const size = contentLength(response);
        if (response.status !== 200 || !isDigest(digest) || mediaType === undefined || size === undefined)
          return "unclear";
        return { digest, mediaType, size };
      });
    },

    blobSize(place, inquiry, digest) {
      const question = { ...blobQuestion(digest), method: "HEAD" as const };
      return ask(place, inquiry, question, async (response) => {
        await response.discard();
        return contentLength(response);
      });
    },

    fetchBlob(place, inquiry, descriptor, maxBytes) {
      const question = blobQuestion(descriptor.digest);
      const what = `${question.item} of ${inquiry.what}`;
      if (descriptor.size > maxBytes) throw tooLarge(what, maxBytes);
      return ask(place, inquiry, question, async (response) =>
        verifyBytes(await readDocument(response, descriptor.size, maxBytes, what), descriptor, what),
      );
    },

    async openBlob(place, inquiry, blob, offset, signal) {
      const question = blobQuestion(blob.digest);
      const what = `${question.item} of ${inquiry.what}`;
      const open = (range: ByteRange, until: AbortSignal): Promise<StreamedBlob> => {
        const header = rangeHeader(range);
        const headers: Record<string, string> = header === undefined ? {} : { range: header };
        const asked = { ...question, headers, accepted: [206, 416], signal: until };
        return ask(place, inquiry, asked, (response) => blobStream(response, blob, range, what));
      };
      const { size } = blob;
      // an empty range cannot be asked for
      if (offset > 0 && size !== undefined && offset >= size) return { offset: size, body: nothing() };
      const large = size !== undefined && size - offset >= ranges.minBytes;
      const opened =
        large && ranges.parallelism > 1
          ? await openInParallel(open, { offset, size, what }, ranges, signal)
          : await open({ from: offset }, signal);
      return opened === "refused-range" ? ((await open({ from: 0 }, signal)) as ByteStream) : opened;
    },
  };
}

interface Question {
  readonly method?: "GET" | "HEAD";
  readonly path: string;
  readonly kind: ItemKind;
  /** For messages: `tag 1.36`. */
  readonly item: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly accepted?: readonly number[];
  readonly signal?: AbortSignal;
}

function manifestQuestion(version: string): Question {
  const byDigest = isDigest(version);
  const item = byDigest ? `manifest ${version}` : `tag ${version}`;
  const kind = byDigest ? "manifest" : "tag";
  return { path: `manifests/${version}`, kind, item, headers: { accept: ACCEPT_MANIFESTS } };
}

function blobQuestion(digest: Digest): Question {
  return { path: `blobs/${digest}`, kind: "blob", item: `blob ${digest}`, headers: {} };
}

function requestFor(
  { stop }: Place,
  repository: string,
  { method = "GET", path, headers }: Question,
  emit: Emit,
  signal: AbortSignal | undefined,
): HttpRequest {
  const url = new URL(`${repository}/${path}`, stop.endpoint.api);
  if (stop.namespace !== undefined) url.searchParams.set("ns", stop.namespace);
  const { transport, headers: hostHeaders } = stop;
  return { method, url, headers, hostHeaders, transport, emit, ...(signal !== undefined && { signal }) };
}

/** What was no answer is not tried again: the next place is asked at once. */
function impatiently(error: unknown): never {
  if (!(error instanceof AppError) || error.details["status"] !== undefined) throw error;
  const { code, message, hint, details } = error;
  throw new AppError(code, message, {
    ...(hint !== undefined && { hint }),
    details: { ...details, temporary: false },
    cause: error,
  });
}

/** distribution-spec, "Warnings": shown, but only once. */
function tellWarnings(response: HttpResponse, { warned, emit }: Inquiry): void {
  for (const text of registryWarnings(response)) {
    const message = `${response.url.host} says: ${text}`;
    if (warned.has(message)) continue;
    if (warned.size >= MAX_WARNINGS) return;
    warned.add(message);
    emit({ type: "warning", message });
  }
}

async function* nothing(): AsyncGenerator<Uint8Array> {}

/** Bounded by what was promised, and by what is ever accepted. */
async function readDocument(
  response: HttpResponse,
  promised: number | undefined,
  maxBytes: number,
  what: string,
): Promise<Buffer> {
  const bytes = await readAtMost(response, Math.min(promised ?? maxBytes, maxBytes));
  if (bytes === undefined && promised !== undefined && promised <= maxBytes) {
    throw new AppError(
      "blob-corrupt",
      `Cannot use ${what}: the registry sent more than the ${promised} bytes that it should have`,
      { details: { expectedBytes: promised }, hint: "the registry, or a proxy before it, has something else there" },
    );
  }
  if (bytes === undefined) throw tooLarge(what, maxBytes);
  return bytes;
}

function tooLarge(what: string, maxBytes: number): AppError {
  return new AppError("manifest-invalid", `Cannot use ${what}: it is larger than the limit of ${maxBytes} bytes`, {
    hint: "those of images are a few kilobytes; is it the right name, and a container registry that answers?",
  });
}
