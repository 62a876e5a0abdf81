/** What the tests of archives and layouts do all the time: resolve without a registry, and look into what came of it. */
import { execFileSync } from "node:child_process";
import { mkdir, open, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync, zstdDecompressSync } from "node:zlib";
import { expect } from "vitest";
import { AppError } from "../../../src/errors.ts";
import type { RootwrightEvent } from "../../../src/events.ts";
import { parsePlatform } from "../../../src/image/platform.ts";
import { parseReference } from "../../../src/image/reference.ts";
import { DEFAULT_LIMITS } from "../../../src/layers/limits.ts";
import { unpackLayer } from "../../../src/layers/unpack.ts";
import { createDockerArchiveSource } from "../../../src/sources/docker-archive.ts";
import { createOciArchiveSource, createOciLayoutSource } from "../../../src/sources/oci-layout.ts";
import type { FileRange, ResolveContext, ResolvedImage, ResolvedLayer, Workshop } from "../../../src/sources/source.ts";
import { digestOf } from "../../../store/index.ts";
import { type BuiltImage, sha256, type TarEntry } from "../../support/tar-builder.ts";
import { openTempDir, type TempDir } from "../../support/temp-dir.ts";

export interface Archives extends AsyncDisposable {
  /** A directory of the test's own. */
  readonly path: string;
  readonly events: readonly RootwrightEvent[];
  /** What the workshop was asked to expand. */
  readonly expanded: readonly string[];
  context(platform?: string): ResolveContext;
  resolve(text: string, platform?: string): Promise<ResolvedImage>;
  /** Unpacks a layer where it lies, as a worker does; returns the directory. */
  unpack(layer: ResolvedLayer): Promise<string>;
}

export async function openArchives(): Promise<Archives> {
  const temp = await openTempDir("archives");
  const events: RootwrightEvent[] = [];
  const expanded: string[] = [];
  const workshop = createLocalWorkshop(temp, expanded);
  const context = (platform = "linux/amd64"): ResolveContext => ({
    platform: parsePlatform(platform),
    emit: (event) => void events.push(event),
    workshop,
  });
  let unpacked = 0;
  return {
    path: temp.path,
    events,
    expanded,
    context,
    async resolve(text, platform) {
      const reference = parseReference(text);
      if (reference.kind === "docker-archive") return createDockerArchiveSource().resolve(reference, context(platform));
      if (reference.kind === "oci") return createOciLayoutSource().resolve(reference, context(platform));
      if (reference.kind === "oci-archive") return createOciArchiveSource().resolve(reference, context(platform));
      throw new Error(`${text} is no archive`);
    },
    async unpack(layer) {
      if (!("file" in layer.bytes)) throw new Error("not a range of a file");
      unpacked += 1;
      const base = join(temp.path, `unpacked-${unpacked}`);
      await mkdir(join(base, "fs"), { recursive: true });
      await unpackLayer(
        {
          kind: "unpack",
          diffId: layer.diffId,
          bytes: { file: layer.bytes.file },
          blob: { digest: layer.blob.digest, sizeBytes: layer.blob.size },
          fsPath: join(base, "fs"),
          indexPath: join(base, "index"),
          privileged: process.getuid?.() === 0,
          limits: DEFAULT_LIMITS,
        },
        () => {},
      );
      return join(base, "fs");
    },
    [Symbol.asyncDispose]: () => temp[Symbol.asyncDispose](),
  };
}

/** Does in this thread, and in memory, what the provisioner's workshop has workers do. */
function createLocalWorkshop(temp: TempDir, expanded: string[]): Workshop {
  let count = 0;
  return {
    keep: ({ what }) => Promise.reject(new Error(`${what} is not kept here`)),
    forget: () => {},
    async scanTar(file) {
      const tar = decompress(await readRange(file));
      return { digest: digestOf(tar), sizeBytes: tar.length, entryCount: 0, documents: new Map(), topLevel: [] };
    },
    async expand(bytes, what) {
      expanded.push(what);
      count += 1;
      const path = join(temp.path, `.expanded-${count}`);
      // not by `path`: a stream of a file has one as well
      const content = decompress(Symbol.asyncIterator in bytes ? await gather(bytes) : await readRange(bytes));
      await writeFile(path, content);
      return { path, offset: 0, sizeBytes: content.length };
    },
  };
}

function decompress(bytes: Buffer): Buffer {
  const magic = bytes.toString("hex", 0, 6);
  try {
    if (magic.startsWith("1f8b")) return gunzipSync(bytes);
    if (magic.startsWith("28b52ffd")) return zstdDecompressSync(bytes);
    if (magic === "fd377a585a00") return execFileSync("xz", ["-dc"], { input: bytes });
    if (magic.startsWith("425a68")) return execFileSync("bzip2", ["-dc"], { input: bytes });
  } catch (error) {
    throw new AppError("layer-invalid", "Cannot unpack a layer: the stream is truncated", { cause: error });
  }
  return bytes;
}

async function gather(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

export async function readRange({ path, offset, sizeBytes }: FileRange): Promise<Buffer> {
  await using file = await open(path);
  const { buffer, bytesRead } = await file.read(Buffer.alloc(sizeBytes), 0, sizeBytes, offset);
  return buffer.subarray(0, bytesRead);
}

/** Each layer is a range of a file that holds just its bytes, and those are the tar that its DiffID names. */
export async function expectWholeLayers(image: ResolvedImage, diffIds: readonly string[]): Promise<void> {
  expect(image.layers.map(({ diffId }) => diffId)).toEqual(diffIds);
  expect(image.imageConfig.rootfs.diff_ids).toEqual(diffIds);
  for (const { bytes, blob, diffId, keepBlob } of image.layers) {
    if (!("file" in bytes)) throw new Error("not a range of a file");
    expect(keepBlob).toBe(false);
    const content = await readRange(bytes.file);
    expect(content.length).toBe(blob.size);
    expect(sha256(content)).toBe(blob.digest);
    expect(sha256(decompress(content))).toBe(diffId);
  }
}

/** What an OCI layout of these images consists of, with an index.json of one's own. */
export function layoutEntries(images: readonly BuiltImage[], manifests: readonly unknown[]): TarEntry[] {
  const blobs = new Map(images.flatMap((image) => [...image.blobs]));
  return [
    { name: "oci-layout", content: JSON.stringify({ imageLayoutVersion: "1.0.0" }) },
    { name: "index.json", content: JSON.stringify({ schemaVersion: 2, manifests }) },
    ...[...blobs].map(([digest, content]) => ({ name: blobName(digest), content })),
  ];
}

export function blobName(digest: string): string {
  return `blobs/${digest.replace(":", "/")}`;
}

/** Entries of type file, directory or symlink as real ones below `directory`. */
export function tarInto(directory: string, tar: Buffer): void {
  execFileSync("tar", ["-x", "-f", "-", "-C", directory], { input: tar });
}

export async function errorOf(promise: Promise<unknown>): Promise<AppError> {
  const error = await promise.then(
    () => new Error("nothing was thrown"),
    (thrown: unknown) => thrown,
  );
  if (error instanceof AppError) return error;
  throw error;
}

/** Decisions that were told, in words. */
export function decisions(archives: Archives): readonly string[] {
  return archives.events.flatMap((event) => (event.type === "decision" ? event.message : []));
}
