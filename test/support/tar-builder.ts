/**
 * Builds layers and images from lists of tar entries, with correct digests, and writes them as archives and layouts.
 * For images that are wrong on purpose, change `blobs` or give a layer's blob or DiffID yourself.
 */
import { createHash } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { encodeEntry, type TarEntry } from "./tar-entry.ts";

export {
  type Bytes,
  base256,
  DEFAULT_MTIME,
  encodePax,
  GNU_MAGIC,
  globalPax,
  type Sparse,
  type TarEntry,
} from "./tar-entry.ts";

export type Compression = "none" | "gzip" | "zstd";

export interface BuiltDescriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

/** A layer of which more than the tar is given. */
export interface LayerParts {
  readonly tar: readonly TarEntry[] | Buffer;
  /** The transported bytes. Default: the tar, compressed as the image's options say. */
  readonly blob?: Buffer;
  readonly mediaType?: string;
  readonly diffId?: string;
  readonly compression?: Compression;
}

/** A layer: its entries, its tar, or its tar with the form in which it is transported. */
export type LayerInput = readonly TarEntry[] | Buffer | LayerParts;

/** An image configuration; `rootfs` is filled in, `architecture` and `os` have defaults. */
export interface ConfigInput {
  readonly architecture?: string;
  readonly os?: string;
  readonly config?: Readonly<Record<string, unknown>>;
  readonly [key: string]: unknown;
}

export interface ImageOptions {
  /** Default: "gzip". */
  readonly compression?: Compression;
  /** Media types of the OCI or of Docker's schema 2. Default: "oci". */
  readonly mediaTypes?: "oci" | "docker";
  /** Replaces or adds manifest fields. */
  readonly manifest?: Readonly<Record<string, unknown>>;
}

export interface BuiltImage {
  readonly manifest: BuiltDescriptor;
  readonly config: BuiltDescriptor;
  readonly layers: readonly BuiltDescriptor[];
  readonly diffIds: readonly string[];
  /** The layers' uncompressed tars, base first. */
  readonly tars: readonly Buffer[];
  /** Digest → bytes: layers, configuration, manifest. */
  readonly blobs: Map<string, Buffer>;
}

export const MEDIA_TYPES = {
  oci: {
    index: "application/vnd.oci.image.index.v1+json",
    manifest: "application/vnd.oci.image.manifest.v1+json",
    config: "application/vnd.oci.image.config.v1+json",
    none: "application/vnd.oci.image.layer.v1.tar",
    gzip: "application/vnd.oci.image.layer.v1.tar+gzip",
    zstd: "application/vnd.oci.image.layer.v1.tar+zstd",
  },
  docker: {
    index: "application/vnd.docker.distribution.manifest.list.v2+json",
    manifest: "application/vnd.docker.distribution.manifest.v2+json",
    config: "application/vnd.docker.container.image.v1+json",
    none: "application/vnd.docker.image.rootfs.diff.tar",
    gzip: "application/vnd.docker.image.rootfs.diff.tar.gzip",
    zstd: "application/vnd.docker.image.rootfs.diff.tar.zstd",
  },
} as const;

/** A tar archive of `entries`. `trailer`: bytes after the last entry; default the two zero blocks that end an archive. */
export function buildLayer(entries: readonly TarEntry[], trailer: Buffer = Buffer.alloc(1024)): Buffer {
  return Buffer.concat([...entries.map(encodeEntry), trailer]);
}

export function compress(bytes: Buffer, compression: Compression): Buffer {
  if (compression === "gzip") return gzipSync(bytes, { level: 9 });
  return compression === "zstd" ? zstdCompressSync(bytes) : bytes;
}

export function sha256(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

/** An image of `layers`, base first. */
export function buildImage(
  layers: readonly LayerInput[],
  config: ConfigInput = {},
  options: ImageOptions = {},
): BuiltImage {
  const types = MEDIA_TYPES[options.mediaTypes ?? "oci"];
  const blobs = new Map<string, Buffer>();
  const add = (mediaType: string, bytes: Buffer): BuiltDescriptor => {
    const digest = sha256(bytes);
    blobs.set(digest, bytes);
    return { mediaType, digest, size: bytes.length };
  };

  const tars: Buffer[] = [];
  const diffIds: string[] = [];
  const layerDescriptors = layers.map((input) => {
    const layer: LayerParts = "tar" in input ? input : { tar: input };
    const tar = Buffer.isBuffer(layer.tar) ? layer.tar : buildLayer(layer.tar);
    const compression = layer.compression ?? options.compression ?? "gzip";
    tars.push(tar);
    diffIds.push(layer.diffId ?? sha256(tar));
    return add(layer.mediaType ?? types[compression], layer.blob ?? compress(tar, compression));
  });
  const configDescriptor = add(
    types.config,
    json({ architecture: hostArchitecture(), os: "linux", ...config, rootfs: { type: "layers", diff_ids: diffIds } }),
  );
  const manifest = add(
    types.manifest,
    json({
      schemaVersion: 2,
      mediaType: types.manifest,
      config: configDescriptor,
      layers: layerDescriptors,
      ...options.manifest,
    }),
  );
  return { manifest, config: configDescriptor, layers: layerDescriptors, diffIds, tars, blobs };
}

export interface DockerArchiveOptions {
  /**
   * "containerd": as Docker 25 and later save (OCI layout and manifest.json in one, blobs as transported);
   * "graphdriver": as Docker 1.10 to 24 save (`<hex>.json`, `<hex>/layer.tar`, uncompressed). Default: "containerd".
   */
  readonly style?: "containerd" | "graphdriver";
}

/** Writes what `docker save` writes. `tags`: full names such as "example.com/app:1". */
export async function writeDockerArchive(
  path: string,
  image: BuiltImage,
  tags: readonly string[],
  options: DockerArchiveOptions = {},
): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, options.style === "graphdriver" ? graphDriverTar(image, tags) : containerdTar(image, tags));
}

