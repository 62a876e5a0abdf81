/**
 * The nouns of the store and what can be asked of them: types only, no I/O. The files that implement them say how.
 *
 * Everything is synchronous. Times are milliseconds since 1970, sizes are bytes, layers are ordered base first.
 */
import type { Digest } from "./digest.ts";
import type { StorePaths } from "./paths.ts";

export interface OpenStoreOptions {
  readonly root: string;
  /** `full` flushes to the disk before every commit; `relaxed` (the default) soon after, and distrusts the rest after a power loss. */
  readonly durability?: Durability;
  /** How long to wait for another process's write. */
  readonly busyTimeoutMs?: number;
  /** Whether a missing or empty directory becomes a store. Default true. */
  readonly create?: boolean;
  /** syncfs(2) of the file system of `path`, which Node lacks. Without it blobs are flushed one by one, layers only under `full`. */
  readonly sync?: (path: string) => void;
  /** The same without holding up the caller's thread: syncfs takes as long as there is to write. Preferred where given. */
  readonly syncInBackground?: (path: string) => Promise<void>;
  /** Awaited before each flush in the background: until when it would be in the way. What is committed meanwhile is flushed too. */
  readonly beforeBackgroundSync?: () => Promise<void>;
  /** Whether closing the store flushes what it committed. Default true; otherwise the next process of this boot does. */
  readonly syncOnClose?: boolean;
}

export type Durability = "relaxed" | "full";

export interface Store extends Disposable {
  /** Absolute, without symbolic links. */
  readonly root: string;
  readonly durability: Durability;
  readonly paths: StorePaths;
  readonly blobs: Blobs;
  readonly layers: Layers;
  readonly images: Images;
  readonly rootfs: RootfsTable;
  readonly leases: Leases;
  /** Removes everything that no image, lease or rootfs needs. Safe beside pulls and provisions of any process. */
  collect(options?: CollectOptions): CollectReport;
  /** Clears up after owners that died. Runs on open; cheap when there is nothing to do. */
  heal(): HealReport;
  /** Flushes what is not yet known to be on the disk. Runs by itself soon after commits, and on close. */
  flush(): void;
  verifyBlob(digest: Digest): Problem | undefined;
  /** Looks for damage and reports it; changes nothing. `deep` reads every blob. */
  verify(options?: { readonly deep?: boolean }): VerifyReport;
  usage(): Usage;
}

/** Who made a row: a process, told apart from later ones with the same pid. */
export interface Owner {
  readonly pid: number;
}

// ── leases ──────────────────────────────────────────────────────────────────────────────────────────────────────────

export interface Leases {
  acquire(options: { readonly purpose: string }): Lease;
  list(): LeaseSummary[];
}

export type LeaseItemKind = "blob" | "layer" | "image";

/** Protects what it holds from collection until it is released, or its process is gone. */
export interface Lease extends Disposable {
  readonly id: number;
  readonly purpose: string;
  /** Holds something, whether it exists yet or not. Throws `lease-lost` once the lease is released. */
  hold(kind: LeaseItemKind, key: string): void;
  release(): void;
}

export interface LeaseSummary {
  readonly id: number;
  readonly purpose: string;
  readonly owner: Owner;
  readonly createdAt: number;
  readonly items: number;
}

// ── blobs ───────────────────────────────────────────────────────────────────────────────────────────────────────────

export interface Blob {
  readonly digest: Digest;
  readonly size: number;
  readonly path: string;
  readonly createdAt: number;
  /** Whether it is known to have reached the disk. */
  readonly synced: boolean;
}

