/** `plan`: what a pull would cost, before anybody pays. Exits with 9 when it does not fit on the disk. */
import { AppError } from "../../errors.ts";
import type { Plan, PlannedImage } from "../../provisioner/plan.ts";
import { defineCommand } from "../command.ts";
import { formatBytes, formatTable, printable, shortDigest } from "../output.ts";
import { throwFailures } from "./each.ts";
import { FETCH_OPTIONS, IMAGE_HELP, imageRequest } from "./image-options.ts";

export const plan = defineCommand({
  usage: "plan <images..>",
  describe: "tell what a pull would fetch and need, without pulling",
  examples: [
    ["plan debian:12 python:3.12", "what the two share is counted once"],
    ["plan app:2 && rootwright pull app:2", "pulls only what fits on the disk"],
  ],
  positionals: { images: { type: "string", array: true, demandOption: true, describe: IMAGE_HELP } },
  options: FETCH_OPTIONS,
  async run(args, cli) {
    const requests = args.images.map((text) => imageRequest(text, args, cli.config));
    const provisioner = await cli.provisioner();
    const planned = await provisioner.plan(requests, cli);
    const { failures, ...rest } = planned;
    const failed = failures.map(({ name, error: { code, message } }) => ({ name, code, message }));
    cli.out(cli.json ? `${JSON.stringify({ ...rest, failures: failed })}\n` : describe(planned));
    const outcomes = [
      ...planned.images.map(({ name }) => ({ item: name })),
      ...failures.map(({ name, error }) => ({ item: name, error })),
    ];
    throwFailures("plan", outcomes);
    if (planned.disk.fits !== false) return 0;
    throw tooLittleRoom(planned);
  },
});

const STATES = {
  unpacked: "here",
  fetched: "here, to be unpacked",
  partial: "partly here",
  remote: "to be fetched",
  local: "in a file",
  shared: "comes with another image",
} as const;

function describe(planned: Plan): string {
  const { disk } = planned;
  if (planned.images.length === 0) return "";
  const about = disk.estimated ? "about " : "";
  const free = disk.freeBytes === undefined ? "unknown" : formatBytes(disk.freeBytes);
  return [
    ...planned.images.map(describeImage),
    `fetch     ${formatBytes(planned.fetchBytes)}, ${formatBytes(planned.presentBytes)} are here already`,
    `disk      ${about}${formatBytes(disk.finalBytes)}, at most ${about}${formatBytes(disk.peakBytes)} on the way; free: ${free}`,
    `fits      ${disk.fits === undefined ? "unknown" : disk.fits ? "yes" : "no"}`,
    "",
  ].join("\n");
}

function describeImage(image: PlannedImage): string {
  const rows = image.layers.map((layer, at) => [
    String(at + 1),
    layer.digest === undefined ? "–" : shortDigest(layer.digest),
    layer.sizeBytes === undefined ? "–" : formatBytes(layer.sizeBytes),
    formatBytes(layer.fetchBytes),
    `${layer.estimated ? "~" : ""}${formatBytes(layer.unpackBytes)}`,
    STATES[layer.state],
    printable(layer.source),
  ]);
  const digest = image.digest === undefined ? "" : ` ${shortDigest(image.digest)}`;
  const head = printable(`${image.name}${digest} (${image.platform}) from ${image.source}`);
  return `${head}\n${formatTable(["LAYER", "BLOB", "SIZE", "FETCH", "UNPACKED", "STATE", "SOURCE"], rows)}`;
}

function tooLittleRoom({ images, disk }: Plan): AppError {
  const { peakBytes, freeBytes = 0 } = disk;
  const what = images.length === 1 ? (images[0]?.name ?? "") : `${images.length} images`;
  const why = `${formatBytes(peakBytes)} are needed, ${formatBytes(freeBytes)} are free`;
  return new AppError("disk-full", `Cannot fit ${what} on the store's disk: ${why}`, {
    hint: "remove images (`rootwright rm`), or point --root at a larger disk",
    details: { peakBytes, freeBytes },
  });
}
