import { parseNamedImage } from "../../image/named-image.ts";
import { defineCommand } from "../command.ts";
import { formatBytes } from "../output.ts";
import { forEach, throwFailures } from "./each.ts";
import { IMAGE_HELP, PLATFORM_OPTION, platformOf } from "./image-options.ts";

/** Prints the names that are gone now. */
export const rm = defineCommand({
  usage: "rm <images..>",
  describe: "remove images from the cache, and what nothing else needs",
  positionals: { images: { type: "string", array: true, demandOption: true, describe: IMAGE_HELP } },
  options: PLATFORM_OPTION,
  async run(args, cli) {
    const provisioner = await cli.provisioner();
    const outcomes = await forEach(args.images, cli.signal, async (text) => {
      return provisioner.remove(
        parseNamedImage(text, cli.config.environment.cwd).reference,
        platformOf(args.platform).platform,
      );
    });
    const removed = outcomes.flatMap(({ value }) => (value === undefined ? [] : [value]));
    const freedBytes = removed.reduce((sum, { collected }) => sum + collected.freedBytes, 0);
    const names = removed.map(({ image }) => image.name);
    cli.out(
      cli.json ? `${JSON.stringify({ removed: names, freedBytes })}\n` : names.map((name) => `${name}\n`).join(""),
    );
    if (removed.length > 0) cli.note(`freed ${formatBytes(freedBytes)}`);
    throwFailures("remove", outcomes);
    return 0;
  },
});
