/** Where a layer's bytes are: in its descriptor, at registries, at the addresses that its manifest gives. */
import type { Digest } from "../../../store/index.ts";
import { AppError } from "../../errors.ts";
import type { Descriptor } from "../../image/descriptor.ts";
import { isForeignLayer } from "../../image/media-types.ts";
import { inlineData } from "../inline-data.ts";
import type { RemoteBytes } from "../source.ts";
import { layerAddresses } from "./layer-address.ts";
import { type RemoteLayerParts, remoteLayer } from "./remote-layer.ts";

export interface LayerBytesParts extends RemoteLayerParts {
  readonly foreignLayers: boolean;
}

/** Of a layer of whose descriptor everything is known, or of one of schema 1, of which only the digest is. */
export function layerBytes(blob: Descriptor | { readonly digest: Digest }, parts: LayerBytesParts): RemoteBytes {
  if (!("mediaType" in blob)) return remoteLayer(blob, [], parts);
  if (blob.data !== undefined) return { open: async (offset) => openInline(blob, offset, parts.inquiry.what) };
  const addresses = layerAddresses(blob.urls);
  if (parts.foreignLayers || addresses.length === 0) return remoteLayer(blob, addresses, parts);
  const { open, ...rest } = remoteLayer(blob, [], parts);
  const explained = async (error: unknown): Promise<never> => {
    if (!(error instanceof AppError) || error.code !== "image-unknown" || !isForeignLayer(blob.mediaType)) throw error;
    const { code, message, details } = error;
    const hint = "it is a layer that registries need not have; with foreign_layers it is fetched from elsewhere";
    throw new AppError(code, message, { hint, details, cause: error });
  };
  return { ...rest, open: (offset, signal) => open(offset, signal).catch(explained) };
}

function openInline(blob: Descriptor, offset: number, what: string) {
  const bytes = inlineData(blob, `a layer of ${what}`) ?? Buffer.alloc(0);
  return { offset, body: once(bytes.subarray(offset)) };
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  if (bytes.byteLength > 0) yield bytes;
}
