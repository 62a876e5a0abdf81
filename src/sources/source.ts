/**
 * The contract between an image source and the provisioner: a reference goes in, a ResolvedImage comes out, whose
 * manifest and configuration are already here and verified, and whose layers can be opened as byte streams.
 */
import type { Digest } from "../../store/index.ts";
import type { Emit } from "../events.ts";
import type { Descriptor } from "../image/descriptor.ts";
import type { ImageConfig } from "../image/image-config.ts";
import type { Platform } from "../image/platform.ts";
import type { ImageReference } from "../image/reference.ts";

export interface ResolveContext {
  readonly platform: Platform;
  readonly emit: Emit;
  readonly signal?: AbortSignal;
}

/** Bytes from `offset` on. `offset` may be smaller than asked for when the source cannot start in the middle. */
export interface ByteStream {
  readonly offset: number;
  readonly body: AsyncIterable<Uint8Array>;
}

/** A byte range of a local file; an extraction worker reads it itself, with no copy through the main thread. */
export interface FileRange {
  readonly path: string;
  readonly offset: number;
  readonly sizeBytes: number;
}

export interface ResolvedLayer {
  /** Digest and size of the layer as it is transported (compressed or not). */
  readonly blob: Descriptor;
  /** Digest of the uncompressed tar, from the image configuration. */
  readonly diffId: Digest;
  /** Whether the transported bytes are worth a place in the store: yes for a network, no for an archive on this disk. */
  readonly keepBlob: boolean;
  /** Where the bytes are: on this disk, or behind a stream that is opened when its turn comes. */
  readonly bytes:
    | { readonly file: FileRange }
    | { readonly open: (offset: number, signal: AbortSignal) => Promise<ByteStream> };
}

export interface StoredDocument {
  readonly descriptor: Descriptor;
  readonly bytes: Uint8Array;
}

export interface ResolvedImage {
  /** Canonical name under which the image is listed, e.g. `docker.io/library/busybox:latest`. */
  readonly name: string;
  /** Where it came from, for people: a registry host or a path. Never with credentials. */
  readonly source: string;
  readonly platform: Platform;
  /** The manifest that was picked: verified against its digest. Archives without one get a synthesised OCI manifest. */
  readonly manifest: StoredDocument;
  /** The index that led to the manifest, when there was one. */
  readonly index?: StoredDocument;
  readonly config: StoredDocument;
  readonly imageConfig: ImageConfig;
  /** Base first. */
  readonly layers: readonly ResolvedLayer[];
}

export interface ImageSource<R extends ImageReference = ImageReference> {
  readonly kind: R["kind"];
  resolve(reference: R, context: ResolveContext): Promise<ResolvedImage>;
}
