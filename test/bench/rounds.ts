/** Cold and warm rounds: every contender once a round. Ratios are taken within a round. */
import type { BenchImage, Contender, OpenContender } from "./contender.ts";
import { expectUsable, inTurn, openDirectory, settleDisk, warmRegistry } from "./ground.ts";
import { type Cost, Meter, machineBusyMs, processCost } from "./measure.ts";

/** Contender → one cost a round. */
export type Costs = Map<string, Cost[]>;

export interface RoundsSetting {
  readonly contenders: readonly Contender[];
  readonly image: BenchImage;
  readonly registryPid: number;
  readonly work: string;
  readonly runs: number;
  readonly tell: (line: string) => void;
  /** Ends the rounds between two measurements, so that everything is taken down as at their end. */
  readonly signal: AbortSignal;
}

/** From an empty store to a usable rootfs. */
export async function runCold(setting: RoundsSetting): Promise<Costs> {
  const { image, work, runs } = setting;
  const costs: Costs = new Map(setting.contenders.map(({ name }) => [name, []]));
  for (let round = 0; round < runs; round += 1) {
    for (const contender of inTurn(setting.contenders, round)) {
      setting.signal.throwIfAborted();
      await using directory = await openDirectory(work);
      await using open = await contender.open(image, directory.path);
      await settleDisk();
      await warmRegistry(image);
      await contender.touch();
      const meter = new Meter(work);
      let rootfs = "";
      const cost = await counted(setting, open, meter, async () => {
        rootfs = await open.cold(meter);
      });
      await expectUsable(contender.name, rootfs, image.proof);
      costs.get(contender.name)?.push(cost);
      const seconds = (cost.wallMs / 1000).toFixed(2);
      setting.tell(`cold ${image.name} ${round + 1}/${runs} ${contender.name}: ${seconds} s`);
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
  for (const contender of setting.contenders) {
    const directory = stores.use(await openDirectory(setting.work));
    const open = stores.use(await contender.open(setting.image, directory.path));
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
      costs.get(name)?.push(await counted(setting, open, meter, () => warm(meter, round)));
    }
  }
  setting.tell(`warm ${setting.image.name}: ${setting.runs} rounds done`);
  return costs;
}

/** Runs `action`, charges to `meter` what a daemon used meanwhile, and says what others used. */
async function counted(
  { registryPid }: RoundsSetting,
  open: OpenContender,
  meter: Meter,
  action: () => Promise<void>,
): Promise<Cost> {
  const daemonBefore = await open.daemon?.();
  const registryBefore = await processCost(registryPid);
  const busyBefore = await machineBusyMs();
  await action();
  const busyMs = (await machineBusyMs()) - busyBefore;
  const registryMs = (await processCost(registryPid)).cpuMs - registryBefore.cpuMs;
  const daemonAfter = await open.daemon?.();
  if (daemonBefore && daemonAfter) meter.add({ ...daemonAfter, cpuMs: daemonAfter.cpuMs - daemonBefore.cpuMs });
  const { cost } = meter;
  return { ...cost, disturbance: { registryMs, othersMs: Math.max(0, busyMs - cost.cpuMs - registryMs) } };
}