export interface Blobs {
  /**
   * The blob, if it is here and can be trusted: one that was not flushed before another boot began is hashed again
   * first, and dropped when wrong; one whose file is gone or has another size is dropped too.
   */
  get(digest: Digest): Blob | undefined;
  list(): Blob[];
  /** Its bytes, hashed again. Throws `blob-missing`, `blob-too-large`, `blob-digest-mismatch` (and drops it). */
  read(digest: Digest, options: { readonly maxBytes: number }): Buffer;
  /** Hashes the stored bytes, whatever their size; false when they are wrong or gone, and then the blob is dropped. */
  recheck(digest: Digest): boolean;
  /** Stores small content, held by the lease. With `digest`, throws `blob-digest-mismatch` for other bytes. */
  put(bytes: Uint8Array, options: { readonly digest?: Digest; readonly lease: Lease }): Blob;
  /** Asks to bring a blob in: one process at a time, whoever asks. The lease holds it from this moment, in every state. */
  ingest(options: { readonly digest: Digest; readonly size?: number; readonly lease: Lease }): IngestClaim;
  /**
   * The same for bytes that cannot be named before all of them are here: `key` says what is being brought in, with all
   * that tells one version of it from the next, and is what a later attempt resumes by. `present` where an earlier one,
   * under the same key, brought in a blob that is still here.
   *
   * An empty key says that nothing tells one version from the next. Such an ingest stands in nobody's way and is not
   * remembered: what is not committed goes when it is disposed of, or with its process.
   */
  ingestUnnamed(options: { readonly key: string; readonly size?: number; readonly lease: Lease }): IngestClaim;
  /** Forgets what a key of `ingestUnnamed` brought in, which was not what it should be; the blob is left to collection. */
  forgetUnnamed(key: string): void;
  /** Bytes of it that an unfinished download, going on or broken off, has left here. */
  pendingBytes(digest: Digest): number;
  /** Records that `parent` (a stored manifest or index) needs `children`. Throws `blob-missing` when parent is not here. */
  addEdges(parent: Digest, children: readonly Digest[]): void;
  children(parent: Digest): Digest[];
}

export type IngestClaim =
  | { readonly state: "present"; readonly blob: Blob }
  | { readonly state: "busy"; readonly owner: Owner }
  | { readonly state: "claimed"; readonly ingest: Ingest };

/**
 * The right to bring one blob in. Unless committed, disposing gives up the right and keeps the bytes for whoever
 * resumes. The bytes are written by `openIngestWriter`, in any thread.
 */
export interface Ingest extends Disposable {
  /** What the bytes must be; undefined where only they will tell. */
  readonly digest: Digest | undefined;
  readonly size: number | undefined;
  readonly path: string;
  /** Bytes that are in the file already, from an earlier attempt. */
  readonly offset: number;
  /**
   * Makes the file a blob, held by the lease. `verified` is what the writer's `finish` returned. Where that blob is here
   * already (an unnamed one may turn out to be an old acquaintance), the file is dropped and the blob returned.
   */
  commit(verified: { readonly digest: Digest; readonly size: number }): Blob;
  /** Gives up the right and removes the bytes. */
  discard(): void;
}

// ── layers ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** `layer`: one extracted tree, keyed by DiffID. `fixup`: what overlayfs needs on top of an image, keyed by ChainID. */
export type LayerKind = "layer" | "fixup";

/** What the caller wants to know again about a layer: a JSON object of at most 4 KiB, returned as it was given. */
export type LayerFacts = Readonly<Record<string, unknown>>;

export interface Layer {
  readonly key: Digest;
  readonly kind: LayerKind;
  readonly shortId: string;
  /** `layers/<short id>`, and in it the tree and the entry index. */
  readonly path: string;
  readonly fsPath: string;
  readonly indexPath: string;
  readonly sizeBytes: number;
  readonly entryCount: number;
  readonly facts: LayerFacts;
  readonly createdAt: number;
  readonly lastUsedAt: number;
}

/**
 * Names one tree. A plain Digest means the layer of that key or, if there is none, the fix-up. The kind matters: the
 * ChainID of a single layer *is* its DiffID, so an image of one layer and its fix-up share a key.
 */
export type LayerRef = Digest | { readonly key: Digest; readonly kind: LayerKind };

export interface Layers {
  /** The layer, if it is here and can be trusted; one not flushed before another boot began cannot, and is made again. */
  get(key: Digest, kind?: LayerKind): Layer | undefined;
  list(): Layer[];
  /** Asks to make a layer: one process at a time. The lease holds it from this moment, in every state. */
  stage(options: { readonly key: Digest; readonly kind: LayerKind; readonly lease: Lease }): StageClaim;
  /** Removes a layer; false when there is none. Throws `layer-in-use` when a rootfs stands on it. Leases do not stop it. */
  remove(key: Digest, kind?: LayerKind): boolean;
}