/** Writes an OCI image layout into `dir`, which is created; `tag` becomes the reference name in index.json. */
export async function writeOciLayout(dir: string, image: BuiltImage, tag?: string): Promise<void> {
  await mkdir(join(dir, "blobs/sha256"), { recursive: true });
  for (const [digest, bytes] of image.blobs) await writeFile(join(dir, blobPath(digest)), bytes);
  await writeFile(join(dir, "oci-layout"), OCI_LAYOUT);
  await writeFile(join(dir, "index.json"), layoutIndex(image, tag === undefined ? [] : [tag]));
}

const OCI_LAYOUT = json({ imageLayoutVersion: "1.0.0" });

function layoutIndex(image: BuiltImage, tags: readonly string[]): Buffer {
  const names = tags.length === 0 ? [undefined] : tags;
  const manifests = names.map((name) => ({
    ...image.manifest,
    ...(name !== undefined && { annotations: { "org.opencontainers.image.ref.name": name } }),
  }));
  return json({ schemaVersion: 2, mediaType: MEDIA_TYPES.oci.index, manifests });
}

function containerdTar(image: BuiltImage, tags: readonly string[]): Buffer {
  const dockerManifest = [
    {
      Config: blobPath(image.config.digest),
      RepoTags: tags,
      Layers: image.layers.map((layer) => blobPath(layer.digest)),
    },
  ];
  const manifests = (tags.length === 0 ? [undefined] : tags).map((name) => ({
    ...image.manifest,
    ...(name !== undefined && {
      annotations: {
        "io.containerd.image.name": fullName(name),
        "org.opencontainers.image.ref.name": name.slice(name.lastIndexOf(":") + 1),
      },
    }),
  }));
  const blobs = [...image.blobs].sort(([a], [b]) => (a < b ? -1 : 1));
  return buildLayer([
    { name: "blobs/", type: "dir" },
    { name: "blobs/sha256/", type: "dir" },
    ...blobs.map(([digest, content]) => ({ name: blobPath(digest), content })),
    { name: "index.json", content: json({ schemaVersion: 2, mediaType: MEDIA_TYPES.oci.index, manifests }) },
    { name: "manifest.json", content: json(dockerManifest) },
    { name: "oci-layout", content: OCI_LAYOUT },
  ]);
}

/** Docker writes familiar names into manifest.json, and names with their registry into index.json. */
function fullName(name: string): string {
  const [first = "", ...rest] = name.split("/");
  if (rest.length > 0 && /[.:]|^localhost$/.test(first)) return name;
  return rest.length > 0 ? `docker.io/${name}` : `docker.io/library/${name}`;
}

function graphDriverTar(image: BuiltImage, tags: readonly string[]): Buffer {
  const configName = `${hex(image.config.digest)}.json`;
  const layerNames = image.diffIds.map((diffId, at) => `${hex(sha256(Buffer.from(`${at} ${diffId}`)))}/layer.tar`);
  const dockerManifest = [{ Config: configName, RepoTags: tags, Layers: layerNames }];
  return buildLayer([
    { name: configName, content: image.blobs.get(image.config.digest) ?? "" },
    ...layerNames.flatMap((name, at): TarEntry[] => [
      { name: `${dirname(name)}/`, type: "dir" },
      { name, content: image.tars[at] ?? "" },
    ]),
    { name: "manifest.json", content: json(dockerManifest) },
  ]);
}

function hostArchitecture(): string {
  return process.arch === "x64" ? "amd64" : process.arch;
}

function blobPath(digest: string): string {
  return `blobs/${digest.replace(":", "/")}`;
}

function hex(digest: string): string {
  return digest.slice(digest.indexOf(":") + 1);
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}
