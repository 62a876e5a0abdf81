/**
 * Paired rounds: every contender once a round, in an order that moves on by one from round to round, so that nobody
 * always follows the same neighbour. Ratios are taken within a round.
 */
import { lstat, mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { run } from "../support/peers.ts";
import { mountsBelow } from "../support/temp-dir.ts";
import type { BenchImage, Contender, OpenContender } from "./contender.ts";
import { type Cost, Meter } from "./measure.ts";

/** Contender → one cost a round. */
export type Costs = Map<string, Cost[]>;

export interface RoundsSetting {
  readonly contenders: readonly Contender[];
  readonly image: BenchImage;
  readonly work: string;
  readonly runs: number;
  readonly tell: (line: string) => void;
  /** Ends the rounds between two measurements, so that everything is taken down as at their end. */
  readonly signal: AbortSignal;
}

/** From an empty store to a usable rootfs. */
export async function runCold(setting: RoundsSetting): Promise<Costs> {
  const costs: Costs = new Map(setting.contenders.map(({ name }) => [name, []]));
  for (let round = 0; round < setting.runs; round += 1) {
    for (const contender of inTurn(setting.contenders, round)) {
      setting.signal.throwIfAborted();
      await inEmptyDirectory(setting.work, async (directory) => {
        await using open = await contender.open(setting.image, directory);
        await settle(setting.image);
        await contender.touch();
        const meter = new Meter(setting.work);
        const rootfs = await counted(open, meter, () => open.cold(meter));
        await expectUsable(contender.name, rootfs);
        costs.get(contender.name)?.push(meter.cost);
        setting.tell(`cold ${round + 1}/${setting.runs} ${contender.name}: ${(meter.cost.wallMs / 1000).toFixed(2)} s`);
      });
    }
  }
  return costs;
}

/** One more rootfs of an image that is in the store, and its removal. */
export async function runWarm(setting: RoundsSetting): Promise<Costs> {
  await using stores = new AsyncDisposableStack();
  const ready: {
    readonly name: string;
    readonly open: OpenContender;
    readonly warm: NonNullable<OpenContender["warm"]>;
  }[] = [];
  for (const [at, contender] of setting.contenders.entries()) {
    const directory = join(setting.work, `warm-${at}`);
    await mkdir(directory);
    stores.defer(() => removeDirectory(directory));
    const open = stores.use(await contender.open(setting.image, directory));
    if (!open.warm) continue;
    await open.cold(new Meter(setting.work));
    const entry = { name: contender.name, open, warm: open.warm };
    // The first time is not measured: it fills caches, and takes down what `cold` has mounted.
    await entry.warm(new Meter(setting.work), -1);
    ready.push(entry);
  }
  const costs: Costs = new Map(ready.map(({ name }) => [name, []]));
  for (let round = 0; round < setting.runs; round += 1) {
    for (const { name, open, warm } of inTurn(ready, round)) {
      setting.signal.throwIfAborted();
      const meter = new Meter(setting.work);
      await counted(open, meter, () => warm(meter, round));
      costs.get(name)?.push(meter.cost);
    }
  }
  setting.tell(`warm ${setting.runs} rounds done`);
  return costs;
}

/** Runs `action`, and charges to `meter` what a daemon used meanwhile. */
async function counted<T>(open: OpenContender, meter: Meter, action: () => Promise<T>): Promise<T> {
  const before = await open.daemon?.();
  const result = await action();
  const after = await open.daemon?.();
  if (before && after) meter.add({ ...after, cpuMs: after.cpuMs - before.cpuMs });
  return result;
}

function inTurn<T>(items: readonly T[], round: number): T[] {
  const first = items.length > 0 ? round % items.length : 0;
  return [...items.slice(first), ...items.slice(0, first)];
}

async function inEmptyDirectory(work: string, action: (directory: string) => Promise<void>): Promise<void> {
  const directory = join(work, "round");
  await mkdir(directory);
  try {
    await action(directory);
  } finally {
    await removeDirectory(directory);
  }
}

/** Unmounts what a contender left (podman keeps its graph root mounted), then removes. Never through a mount. */
async function removeDirectory(directory: string): Promise<void> {
  for (const point of await mountsBelow(directory)) await run("umount", ["--lazy", point]);
  if ((await mountsBelow(directory)).length > 0)
    throw new Error(`Cannot remove ${directory}: something is mounted below it`);
  await rm(directory, { recursive: true, force: true });
}

/**
 * Earlier writes are on disk, and page cache and dentries dropped where that is allowed; then the registry has its blobs
 * in memory again, so that nobody waits for its disk.
 */
async function settle(image: BenchImage): Promise<void> {
  await run("sync", []);
  await writeFile("/proc/sys/vm/drop_caches", "3").catch(() => undefined);
  for (const digest of image.layers) {
    const response = await fetch(`http://${image.registry}/v2/${image.repository}/blobs/${digest}`);
    if (!response.ok || !response.body) throw new Error(`The registry answers ${response.status} for ${digest}`);
    await response.body.pipeTo(new WritableStream());
  }
}

async function expectUsable(name: string, rootfs: string): Promise<void> {
  const file = join(rootfs, "usr/bin/dpkg");
  const found = await lstat(file).catch(() => undefined);
  if (!found || found.size === 0) throw new Error(`${name} says its rootfs is ${rootfs}, but ${file} is not there`);
}