export type StageClaim =
  | { readonly state: "present"; readonly layer: Layer }
  | { readonly state: "busy"; readonly owner: Owner }
  | { readonly state: "claimed"; readonly staged: StagedLayer };

/** The right to make one layer. Unless committed, disposing removes what was made. */
export interface StagedLayer extends Disposable {
  readonly path: string;
  /** Made, empty, 0755. */
  readonly fsPath: string;
  /** Not made. */
  readonly indexPath: string;
  commit(made: { readonly sizeBytes: number; readonly entryCount: number; readonly facts: LayerFacts }): Layer;
}

// ── images ──────────────────────────────────────────────────────────────────────────────────────────────────────────

export interface ImageLayer {
  /** Key of its tree: the DiffID, or where the tree is only part of a tar, a key that says of what and which. */
  readonly diffId: Digest;
  /** The transported form, when it is kept. */
  readonly blob: Digest | undefined;
}

export interface Image {
  /** Canonical reference; unique together with the platform. */
  readonly name: string;
  readonly platform: string;
  readonly manifestDigest: Digest;
  readonly configDigest: Digest;
  readonly mediaType: string;
  readonly sizeBytes: number | undefined;
  readonly source: string | undefined;
  /** Key of the image's fix-up, when it may have one. */
  readonly chainId: Digest | undefined;
  /** An ID that its format gives it, beside the digests of its documents: an Appc image ID. */
  readonly imageId: Digest | undefined;
  readonly pinned: boolean;
  readonly createdAt: number;
  /** When the name was last set, to something new or to what it was. */
  readonly updatedAt: number;
  readonly lastUsedAt: number;
  readonly layers: readonly ImageLayer[];
}

export interface NewImage {
  readonly name: string;
  readonly platform: string;
  readonly manifestDigest: Digest;
  readonly configDigest: Digest;
  readonly mediaType: string;
  readonly sizeBytes?: number;
  readonly source?: string;
  readonly chainId?: Digest;
  readonly imageId?: Digest;
  /** The platform for which it was chosen, if that is another than its own: `get` finds it under both. */
  readonly askedPlatform?: string;
  /** Canonical names, other than its own, that led to it on the platform that was asked for. Each leads to one image. */
  readonly askedNames?: readonly string[];
  /** `part` describes, to the caller itself, how the tree was taken from the tar where it is not all of it. */
  readonly layers: readonly { readonly diffId: Digest; readonly blob?: Digest; readonly part?: LayerFacts }[];
  readonly lease: Lease;
}

export interface Images {
  /**
   * Points a name at an image, or moves it; `pinned` and `createdAt` stay, `askedNames` move here. Throws `blob-missing` when the manifest or the
   * configuration is not stored, `lease-lost`, `image-invalid`.
   */
  set(image: NewImage): Image;
  /** Without a platform: the one used last. */
  get(name: string, platform?: string): Image | undefined;
  /**
   * The image to which a name that need not be its own led last: on that platform, or for one whose own platform it is.
   * Without a platform: on any.
   */
  getAsked(name: string, platform?: string): Image | undefined;
  /** How its layers were taken from their tars, one for each, as `set` was told. Throws `image-not-found` if it has changed. */
  parts(image: Image): readonly (LayerFacts | undefined)[];
  list(): Image[];
  /** All images with this manifest or configuration digest, or this image ID. */
  findByDigest(digest: Digest): Image[];
  /** All images whose names begin so, used last first. */
  findByPrefix(prefix: string): Image[];
  /** Without a platform: of all platforms. Its content goes with the next collection. False when there was none. */
  remove(name: string, platform?: string): boolean;
  /** Records that it was used now. */
  touch(name: string, platform?: string): void;
  /** Throws `image-not-found`. */
  pin(name: string, pinned: boolean, platform?: string): void;
}

// ── root filesystems ────────────────────────────────────────────────────────────────────────────────────────────────

export type RootfsState = "preparing" | "ready" | "destroying";

