/** `inspect`: facts for people, or with --json the record, the configuration and what runs in it. */
import { parseNamedImage } from "../../image/named-image.ts";
import type { ImageDetails } from "../../provisioner/describe.ts";
import { defineCommand } from "../command.ts";
import { formatBytes, formatTable, printable, shortDigest } from "../output.ts";
import { IMAGE_HELP, PLATFORM_OPTION, platformOf } from "./image-options.ts";
import { imageJson } from "./pull.ts";

export const inspect = defineCommand({
  usage: "inspect <image>",
  describe: "tell everything the cache knows of an image",
  positionals: { image: { type: "string", demandOption: true, describe: IMAGE_HELP } },
  options: PLATFORM_OPTION,
  async run(args, cli) {
    const reference = parseNamedImage(args.image, cli.config.environment.cwd).reference;
    const provisioner = await cli.provisioner();
    const details = await provisioner.inspect(reference, platformOf(args.platform).platform);
    if (cli.json) {
      const { image, config, runtimeConfig, layers, rootfs } = details;
      cli.out(`${JSON.stringify({ ...imageJson(image), layers, runtimeConfig, config, rootfs })}\n`);
    } else cli.out(describe(details));
    return 0;
  },
});

function describe({ image, config, runtimeConfig: run, layers, rootfs }: ImageDetails): string {
  const facts: [string, string][] = [
    ["image", image.name],
    ["image ID", image.imageId ?? ""],
    ["manifest", image.manifestDigest],
    ["configuration", image.configDigest],
    ["platform", image.platform],
    ["source", image.source ?? ""],
    ["created", config.created ?? ""],
    ["entrypoint", words(run.entrypoint)],
    ["command", words(run.cmd)],
    ["working dir", run.workingDir],
    ["user", run.user],
    ["environment", run.env.join("\n")],
    ["volumes", run.volumes.join("\n")],
    ["ports", run.exposedPorts.join("\n")],
    ["stop signal", run.stopSignal],
    [
      "labels",
      Object.entries(run.labels)
        .map(([key, value]) => `${key}=${value}`)
        .join("\n"),
    ],
    ["root filesystems", rootfs.join("\n")],
  ];
  const lines = facts
    .filter(([, value]) => value !== "")
    .flatMap(([key, value]) =>
      value.split("\n").map((line, at) => `${(at === 0 ? key : "").padEnd(18)}${printable(line)}`),
    );
  const rows = layers.map(({ diffId, blob, tree }, at) => [
    String(at + 1),
    shortDigest(diffId),
    blob === undefined ? "–" : formatBytes(blob.sizeBytes),
    tree === undefined ? "–" : formatBytes(tree.sizeBytes),
    tree === undefined ? "–" : String(tree.entries),
    tree?.path ?? "not unpacked",
  ]);
  return `${lines.join("\n")}\n\n${formatTable(["LAYER", "DIFFID", "BLOB", "UNPACKED", "ENTRIES", "TREE"], rows)}`;
}

function words(argv: readonly string[]): string {
  return argv.length === 0 ? "" : JSON.stringify(argv);
}
