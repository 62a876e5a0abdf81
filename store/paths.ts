/**
 * Where everything is. The drawing is in README.md; nothing else in the project builds a path inside the store.
 */
import { join } from "node:path";
import { algorithmOf, type Digest, encodedOf } from "./digest.ts";

export interface StorePaths {
  readonly root: string;
  readonly database: string;
  readonly cacheTag: string;
  readonly version: string;
  /** Room that is given up when the disk is full. */
  readonly reserve: string;
  readonly blobs: string;
  readonly ingest: string;
  readonly layers: string;
  readonly images: string;
  readonly mounts: string;
  readonly staging: string;
  readonly rootfs: string;
  /** `blobs/<algorithm>/<first two digits>/<digits>` */
  blob(digest: Digest): string;
}

export function storePaths(root: string): StorePaths {
  return {
    root,
    database: join(root, "index.db"),
    cacheTag: join(root, "CACHEDIR.TAG"),
    version: join(root, "VERSION"),
    reserve: join(root, "reserve"),
    blobs: join(root, "blobs"),
    ingest: join(root, "ingest"),
    layers: join(root, "layers"),
    images: join(root, "images"),
    mounts: join(root, "mounts"),
    staging: join(root, "staging"),
    rootfs: join(root, "rootfs"),
    blob(digest) {
      const encoded = encodedOf(digest);
      return join(root, "blobs", algorithmOf(digest), encoded.slice(0, 2), encoded);
    },
  };
}

/** The directories of an empty store. */
export function storeDirectories(paths: StorePaths): readonly string[] {
  const { blobs, ingest, layers, images, mounts, staging, rootfs } = paths;
  return [join(blobs, "sha256"), join(blobs, "sha512"), ingest, layers, images, mounts, staging, rootfs];
}
