/** The ground that every measurement stands on: an empty directory, a disk at rest, whose turn it is. */
import { lstat, mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { run } from "../support/peers.ts";
import { mountsBelow } from "../support/temp-dir.ts";
import type { BenchImage, Proof } from "./contender.ts";

/** The order moves on by one from round to round, so that nobody always follows the same neighbour. */
export function inTurn<T>(items: readonly T[], round: number): T[] {
  const first = items.length > 0 ? round % items.length : 0;
  return [...items.slice(first), ...items.slice(0, first)];
}

let opened = 0;

/** A new directory in `work`, gone with all that is in it when the scope ends. No two have one name: see `spread`. */
export async function openDirectory(work: string): Promise<AsyncDisposable & { readonly path: string }> {
  const directory = join(work, `bench-${opened}`);
  opened += 1;
  await mkdir(directory);
  return { path: directory, [Symbol.asyncDispose]: () => removeDirectory(directory) };
}

/**
 * On ext4, directories made in `directory` from now on get each a place of its own on the disk, by the hash of its name.
 * Without that they follow each other into one place, where ext4 avoids, one by one and for every file that is made, the
 * inodes that were freed in the last minute: what comes after a large removal would be up to five times slower.
 */
export async function spread(directory: string): Promise<void> {
  await run("chattr", ["+T", directory]).catch(() => undefined);
}

/** Unmounts what a contender left (podman keeps its graph root mounted), then removes. Never through a mount. */
async function removeDirectory(directory: string): Promise<void> {
  for (const point of await mountsBelow(directory)) await run("umount", ["--lazy", point]);
  if ((await mountsBelow(directory)).length > 0)
    throw new Error(`Cannot remove ${directory}: something is mounted below it`);
  await rm(directory, { recursive: true, force: true });
}

/** Earlier writes are on disk, and page cache, dentries and inodes dropped where that is allowed. */
export async function settleDisk(): Promise<void> {
  await run("sync", []);
  await writeFile("/proc/sys/vm/drop_caches", "3").catch(() => undefined);
}

/** The registry has its blobs in memory, so that nobody waits for its disk. */
export async function warmRegistry(image: BenchImage): Promise<void> {
  for (const { digest } of image.layers) {
    const response = await fetch(`http://${image.registry}/v2/${image.repository}/blobs/${digest}`);
    if (!response.ok || !response.body) throw new Error(`The registry answers ${response.status} for ${digest}`);
    await response.body.pipeTo(new WritableStream());
  }
}

export async function expectUsable(name: string, rootfs: string, { path, sizeBytes }: Proof): Promise<void> {
  const file = join(rootfs, path);
  const found = await lstat(file).catch(() => undefined);
  if (!found || found.size === 0 || (sizeBytes !== undefined && found.size !== sizeBytes))
    throw new Error(`${name} says its rootfs is ${rootfs}, but ${file} is not there, or not as it should be`);
}
