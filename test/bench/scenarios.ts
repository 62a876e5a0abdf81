/** The scenarios, each as main.ts runs and shows it. */
import { cpus } from "node:os";
import type { BenchImage } from "./contender.ts";
import { formatDisturbance, formatSummaries, type Summary, summarise } from "./report.ts";
import { type Costs, type RoundsSetting, runCold, runWarm } from "./rounds.ts";
import { COPY, COPY_DOES, runCopy } from "./scenarios/copy.ts";
import { BACKENDS, rowName, runProvision } from "./scenarios/provision.ts";
import { formatStages, runStages } from "./stages.ts";
import type { Scenario } from "./targets.ts";

export interface Outcome {
  /** For people. */
  readonly text: string;
  /** For JSON. */
  readonly data: unknown;
  /** For the targets; stages have none. */
  readonly costs: Costs;
}

export interface ScenarioSetting extends RoundsSetting {
  readonly tiny: BenchImage;
}

const OWN = "rootwright";
/** What takes milliseconds is measured more often: it costs nothing and steadies the medians. */
const WARM_ROUNDS_PER_RUN = 4;
const PROVISION_ROUNDS_PER_RUN = 20;

export const RUN: Readonly<Record<Scenario, (setting: ScenarioSetting) => Promise<Outcome>>> = {
  async cold(setting) {
    const costs = await runCold(setting);
    const summaries = summarise(costs, OWN);
    const title = `Cold, ${setting.image.name}: pull to usable rootfs, ${setting.runs} rounds`;
    const disturbance = formatDisturbance(summaries, OWN, cpus().length);
    const table = formatSummaries(title, summaries, doesOf(setting));
    return outcome(disturbance === undefined ? table : `${table}\n${disturbance}`, summaries, costs);
  },

  async warm(setting) {
    const runs = setting.runs * WARM_ROUNDS_PER_RUN;
    const costs = await runWarm({ ...setting, runs });
    const summaries = summarise(costs, OWN);
    const title = `Warm, ${setting.image.name}: provision and destroy as commands, ${runs} rounds`;
    return outcome(formatSummaries(title, summaries, doesOf(setting)), summaries, costs);
  },

  async copy(setting) {
    const costs = await runCopy(setting);
    const summaries = summarise(costs, COPY);
    const title = `Copy, ${setting.image.name}: a private tree from a warm store, ${setting.runs} rounds`;
    return outcome(formatSummaries(title, summaries, COPY_DOES), summaries, costs);
  },

  async provision(setting) {
    const runs = setting.runs * PROVISION_ROUNDS_PER_RUN;
    const costs = await runProvision({ ...setting, runs });
    // each backend's rows beside those of the image of ten files
    const summaries = BACKENDS.flatMap((backend) =>
      ["provision", "destroy"].flatMap((action) => {
        const names = [setting.image, setting.tiny].map((image) => rowName(backend, action, image));
        const rows = new Map([...costs].filter(([name]) => names.includes(name)));
        return summarise(rows, names[0] ?? "");
      }),
    );
    const title = `Provision, ${setting.image.name}: in one process, which is what CPU is of, ${runs} rounds`;
    return outcome(formatSummaries(title, summaries, {}), summaries, costs);
  },

  async stages(setting) {
    const measured = await runStages(setting);
    const title = `Stages, ${setting.image.name}: one thread, ${setting.runs} rounds; × is the first way ÷ this one`;
    const data = measured.map(({ stage: { name, bytes, entries }, costs }) => ({
      name,
      bytes,
      entries,
      rounds: Object.fromEntries(costs),
    }));
    return { text: formatStages(title, measured), data, costs: new Map() };
  },
};

function doesOf({ contenders }: RoundsSetting): Record<string, string> {
  return Object.fromEntries(contenders.map(({ name, does }) => [name, does]));
}

function outcome(text: string, summary: readonly Summary[], costs: Costs): Outcome {
  return { text, data: { summary, rounds: Object.fromEntries(costs) }, costs };
}
