/**
 * Provision and destroy in one process, as an agent uses the library, of an image and of one with ten files: what takes
 * the same time for both does not depend on the size of an image.
 */
import { join } from "node:path";
import { loadConfig, openProvisioner, type Provisioner, parseReference } from "../../../src/index.ts";
import { type BenchImage, imageName } from "../contender.ts";
import { inTurn, openDirectory } from "../ground.ts";
import { type Cost, inProcess } from "../measure.ts";
import type { Costs, RoundsSetting } from "../rounds.ts";

export const BACKENDS = ["overlay", "bind"] as const;
export type MountingBackend = (typeof BACKENDS)[number];

export interface ProvisionSetting extends RoundsSetting {
  readonly tiny: BenchImage;
}

/** The row of one backend and one image; `action` is "provision" or "destroy". */
export function rowName(backend: MountingBackend, action: string, image: Pick<BenchImage, "name">): string {
  return `${backend} ${action}, ${image.name}`;
}

/** bind takes part when the image is a single layer. */
export async function runProvision(setting: ProvisionSetting): Promise<Costs> {
  const { image, tiny, work, runs, tell, signal } = setting;
  await using directory = await openDirectory(work);
  const config = loadConfig({ flags: { root: join(directory.path, "store") } });
  await using provisioner = await openProvisioner(config);
  for (const each of [tiny, image]) await provisioner.pull({ reference: parseReference(imageName(each)) });

  const pairs = BACKENDS.filter((backend) => backend !== "bind" || image.layers.length === 1).flatMap((backend) =>
    [tiny, image].map((each) => ({ backend, image: each })),
  );
  const costs: Costs = new Map(
    pairs.flatMap((pair) => ["provision", "destroy"].map((action) => [rowName(pair.backend, action, pair.image), []])),
  );
  // the first round is not measured: it probes the kernel and compiles the code
  for (let round = -1; round < runs; round += 1) {
    for (const pair of inTurn(pairs, Math.max(round, 0))) {
      signal.throwIfAborted();
      const { provision, destroy } = await once(provisioner, pair.backend, pair.image);
      if (round < 0) continue;
      costs.get(rowName(pair.backend, "provision", pair.image))?.push(provision);
      costs.get(rowName(pair.backend, "destroy", pair.image))?.push(destroy);
    }
  }
  tell(`provision ${image.name}: ${runs} rounds done`);
  return costs;
}

async function once(
  provisioner: Provisioner,
  backend: MountingBackend,
  image: BenchImage,
): Promise<{ readonly provision: Cost; readonly destroy: Cost }> {
  const id = "bench";
  const reference = parseReference(imageName(image));
  try {
    const provision = await inProcess(async () => void (await provisioner.provision({ reference, id, backend })));
    const destroy = await inProcess(async () => void (await provisioner.destroy(id)));
    return { provision, destroy };
  } catch (error) {
    await provisioner.destroy(id);
    throw error;
  }
}
