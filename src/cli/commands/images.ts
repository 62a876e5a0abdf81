/** `images`: one line an image; with --json everything of its row. */
import { defineCommand } from "../command.ts";
import { formatAge, formatBytes, formatTable, shortDigest } from "../output.ts";
import { imageJson } from "./pull.ts";

export const images = defineCommand({
  usage: "images",
  describe: "list the images in the cache",
  async run(_args, cli) {
    const all = (await cli.provisioner()).images();
    if (cli.json) {
      cli.out(`${JSON.stringify(all.map(imageJson))}\n`);
      return 0;
    }
    const rows = all.map((image) => [
      image.name,
      shortDigest(image.manifestDigest),
      image.platform,
      String(image.layers.length),
      image.sizeBytes === undefined ? "" : formatBytes(image.sizeBytes),
      formatAge(image.lastUsedAt),
    ]);
    cli.out(formatTable(["IMAGE", "DIGEST", "PLATFORM", "LAYERS", "SIZE", "USED"], rows));
    return 0;
  },
});
