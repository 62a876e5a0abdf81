/**
 * `npm run bench`: rootwright beside podman, containerd, skopeo with umoci, and curl|gzip|tar, on one real Debian image
 * from one local registry, in one run.
 *
 *   npm run bench -- [--runs 5] [--image large|small] [--only cold|warm|NAME[,…]] [--json FILE]
 *
 * Needs root. Peers that are not installed are named and left out. Leaves nothing behind but the cached Debian image and
 * the JSON file.
 */
import { readFile, writeFile } from "node:fs/promises";
import { cpus, release, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type DebianImage, ensureDebianImage, pushImage } from "../support/debian-image.ts";
import { startRegistry } from "../support/registry.ts";
import { openTempDir } from "../support/temp-dir.ts";
import { containerd } from "./contenders/containerd.ts";
import { curlTar } from "./contenders/curl-tar.ts";
import { podmanContainer, podmanImage } from "./contenders/podman.ts";
import { rootwrightCombined, rootwrightInTwo } from "./contenders/rootwright.ts";
import { skopeoUmoci } from "./contenders/skopeo-umoci.ts";
import { meterObstacle } from "./measure.ts";
import { formatTable, type Summary, summarise } from "./report.ts";
import { type RoundsSetting, runCold, runWarm } from "./rounds.ts";

const CONTENDERS = [
  rootwrightCombined,
  rootwrightInTwo,
  podmanImage,
  podmanContainer,
  containerd,
  skopeoUmoci,
  curlTar,
];
const SCENARIOS = ["cold", "warm"];
/** Warm rounds take milliseconds: more of them cost nothing and steady the medians. */
const WARM_ROUNDS_PER_RUN = 4;

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "5" },
    image: { type: "string", default: "large" },
    only: { type: "string", default: "" },
    json: { type: "string", default: join(tmpdir(), "rootwright-bench.json") },
  },
});
const runs = Number(values.runs);
const only = values.only.split(",").filter((name) => name !== "");
const variant = values.image;
const known = [...SCENARIOS, ...CONTENDERS.map(({ name }) => name)];
const unknown = only.find((name) => !known.includes(name));
if (unknown !== undefined) fail(`--only knows no ${unknown}`, `choose from ${known.join(", ")}`);
if (!Number.isInteger(runs) || runs < 1) fail("--runs takes a number from 1 on", "use 5 or more for numbers to keep");
if (variant !== "small" && variant !== "large") fail(`--image knows no ${variant}`, "use small or large");
if (process.getuid?.() !== 0) fail("the benchmark mounts file systems", "run it as root");
const obstacle = meterObstacle();
if (obstacle !== undefined) fail("CPU time cannot be measured", obstacle);

const chosen = CONTENDERS.filter(({ name }) => !only.some((word) => !SCENARIOS.includes(word)) || only.includes(name));
const scenarios = SCENARIOS.filter((name) => !only.some((word) => SCENARIOS.includes(word)) || only.includes(name));
const missing = chosen.flatMap((contender) => {
  const reason = contender.missing();
  return reason === undefined ? [] : [{ name: contender.name, reason }];
});
const contenders = chosen.filter(({ name }) => !missing.some((entry) => entry.name === name));

const interrupt = new AbortController();
for (const name of ["SIGINT", "SIGTERM"] as const) {
  process.once(name, () => interrupt.abort(new Error(`Interrupted by ${name}: everything has been taken down`)));
}

tell(`building the ${variant} Debian image, unless it is cached …`);
const image = await ensureDebianImage({ variant });
const results: Record<string, { summary: Summary[]; rounds: Record<string, unknown> }> = {};
{
  await using temp = await openTempDir("bench");
  const work = temp.path;
  await using registry = await startRegistry();
  const benchImage = { registry: registry.host, repository: "debian", tag: "bench", layers: await layerDigests(image) };
  await pushImage(image, `docker://${registry.host}/debian:bench`);

  const setting: RoundsSetting = { contenders, image: benchImage, work, runs, tell, signal: interrupt.signal };
  const megabytes = (image.compressedBytes / 1e6).toFixed(0);
  console.log(
    `Debian (${variant}): ${image.layers} layers, ${megabytes} MB compressed; ${cpus().length} cores, Linux ${release()}`,
  );
  for (const { name, reason } of missing) console.log(`left out: ${name}: ${reason}`);
  for (const scenario of scenarios) {
    const cold = scenario === "cold";
    const costs = cold ? await runCold(setting) : await runWarm({ ...setting, runs: runs * WARM_ROUNDS_PER_RUN });
    const summary = summarise(costs, rootwrightCombined.name);
    results[scenario] = { summary, rounds: Object.fromEntries(costs) };
    const title = cold
      ? `Cold: pull to usable rootfs, ${runs} rounds`
      : `Warm: provision and destroy, ${runs * WARM_ROUNDS_PER_RUN} rounds`;
    console.log(`\n${formatTable(title, summary, contenders)}`);
  }
}
console.log("\n× is the median over the rounds of rootwright ÷ this one: below 1, rootwright is cheaper.");
const setting = {
  variant,
  runs,
  layers: image.layers,
  compressedBytes: image.compressedBytes,
  cpus: cpus().length,
  missing,
};
await writeFile(values.json, `${JSON.stringify({ setting, results }, undefined, 2)}\n`);
console.log(`All rounds: ${values.json}`);

async function layerDigests({ layout, digest }: DebianImage): Promise<string[]> {
  const manifest = await readFile(join(layout, "blobs", digest.replace(":", "/")), "utf8");
  return (JSON.parse(manifest) as { layers: { digest: string }[] }).layers.map((layer) => layer.digest);
}

function tell(line: string): void {
  console.error(`bench: ${line}`);
}

function fail(message: string, hint: string): never {
  console.error(`bench: ${message}\nhint: ${hint}`);
  process.exit(2);
}
