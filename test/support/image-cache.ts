/**
 * Test images that take long to build, in OCI layouts, built once a machine and kept.
 *
 * The cache is ROOTWRIGHT_TEST_CACHE, else a directory of this user's in the temporary directory. An image is built
 * beside its final name and renamed when complete, so that two runs at once, or one that was killed, do no harm.
 */
import { mkdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface CachedImage {
  /** The OCI layout's directory. */
  readonly layout: string;
  readonly tag: string;
  /** Manifest digest. */
  readonly digest: string;
  /** Base first, as they are transported; sizes in bytes. */
  readonly layers: readonly StoredBlob[];
}

export interface StoredBlob {
  readonly digest: string;
  readonly size: number;
}

export interface BuildDirectories {
  /** Becomes the OCI layout. */
  readonly layout: string;
  /** For whatever else the building needs; removed afterwards. Neither exists yet. */
  readonly work: string;
}

/** `name` must change with everything that the image depends on. `tag` is the one that `build` gives. */
export async function ensureCachedImage(
  name: string,
  tag: string,
  build: (directories: BuildDirectories) => Promise<void>,
): Promise<CachedImage> {
  const layout = join(cacheDirectory(), name);
  const cached = await readImage(layout, tag);
  if (cached) return cached;
  const building = `${layout}.building-${process.pid}`;
  await mkdir(building, { recursive: true });
  try {
    await build({ layout: join(building, "layout"), work: join(building, "work") });
    await writeFile(join(building, "layout", "complete"), "");
    await rm(layout, { recursive: true, force: true });
    // Another run may have been quicker: its image is as good.
    await rename(join(building, "layout"), layout).catch(async (error: unknown) => {
      if (!(await readImage(layout, tag))) throw error;
    });
  } finally {
    await rm(building, { recursive: true, force: true });
  }
  const image = await readImage(layout, tag);
  if (!image) throw new Error(`The image in ${layout} is not complete after building it`);
  return image;
}

export function blobPath(layout: string, { digest }: Pick<StoredBlob, "digest">): string {
  return join(layout, "blobs", digest.replace(":", "/"));
}

function cacheDirectory(): string {
  const configured = process.env["ROOTWRIGHT_TEST_CACHE"];
  return configured || join(tmpdir(), `rootwright-test-cache-${process.getuid?.() ?? 0}`);
}

/** The image in `layout`, when it is complete: every blob there with its size. */
async function readImage(layout: string, tag: string): Promise<CachedImage | undefined> {
  try {
    await stat(join(layout, "complete"));
    const index = await readJson<{ manifests: StoredBlob[] }>(join(layout, "index.json"));
    const found = index.manifests[0];
    if (!found) return undefined;
    const manifest = await readJson<{ config: StoredBlob; layers: StoredBlob[] }>(blobPath(layout, found));
    for (const blob of [found, manifest.config, ...manifest.layers]) {
      if ((await stat(blobPath(layout, blob))).size !== blob.size) return undefined;
    }
    return { layout, tag, digest: found.digest, layers: manifest.layers };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT" || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

async function readJson<T>(path: string): Promise<T> {
  return JSON.parse(await readFile(path, "utf8")) as T;
}
