/** The stages of unpacking, one by one: one thread takes all the layers of an image through each. */
import { createReadStream, createWriteStream } from "node:fs";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import type { Entry } from "../../src/layers/entry.ts";
import { inTurn, openDirectory } from "./ground.ts";
import { formatTable, milliseconds } from "./report.ts";
import type { Costs, RoundsSetting } from "./rounds.ts";
import { applyStage, applyTo, modelStage, NO_TREE } from "./stages/apply.ts";
import { indexStages, mergeStage } from "./stages/entries.ts";
import { hashStage } from "./stages/hash.ts";
import { inflateStage } from "./stages/inflate.ts";
import { parseStage } from "./stages/parse.ts";
import { pieces, type Stage } from "./stages/stage.ts";
import { cpu, pairedRatio, spread, wall } from "./statistics.ts";

export interface MeasuredStage {
  readonly stage: Stage;
  readonly costs: Costs;
}

export async function runStages(setting: RoundsSetting): Promise<MeasuredStage[]> {
  const { image, work, tell } = setting;
  await using directory = await openDirectory(work);
  const tars = image.layers.map((_, at) => join(directory.path, `layer-${at}.tar`));
  const layers: Entry[][] = [];
  let tarBytes = 0;
  for (const [at, tar] of tars.entries()) {
    await pipeline(createReadStream(image.layers[at]?.path ?? ""), createGunzip(), createWriteStream(tar));
    tarBytes += (await stat(tar)).size;
    layers.push(applyTo(NO_TREE, pieces(tar)));
  }
  const entries = layers.reduce((sum, layer) => sum + layer.length, 0);
  const unpacked = { blobs: image.layers.map(({ path }) => path), tars, tarBytes, entries, work };
  const stages = [
    inflateStage(unpacked),
    hashStage(unpacked),
    parseStage(unpacked),
    modelStage(unpacked),
    applyStage(unpacked),
    ...indexStages(layers),
    mergeStage(layers),
  ];
  const measured: MeasuredStage[] = [];
  for (const stage of stages) {
    measured.push({ stage, costs: await measure(stage, setting) });
    tell(`stage ${stage.name} of ${image.name}: ${setting.runs} rounds done`);
  }
  return measured;
}

async function measure(stage: Stage, { runs, signal }: RoundsSetting): Promise<Costs> {
  const costs: Costs = new Map(stage.ways.map((way) => [way.name, []]));
  // the first round is not measured: files come into memory, code is compiled
  for (let round = -1; round < runs; round += 1) {
    for (const way of inTurn(stage.ways, Math.max(round, 0))) {
      signal.throwIfAborted();
      const cost = await way.run();
      if (round >= 0) costs.get(way.name)?.push(cost);
    }
  }
  return costs;
}

export function formatStages(title: string, measured: readonly MeasuredStage[]): string {
  const rows = measured.flatMap(({ stage, costs }) =>
    stage.ways.map((way, at) => {
      const rounds = costs.get(way.name) ?? [];
      const wallMs = spread(rounds.map(wall)).median;
      const own = stage.ways[0]?.name ?? "";
      const ratios = [wall, cpu].map((pick) => pairedRatio(costs, own, way.name, pick)?.toFixed(2) ?? "–");
      return [
        `${stage.name}: ${way.name}`,
        milliseconds(wallMs),
        milliseconds(spread(rounds.map(cpu)).median),
        stage.bytes === 0 ? "–" : (stage.bytes / 1e3 / wallMs).toFixed(0),
        ((1000 * wallMs) / stage.entries).toFixed(2),
        ...(at === 0 ? ["–", "–"] : ratios),
        at === 0 ? `${stage.work}: ${(stage.bytes / 1e6).toFixed(0)} MB, ${stage.entries} entries` : "",
      ];
    }),
  );
  const heading = ["", "wall ms", "CPU ms", "MB/s", "µs/entry", "wall ×", "CPU ×", ""];
  return formatTable(title, heading, rows);
}
