/** A containerd of its own, driven by ctr. What the daemon uses is counted with the commands. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { missingPrograms, run, stopChild } from "../../support/peers.ts";
import { type BenchImage, type Contender, imageName, type OpenContender } from "../contender.ts";
import { processCost } from "../measure.ts";

export const containerd: Contender = {
  name: "containerd",
  does: "ctr images pull, then images mount --rw (overlayfs snapshotter)",
  missing: () => {
    const missing = missingPrograms("containerd", "ctr");
    return missing.length > 0 ? `${missing.join(" and ")} not installed` : undefined;
  },
  touch: async () => {
    await run("ctr", ["--version"]);
  },
  open: openContainerd,
};

async function openContainerd(image: BenchImage, directory: string): Promise<OpenContender> {
  const address = join(directory, "containerd.sock");
  const config = join(directory, "containerd.toml");
  await writeFile(
    config,
    `version = 2
root = ${JSON.stringify(join(directory, "root"))}
state = ${JSON.stringify(join(directory, "state"))}
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
[grpc]
address = ${JSON.stringify(address)}
[ttrpc]
address = ${JSON.stringify(`${address}.ttrpc`)}
`,
  );
  const daemon = await startDaemon(config);
  const pid = daemon.pid ?? 0;
  const ctr = (args: readonly string[]) => ["--address", address, ...args];
  const name = imageName(image);
  const target = join(directory, "rootfs");
  const mounted = new Set<string>();
  return {
    daemon: () => processCost(pid),
    async cold(meter) {
      await mkdir(target);
      await meter.run("ctr", ctr(["images", "pull", "--plain-http", name]));
      await meter.run("ctr", ctr(["images", "mount", "--rw", name, target]));
      mounted.add(target);
      return target;
    },
    async warm(meter, round) {
      const point = join(directory, `warm-${round}`);
      await mkdir(point);
      await meter.run("ctr", ctr(["images", "mount", "--rw", name, point]));
      await meter.run("ctr", ctr(["images", "unmount", "--rm", point]));
    },
    async [Symbol.asyncDispose]() {
      try {
        for (const point of mounted) await run("ctr", ctr(["images", "unmount", "--rm", point]));
      } finally {
        await stopChild(daemon);
      }
    },
  };
}

/** In a session of its own: an interrupt from the terminal must find it alive, or its mounts could not be taken down. */
async function startDaemon(config: string): Promise<ChildProcess> {
  const child = spawn("containerd", ["--config", config, "--log-level", "info"], {
    stdio: ["ignore", "ignore", "pipe"],
    detached: true,
  });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const lines: string[] = [];
  child.once("error", reject);
  child.once("exit", () => reject(new Error(`containerd ended:\n${lines.slice(-10).join("\n")}`)));
  // Read to the end, or the daemon would block on a full pipe.
  createInterface({ input: child.stderr }).on("line", (line) => {
    lines.splice(0, lines.length - 20);
    lines.push(line);
    if (line.includes("containerd successfully booted")) resolve();
  });
  try {
    await promise;
    return child;
  } catch (error) {
    await stopChild(child);
    throw error;
  }
}
