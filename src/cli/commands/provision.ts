import { BACKEND_CHOICES } from "../../backends/index.ts";
import { defineCommand } from "../command.ts";
import { formatDuration } from "../output.ts";
import { FETCH_OPTIONS, IMAGE_HELP, imageRequest } from "./image-options.ts";

/** Prints the path of the root filesystem. */
export const provision = defineCommand({
  usage: "provision <image>",
  describe: "make a root filesystem from an image, fetching it if it is not cached",
  examples: [
    ["provision debian:12 --id web-1", "prints the path of the root filesystem"],
    [`provision debian:12 --id web-2 --backend copy`, `backends: ${BACKEND_CHOICES.join(", ")}`],
  ],
  positionals: { image: { type: "string", demandOption: true, describe: IMAGE_HELP } },
  options: {
    ...FETCH_OPTIONS,
    id: { type: "string", demandOption: true, requiresArg: true, describe: "name of the new root filesystem" },
    "read-only": { type: "boolean", describe: "nothing can be written to it" },
  },
  async run(args, cli) {
    const start = performance.now();
    const image = imageRequest(args.image, args, cli.config);
    const provisioner = await cli.provisioner();
    const request = {
      ...image,
      id: args.id,
      backend: cli.config.backend,
      readOnly: args["read-only"] ?? false,
    };
    const made = await provisioner.provision(request, cli);
    if (cli.json) {
      const { id, rootfs, backend, readOnly, image, runtimeConfig } = made;
      cli.out(
        `${JSON.stringify({ id, rootfs, backend, readOnly, image: image.name, digest: image.manifestDigest, runtimeConfig })}\n`,
      );
    } else cli.out(`${made.rootfs}\n`);
    cli.note(
      `provisioned ${made.id} with ${made.backend}${made.readOnly ? ", read-only" : ""} in ${formatDuration(performance.now() - start)}`,
    );
    return 0;
  },
});
