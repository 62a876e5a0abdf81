/** A podman with a store of its own, which is gone with it, and one image in it. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { run } from "./peers.ts";
import { type BuiltImage, writeDockerArchive } from "./tar-builder.ts";
import { openTempDir } from "./temp-dir.ts";

export interface Podman extends AsyncDisposable {
  /** Runs podman; returns what it printed. */
  podman(...args: readonly string[]): Promise<string>;
}

/** `tags`: full names that the image gets. */
export async function openPodman(image: BuiltImage, tags: readonly string[]): Promise<Podman> {
  await using undo = new AsyncDisposableStack();
  const temp = undo.use(await openTempDir("podman"));
  // an ordinary user's podman leaves directories that their owner cannot write to
  undo.defer(async () => void (await run("chmod", ["-R", "u+rwX", temp.path])));
  // vfs mounts nothing, so that nothing can be left mounted
  const own = ["root", "runroot", "tmpdir"].flatMap((place) => [`--${place}`, join(temp.path, place)]);
  // locks in files of its own: podman would leave a segment of shared memory behind
  const config = join(temp.path, "containers.conf");
  await writeFile(config, '[engine]\nlock_type = "file"\n');
  const podman = async (...args: readonly string[]): Promise<string> => {
    const { stdout } = await run("podman", [...own, "--storage-driver", "vfs", ...args], {
      env: { TMPDIR: temp.path, CONTAINERS_CONF: config },
    });
    return stdout;
  };
  const archive = join(temp.path, "image.tar");
  await writeDockerArchive(archive, image, tags);
  await podman("load", "-q", "-i", archive);
  const kept = undo.move();
  return { podman, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}
