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
  /** The content of a Docker config.json that came with this request: its credentials, and no others, are used. */
  readonly dockerConfig?: string;
  readonly workshop: Workshop;
}

/**
 * Work on content that cannot be named before all of it is here: an ACI, a schema 1 layer, a compressed archive. The
 * provisioner lends it to the sources; it is done by workers, in the store, and what it made is held until the pull is over.
 */
export interface Workshop {
  /** Brings bytes into the store as a blob. Bytes that an earlier attempt left under the same key are not asked for again. */
  keep(wanted: WantedBytes): Promise<KeptBytes>;
  /** For what was kept without a digest and is not what it should be: the next `keep` under its key asks for it again. */
  forget(key: string): void;
  /**
   * Reads a tar, compressed in any known way or not at all, from its first byte to its last.
   * Throws AppErrors `layer-invalid`, `layer-too-large`, `layer-unsupported`.
   */
  scanTar(file: FileRange, options: ScanOptions): Promise<TarScan>;
  /** What `bytes` are uncompressed, as a file that is gone when the pull is over. For archives that cannot be read in place. */
  expand(bytes: FileRange | AsyncIterable<Uint8Array>, what: string): Promise<FileRange>;
}

export interface WantedBytes {
  /**
   * Names what will be fetched, with all that tells one version of it from the next: URL, ETag, length. Empty where nothing
   * does: such bytes are neither remembered nor, once their process is gone, gone on with.
   */
  readonly key: string;
  /** When it is known before; otherwise it is the SHA-256 of what comes. Throws `blob-corrupt` where it does not hold. */
  readonly digest?: Digest;
  readonly sizeBytes?: number;
  readonly open: (offset: number, signal: AbortSignal) => Promise<ByteStream>;
  /** For messages and progress. */
  readonly what: string;
}

export interface KeptBytes {
  readonly digest: Digest;
  readonly file: FileRange;
}

export interface ScanOptions {
  readonly algorithm: "sha256" | "sha512";
  /** Regular files whose content is wanted, by exact name, with the most bytes that they may have. */
  readonly documents?: Readonly<Record<string, number>>;
}

export interface TarScan {
  /** Of the uncompressed tar, all of it. */
  readonly digest: Digest;
  readonly sizeBytes: number;
  readonly entryCount: number;
  /** Those that were found. A name that occurs twice is an error. */
  readonly documents: ReadonlyMap<string, Uint8Array>;
  /** First components of all names, without `./` before them; at most 1000 are told. */
  readonly topLevel: readonly string[];
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
  readonly bytes: { readonly file: FileRange } | RemoteBytes;
  /** When not all of the tar is the tree. */
  readonly part?: LayerPart;
  /** What it is and where it comes from, for people: messages speak of `a layer` where this does not say it. */
  readonly what?: string;
}

export interface RemoteBytes {
  readonly open: (offset: number, signal: AbortSignal) => Promise<ByteStream>;
  /**
   * Told that what came was not what it should have been. True when there is somebody else to ask, who will be asked by
   * the next `open`; false when the failure is final.
   */
  readonly distrust?: () => boolean;
}

/** The part of a tar that becomes a tree, as Appc has it (spec/aci.md, "Image Layout" and "pathWhitelist"). */
export interface LayerPart {
  /** Under which the tree is kept: the same tar, taken in parts of different kinds, gives different trees. */
  readonly key: Digest;
  /** The directory in the tar that is the root of the tree: `rootfs`. Entries outside of it are passed over. */
  readonly directory: string;
  /**
   * Each leaves only the paths that it lists (absolute, as the manifest writes them) and their parents; a path that ends
   * in a slash is a directory without its content, made where it is missing. All of them are applied.
   */
  readonly whitelists: readonly (readonly string[])[];
}

export interface StoredDocument {
  readonly descriptor: Descriptor;
  readonly bytes: Uint8Array;
}

export interface ResolvedImage {
  /**
   * What it is known by elsewhere, when that is not the digest of the manifest below: an Appc image ID, or the digest of a
   * schema 1 manifest, which is then among the attachments.
   */
  readonly imageId?: Digest;
  /** Documents that belong to the image besides those below, such as an Appc manifest. */
  readonly attachments?: readonly StoredDocument[];
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

/** Something that would be fetched, for a plan; what is inside of it cannot be told before. */
export interface Estimate {
  /** URL or path, without credentials. */
  readonly location: string;
  readonly sizeBytes: number | undefined;
  /** It is read where it lies. */
  readonly local: boolean;
}

/** What a name stands for at its source. */
export interface ResolvedName {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly size: number | undefined;
  /** As in ResolvedImage. */
  readonly source: string;
}

export interface NameOptions {
  /** The digest is only compared: it need not be found out whether it is that of an image. Default: false. */
  readonly anyKind?: boolean;
}

export interface ImageSource<R extends ImageReference = ImageReference> {
  readonly kind: R["kind"];
  resolve(reference: R, context: ResolveContext): Promise<ResolvedImage>;
  /**
   * Throws unless the request's credentials may read the manifest at its origin now. Sources without it, such as files,
   * give everybody what they have.
   */
  checkAccess?(reference: R, digest: Digest, context: ResolveContext): Promise<void>;
  /** The digest of what the name stands for, an index included, without fetching more than that takes. */
  resolveName?(reference: R, context: ResolveContext, options?: NameOptions): Promise<ResolvedName>;
  /** For formats of which much must be fetched before they can be resolved. Undefined for what is not of such a format. */
  estimate?(reference: R, context: ResolveContext): Promise<readonly Estimate[] | undefined>;
}
