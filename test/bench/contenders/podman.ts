/** podman with a storage of its own: a read-only mount of the image, and a container's writable rootfs. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { missingPrograms, run } from "../../support/peers.ts";
import { type BenchImage, type Contender, imageName, type OpenContender } from "../contender.ts";
import type { Meter } from "../measure.ts";

type Use = (podman: (args: readonly string[]) => Promise<string>, image: string, name: string) => Promise<string>;

interface Mode {
  readonly mount: Use;
  readonly unmount: Use;
}

const imageMount: Mode = {
  mount: (podman, image) => podman(["image", "mount", image]),
  unmount: (podman, image) => podman(["image", "umount", image]),
};

const container: Mode = {
  async mount(podman, image, name) {
    await podman(["create", "--quiet", "--network", "none", "--name", name, image]);
    return podman(["mount", name]);
  },
  unmount: (podman, _image, name) => podman(["rm", name]),
};

function contender(name: string, does: string, mode: Mode): Contender {
  return {
    name,
    does,
    missing: () => (missingPrograms("podman").length > 0 ? "podman is not installed" : undefined),
    touch: async () => {
      await run("podman", ["--version"]);
    },
    open: (image, directory) => openPodman(image, directory, mode),
  };
}

async function openPodman(image: BenchImage, directory: string, mode: Mode): Promise<OpenContender> {
  const config = join(directory, "containers.conf");
  // Locks in files below --tmpdir: those in shared memory would be left behind, and shared with the machine's podman.
  await writeFile(config, '[engine]\nlock_type = "file"\nevents_logger = "none"\ncgroup_manager = "cgroupfs"\n');
  const env = { CONTAINERS_CONF: config, TMPDIR: directory };
  const flags = ["root", "runroot", "tmpdir"].flatMap((flag) => [`--${flag}`, join(directory, flag)]);
  const globals = [...flags, "--storage-driver", "overlay", "--log-level", "error"];
  const through = (meter: Meter) => async (args: readonly string[]) =>
    (await meter.run("podman", [...globals, ...args], { env })).stdout.trim();
  const unmeasured = async (args: readonly string[]) =>
    (await run("podman", [...globals, ...args], { env })).stdout.trim();
  const name = imageName(image);
  let coldIsMounted = false;
  return {
    async cold(meter) {
      const podman = through(meter);
      await podman(["pull", "--quiet", "--tls-verify=false", name]);
      const rootfs = await mode.mount(podman, name, "cold");
      coldIsMounted = true;
      return rootfs;
    },
    async warm(meter, round) {
      // An image has one mount point: the cold one has to go first, or podman would only count.
      if (coldIsMounted) await mode.unmount(unmeasured, name, "cold");
      coldIsMounted = false;
      const podman = through(meter);
      await mode.mount(podman, name, `warm-${round}`);
      await mode.unmount(podman, name, `warm-${round}`);
    },
    async [Symbol.asyncDispose]() {
      if (coldIsMounted) await mode.unmount(unmeasured, name, "cold");
    },
  };
}

export const podmanImage = contender("podman", "pull, then image mount (read-only)", imageMount);
export const podmanContainer = contender("podman-create", "pull, then create and mount (writable)", container);
