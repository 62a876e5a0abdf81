/** The only door of the store: content, layers, images and root filesystems on one disk, indexed in SQLite. */
export {
  algorithmOf,
  createHasher,
  type Digest,
  type DigestAlgorithm,
  digestOf,
  encodedOf,
  type Hasher,
  isDigest,
  parseDigest,
} from "./digest.ts";
export { StoreError, type StoreErrorCode } from "./errors.ts";
export { type IngestWriter, type IngestWriterOptions, openIngestWriter } from "./ingest-writer.ts";
export type {
  Blob,
  Blobs,
  Collected,
  CollectOptions,
  CollectReport,
  Durability,
  HealReport,
  Image,
  ImageLayer,
  Images,
  Ingest,
  IngestClaim,
  Layer,
  LayerFacts,
  LayerKind,
  LayerRef,
  Layers,
  Lease,
  LeaseItemKind,
  LeaseSummary,
  Leases,
  NewImage,
  NewRootfs,
  OpenStoreOptions,
  Owner,
  Problem,
  Rootfs,
  RootfsState,
  RootfsTable,
  StageClaim,
  StagedLayer,
  Store,
  Usage,
  VerifyReport,
} from "./model.ts";
export type { StorePaths } from "./paths.ts";
export { assertRootfsId } from "./rootfs-id.ts";
export { openStore } from "./store.ts";
