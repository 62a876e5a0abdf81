/**
 * `npm run bench`: rootwright beside podman, containerd, skopeo with umoci, and curl|gzip|tar, on the same images from one
 * local registry, in one run; its copy backend beside cp, its stages beside what else does such work.
 *
 *   npm run bench -- [--runs 5] [--image large,big-file,many-files,small]
 *                    [--only cold|warm|copy|provision|stages|NAME[,…]] [--json FILE] [--check]
 *
 * With --check, the exit code is 1 when something that was measured misses its target (targets.ts), or nothing was measured
 * that has one. Needs root. Peers that are not installed are named and left out. Leaves nothing behind but the cached images
 * and the JSON file.
 */
import { writeFile } from "node:fs/promises";
import { cpus, release } from "node:os";
import { startRegistry } from "../support/registry.ts";
import { openTempDir } from "../support/temp-dir.ts";
import { containerd } from "./contenders/containerd.ts";
import { curlTar } from "./contenders/curl-tar.ts";
import { podmanContainer, podmanImage } from "./contenders/podman.ts";
import { rootwrightCombined, rootwrightInTwo } from "./contenders/rootwright.ts";
import { skopeoUmoci } from "./contenders/skopeo-umoci.ts";
import { spread } from "./ground.ts";
import { type ImageName, publishImage, publishTinyImage } from "./images.ts";
import { meterObstacle } from "./measure.ts";
import { type BenchOptions, readOptions } from "./options.ts";
import type { Costs } from "./rounds.ts";
import { RUN } from "./scenarios.ts";
import { checkFailure, formatVerdict, judge, type Scenario } from "./targets.ts";

const CONTENDERS = [
  rootwrightCombined,
  rootwrightInTwo,
  podmanImage,
  podmanContainer,
  containerd,
  skopeoUmoci,
  curlTar,
];

const options = attempt(() => readOptions(process.argv.slice(2), CONTENDERS));
if (process.getuid?.() !== 0) fail("the benchmark mounts file systems: run it as root");
const obstacle = meterObstacle();
if (obstacle !== undefined) fail(`CPU time cannot be measured: ${obstacle}`);
const missing = options.contenders.flatMap((contender) => {
  const reason = contender.missing();
  return reason === undefined ? [] : [{ name: contender.name, reason }];
});
const interrupt = new AbortController();
for (const name of ["SIGINT", "SIGTERM"] as const) {
  process.once(name, () => interrupt.abort(new Error(`Interrupted by ${name}: everything has been taken down`)));
}

const { results, data } = await measure(options);
const verdicts = judge(results);
console.log("\n× is the median over the rounds of the first row ÷ this one: below 1, the first is cheaper.");
console.log(`\nTargets\n${verdicts.map(formatVerdict).join("\n")}`);
const setting = { runs: options.runs, images: options.images, cpus: cpus().length, linux: release(), missing };
await writeFile(options.json, `${JSON.stringify({ setting, results: data, targets: verdicts }, undefined, 2)}\n`);
console.log(`\nAll rounds: ${options.json}`);
const failure = options.check ? checkFailure(verdicts) : undefined;
if (failure !== undefined) {
  tell(failure);
  process.exitCode = 1;
}

async function measure({ images, scenarios, contenders, runs }: BenchOptions) {
  const results = new Map<ImageName, Partial<Record<Scenario, Costs>>>();
  const data: Record<string, Record<string, unknown>> = {};
  const taking = contenders.filter(({ name }) => !missing.some((entry) => entry.name === name));
  await using temp = await openTempDir("bench");
  await spread(temp.path);
  await using registry = await startRegistry();
  const tiny = await publishTinyImage(registry);
  console.log(`${cpus().length} cores, Linux ${release()}; the registry runs on the same machine`);
  for (const { name, reason } of missing) console.log(`left out: ${name}: ${reason}`);
  for (const name of images) {
    tell(`building the image ${name}, unless it is cached …`);
    const image = await publishImage(name, registry);
    const megabytes = (image.compressedBytes / 1e6).toFixed(0);
    console.log(`\nImage ${name}: ${image.layers.length} layers, ${megabytes} MB compressed`);
    const costs: Partial<Record<Scenario, Costs>> = {};
    const outcomes: Record<string, unknown> = {};
    for (const scenario of scenarios) {
      const common = { contenders: taking, image, tiny, registryPid: registry.pid, work: temp.path, runs };
      const outcome = await RUN[scenario]({ ...common, tell, signal: interrupt.signal });
      console.log(`\n${outcome.text}`);
      costs[scenario] = outcome.costs;
      outcomes[scenario] = outcome.data;
    }
    results.set(name, costs);
    data[name] = { layers: image.layers.length, compressedBytes: image.compressedBytes, ...outcomes };
  }
  return { results, data };
}

function tell(line: string): void {
  console.error(`bench: ${line}`);
}

function attempt<T>(action: () => T): T {
  try {
    return action();
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error));
  }
}

function fail(message: string): never {
  console.error(`bench: ${message}`);
  process.exit(2);
}
