/**
 * The addresses that a manifest gives for a layer, fetched as anybody would: no credentials, no headers of a registry's.
 * They come from whoever made the image, so they are held to the rules of a redirect: https, plain http only where the
 * operator allows it, and nobody elsewhere leads to this machine. That holds also where the manifest came from a mirror on
 * this machine, which passes on what others wrote.
 */
import { AppError } from "../../errors.ts";
import type { Emit } from "../../events.ts";
import type { HttpRequest, Send } from "../http/http-client.ts";
import { redactUrl } from "../http/redact-url.ts";
import { type RetryPolicy, retry } from "../http/retry.ts";
import { STRANGER, type TransportSecurity } from "../http/transport-security.ts";
import type { ByteStream } from "../source.ts";
import { blobStream, rangeHeader, type WantedBlob } from "./blob-stream.ts";
import type { HostTable } from "./hosts/route.ts";

export interface AddressContext {
  /** Where the manifest came from, for people: the addresses in it are no more to be trusted for it. */
  readonly from: URL;
  readonly what: string;
  readonly emit: Emit;
  readonly signal: AbortSignal;
}

export type OpenAddress = (url: URL, blob: WantedBlob, offset: number, context: AddressContext) => Promise<ByteStream>;

export interface AddressParts {
  /** Follows redirects. */
  readonly send: Send;
  readonly hosts: HostTable;
  readonly security: TransportSecurity;
  readonly retryPolicy: RetryPolicy;
}

/** Those of http and https; others (torrents, file shares) are passed over. */
export function layerAddresses(urls: readonly string[] | undefined): readonly URL[] {
  return (urls ?? []).flatMap((text) => {
    const url = URL.parse(text);
    return url !== null && /^https?:$/.test(url.protocol) && url.username === "" && url.password === "" ? [url] : [];
  });
}

export function createAddressOpener({ send, hosts, security, retryPolicy }: AddressParts): OpenAddress {
  return async (url, blob, offset, { from: registry, what, emit, signal }) => {
    const transport = await hosts.transportFor(url.host);
    security.check(url, STRANGER, transport);
    const item = `blob ${blob.digest} from ${redactUrl(url)}`;
    const open = (from: number) => {
      const header = rangeHeader({ from });
      const request: HttpRequest = {
        method: "GET",
        url,
        headers: header === undefined ? {} : { range: header },
        transport,
        emit,
        signal,
      };
      const attempt = async () => {
        const response = await send(request);
        if ([200, 206, 416].includes(response.status)) return blobStream(response, blob, { from }, `${item}, ${what}`);
        await response.discard();
        throw refused(response.status, item, what);
      };
      return retry(attempt, { what: item, policy: retryPolicy, emit, signal });
    };
    const message = `fetching ${item}, an address that the manifest from ${registry.host} gives`;
    emit({ type: "decision", topic: "layer", message });
    const opened = await open(offset);
    return opened === "refused-range" ? ((await open(0)) as ByteStream) : opened;
  };
}

function refused(status: number, item: string, what: string): AppError {
  const code = status === 404 || status === 410 ? "image-unknown" : "registry-error";
  return new AppError(code, `Cannot pull ${what}: ${item} answered ${status}`, {
    hint: "the image's manifest gives that address for a layer; ask who made the image",
    details: { status, temporary: status === 429 || status >= 500 },
  });
}
