/**
 * What is asked of a registry (distribution-spec, "Pull"): a manifest, a small blob, or the stream of a layer.
 * Everything that is returned as bytes has been verified; streams are verified by whoever reads them.
 */
import { type Digest, digestOf, isDigest } from "../../../store/index.ts";
import { AppError } from "../../errors.ts";
import type { Emit } from "../../events.ts";
import type { Descriptor } from "../../image/descriptor.ts";
import { MAX_MANIFEST_BYTES, schema1Unsupported } from "../../image/manifest.ts";
import {
  DOCKER_MANIFEST,
  DOCKER_MANIFEST_LIST,
  DOCKER_MANIFEST_V1,
  DOCKER_MANIFEST_V1_SIGNED,
  isSchema1,
  OCI_INDEX,
  OCI_MANIFEST,
} from "../../image/media-types.ts";
import type { ByteStream } from "../source.ts";
import { verifyBytes } from "../verify-bytes.ts";
import type { Authorizer } from "./authorizer.ts";
import { blobStream, type StreamedBlob } from "./blob-stream.ts";
import type { Endpoint } from "./endpoint.ts";
import { type HttpResponse, singleHeader } from "./http-client.ts";
import { readAtMost } from "./read-body.ts";
import { responseError } from "./registry-error.ts";
import { type RetryPolicy, retry } from "./retry.ts";

/** One image's repository at one registry, and whom to tell about what happens. */
export interface Repository {
  readonly endpoint: Endpoint;
  /** Without the endpoint's prefix. */
  readonly name: string;
  /** The image, for messages. */
  readonly what: string;
  readonly emit: Emit;
  readonly signal?: AbortSignal;
}

export interface FetchedManifest {
  readonly bytes: Uint8Array;
  readonly digest: Digest;
  readonly contentType: string | undefined;
}

export interface RegistryClient {
  /** By tag or by digest. `expected` is the descriptor that led here, if one did: its size bounds what is read. */
  fetchManifest(repository: Repository, version: string, expected?: Descriptor): Promise<FetchedManifest>;
  /** A blob that fits into memory. Throws `blob-corrupt` when it is not what its descriptor says. */
  fetchBlob(repository: Repository, descriptor: Descriptor, maxBytes: number): Promise<Uint8Array>;
  /** See ResolvedLayer.bytes. Not verified, but for what the headers already give away. */
  openBlob(repository: Repository, descriptor: Descriptor, offset: number, signal: AbortSignal): Promise<ByteStream>;
}

const ACCEPT_MANIFESTS = [
  OCI_INDEX,
  DOCKER_MANIFEST_LIST,
  OCI_MANIFEST,
  DOCKER_MANIFEST,
  // asked for so that what comes can be named in the error, instead of a bare 404
  `${DOCKER_MANIFEST_V1_SIGNED};q=0.5`,
  `${DOCKER_MANIFEST_V1};q=0.5`,
].join(", ");

export function createRegistryClient(authorizer: Authorizer, policy: RetryPolicy): RegistryClient {
  /** One successful answer (200, or one of `accepted`), handed to `read` under the same retries. */
  const fetch = <T>(
    repository: Repository,
    asked: Question,
    read: (response: HttpResponse) => Promise<T>,
  ): Promise<T> => {
    const { endpoint, name, what, emit } = repository;
    const signal = asked.signal ?? repository.signal;
    const repositoryName = `${endpoint.repositoryPrefix}${name}`;
    const request = {
      method: "GET" as const,
      url: new URL(`${repositoryName}/${asked.path}`, endpoint.api),
      headers: asked.headers,
      emit,
      ...(signal !== undefined && { signal }),
    };
    const attempt = async (): Promise<T> => {
      const target = { host: endpoint.host, repository: repositoryName };
      const { response, credentialSource } = await authorizer.send(request, target);
      if (response.status === 200 || asked.accepted?.includes(response.status)) return read(response);
      const facts = { what, endpoint, repository: repositoryName, item: asked.item, credentialSource };
      throw await responseError(response, facts);
    };
    return retry(attempt, { what: asked.item, policy, emit, ...(signal !== undefined && { signal }) });
  };

  return {
    fetchManifest(repository, version, expected) {
      const item = isDigest(version) ? `manifest ${version}` : `tag ${version}`;
      const asked = { path: `manifests/${version}`, item, headers: { accept: ACCEPT_MANIFESTS } };
      return fetch(repository, asked, async (response) => {
        const contentType = singleHeader(response, "content-type");
        if (isSchema1(contentType?.split(";", 1)[0]?.trim() ?? "")) {
          await response.discard();
          throw schema1Unsupported(repository.what);
        }
        const what = `${item} of ${repository.what}`;
        const bytes = await readDocument(response, expected?.size, MAX_MANIFEST_BYTES, what);
        // by tag, the server's own claim proves nothing, but where it contradicts the bytes one of them is damaged
        const claimed = isDigest(version) ? version : singleHeader(response, "docker-content-digest");
        const size = expected?.size;
        if (isDigest(claimed)) verifyBytes(bytes, { digest: claimed, ...(size !== undefined && { size }) }, what);
        return { bytes, contentType, digest: isDigest(version) ? version : digestOf(bytes) };
      });
    },

    fetchBlob(repository, descriptor, maxBytes) {
      const item = `blob ${descriptor.digest}`;
      const what = `${item} of ${repository.what}`;
      if (descriptor.size > maxBytes) throw tooLarge(what, maxBytes);
      return fetch(repository, { path: `blobs/${descriptor.digest}`, item, headers: {} }, async (response) =>
        verifyBytes(await readDocument(response, descriptor.size, maxBytes, what), descriptor, what),
      );
    },

    async openBlob(repository, descriptor, offset, signal) {
      const item = `blob ${descriptor.digest}`;
      const openFrom = (from: number): Promise<StreamedBlob> => {
        const headers: Record<string, string> = from === 0 ? {} : { range: `bytes=${from}-` };
        const asked = { path: `blobs/${descriptor.digest}`, item, headers, accepted: [206, 416], signal };
        return fetch(repository, asked, (response) =>
          blobStream(response, descriptor, from, `${item} of ${repository.what}`),
        );
      };
      // an empty range cannot be asked for
      if (offset > 0 && offset >= descriptor.size) return { offset: descriptor.size, body: nothing() };
      const opened = await openFrom(offset);
      return opened === "refused-range" ? (openFrom(0) as Promise<ByteStream>) : opened;
    },
  };
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
      {
        details: { expectedBytes: promised },
      },
    );
  }
  if (bytes === undefined) throw tooLarge(what, maxBytes);
  return bytes;
}

function tooLarge(what: string, maxBytes: number): AppError {
  return new AppError("manifest-invalid", `Cannot use ${what}: it is larger than the limit of ${maxBytes} bytes`);
}

interface Question {
  readonly path: string;
  /** For messages: `tag 1.36`. */
  readonly item: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly accepted?: readonly number[];
  readonly signal?: AbortSignal;
}
