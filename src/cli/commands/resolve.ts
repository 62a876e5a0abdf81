import { defineCommand } from "../command.ts";
import { forEach, throwFailures } from "./each.ts";
import { FETCH_OPTIONS, IMAGE_HELP, imageRequest } from "./image-options.ts";

/** Prints one `NAME@DIGEST` a line: what the name stands for now, for whoever must run the same everywhere. */
export const resolve = defineCommand({
  usage: "resolve <images..>",
  describe: "turn tags into digests",
  examples: [
    ["resolve python:3.12", "the digest of the tag: of an index, where it is one"],
    ["resolve python:3.12 --platform linux/arm64", "the digest of the manifest for that platform"],
  ],
  positionals: { images: { type: "string", array: true, demandOption: true, describe: IMAGE_HELP } },
  options: FETCH_OPTIONS,
  async run(args, cli) {
    const provisioner = await cli.provisioner();
    const outcomes = await forEach(args.images, cli.signal, (text) =>
      // parsed here, so that one name that does not parse is one failure among several
      Promise.resolve().then(() => provisioner.resolve(imageRequest(text, args, cli.config), cli)),
    );
    const bound = outcomes.flatMap(({ item, value }) => (value === undefined ? [] : [{ asked: item, ...value }]));
    cli.out(cli.json ? `${JSON.stringify(bound)}\n` : bound.map(({ name }) => `${name}\n`).join(""));
    throwFailures("resolve", outcomes);
    return 0;
  },
});