export interface Rootfs {
  readonly id: string;
  readonly image: string | undefined;
  readonly imageDigest: Digest;
  readonly backend: string;
  readonly state: RootfsState;
  readonly readOnly: boolean;
  /** `rootfs/<short id>`: everything of this rootfs is in it. */
  readonly directory: string;
  /** What a container sees as `/`; undefined until it is ready. */
  readonly rootfsPath: string | undefined;
  /** As given to `ready`. */
  readonly mounts: unknown;
  readonly runtimeConfig: unknown;
  readonly layers: readonly { readonly key: Digest; readonly kind: LayerKind }[];
  readonly createdAt: number;
  /** Who prepares or destroys it; undefined when that process is gone, or it is ready. */
  readonly owner: Owner | undefined;
  /** False when the machine was started again since it was made ready: its mounts are gone. */
  readonly fromThisBoot: boolean;
}

export interface NewRootfs {
  /** 1 to 255 of `A-Z a-z 0-9 _ . : -`, starting with a letter or digit, without `..`. */
  readonly id: string;
  readonly image?: string;
  readonly imageDigest: Digest;
  readonly backend: string;
  readonly readOnly: boolean;
  /** Base first, the fix-up included. None of them can be removed while this rootfs exists. */
  readonly layers: readonly LayerRef[];
  readonly lease?: Lease;
  readonly runtimeConfig?: unknown;
}

export interface RootfsTable {
  /** A row in state `preparing` and an empty directory. Throws `rootfs-exists` {state}, `rootfs-invalid-id`, `layer-missing`. */
  create(rootfs: NewRootfs): Rootfs;
  /** Commits it: preparing → ready. Throws `rootfs-not-found` when this process does not prepare it. */
  ready(id: string, made: { readonly path: string; readonly mounts?: unknown }): Rootfs;
  /** Claims it for destruction; undefined when there is none. Throws `rootfs-busy` when another live process has it. */
  destroying(id: string): Rootfs | undefined;
  /** Ends a destruction: removes the directory and then the row. Throws `rootfs-mounted` when something is mounted in it. */
  removed(id: string): void;
  get(id: string): Rootfs | undefined;
  list(): Rootfs[];
  /** Throws `rootfs-not-found`. */
  directory(id: string): string;
  /** Half made or half destroyed by processes that are gone: whoever knows of mounts destroys them. */
  abandoned(): Rootfs[];
}

// ── reports ─────────────────────────────────────────────────────────────────────────────────────────────────────────

export interface CollectOptions {
  readonly dryRun?: boolean;
  /** How long an abandoned download is kept for resuming. Default 24 hours. */
  readonly keepStaleIngestMs?: number;
}

export interface Collected {
  readonly kind: "blob" | "layer" | "fixup" | "ingest" | "orphan";
  /** Digest, or for an orphan its path in the store. */
  readonly key: string;
  readonly sizeBytes: number;
  readonly reason: string;
}

export interface CollectReport {
  readonly dryRun: boolean;
  readonly removed: readonly Collected[];
  readonly freedBytes: number;
  readonly kept: { readonly blobs: number; readonly layers: number; readonly ingests: number };
}

export interface HealReport {
  /** Processes that died without closing the store; their leases and claims are gone. */
  readonly deadOwners: number;
  /** Names in `staging/` and `ingest/` that nobody claims any more. */
  readonly removedPaths: readonly string[];
}

export interface Problem {
  readonly kind: "database" | "blob" | "layer" | "rootfs" | "image" | "orphan";
  /** Digest, id, or path in the store. */
  readonly what: string;
  readonly message: string;
}

export interface VerifyReport {
  readonly problems: readonly Problem[];
  readonly checked: {
    readonly blobs: number;
    readonly layers: number;
    readonly images: number;
    readonly rootfs: number;
  };
}

export interface Usage {
  readonly blobs: number;
  readonly blobBytes: number;
  readonly layers: number;
  readonly layerBytes: number;
  readonly ingests: number;
  readonly ingestBytes: number;
  readonly images: number;
  readonly rootfs: number;
  readonly leases: number;
  /** Blobs and layers not yet known to be on the disk. */
  readonly unsynced: number;
  /** Free on the store's file system. */
  readonly freeBytes: number | undefined;
}
