import type { Image } from "../../../store/index.ts";
import { parseReference } from "../../image/reference.ts";
import { defineCommand } from "../command.ts";
import { forEach, throwFailures } from "./each.ts";
import { IMAGE_HELP, PLATFORM_OPTION, platformOf } from "./image-options.ts";

/** Prints one `NAME@DIGEST` a line. */
export const pull = defineCommand({
  usage: "pull <images..>",
  describe: "fetch images and unpack them into the cache",
  examples: [
    ["pull debian:12", "from the default registry"],
    ["pull docker-archive:app.tar --explain", "from a `docker save` file, telling every step"],
  ],
  positionals: { images: { type: "string", array: true, demandOption: true, describe: IMAGE_HELP } },
  options: {
    ...PLATFORM_OPTION,
    explain: { type: "boolean", describe: "tell every decision: requests, credentials, retries, times" },
  },
  async run(args, cli) {
    const references = args.images.map((text) => [text, parseReference(text, cli.config.environment.cwd)] as const);
    const provisioner = await cli.provisioner();
    const byText = new Map(references);
    const outcomes = await forEach([...byText.keys()], cli.signal, async (text) => {
      const reference = byText.get(text);
      if (reference === undefined) throw new TypeError("unreachable");
      return provisioner.pull({ reference, ...platformOf(args.platform) }, cli);
    });
    const pulled = outcomes.flatMap(({ value }) => (value === undefined ? [] : [value]));
    if (cli.json) cli.out(`${JSON.stringify(pulled.map(imageJson))}\n`);
    else for (const image of pulled) cli.out(`${nameWithDigest(image)}\n`);
    // an image that was pulled is there to stay: a power loss after this costs nothing
    provisioner.flush();
    throwFailures("pull", outcomes);
    return 0;
  },
});

export function imageJson(image: Image): Record<string, unknown> {
  const {
    name,
    platform,
    manifestDigest,
    configDigest,
    mediaType,
    sizeBytes,
    source,
    pinned,
    createdAt,
    lastUsedAt,
    layers,
  } = image;
  return {
    name,
    digest: manifestDigest,
    configDigest,
    mediaType,
    platform,
    sizeBytes,
    source,
    pinned,
    createdAt: new Date(createdAt).toISOString(),
    lastUsedAt: new Date(lastUsedAt).toISOString(),
    layers: layers.map(({ diffId, blob }) => ({ diffId, blob })),
  };
}

function nameWithDigest({ name, manifestDigest }: Image): string {
  return name.includes("@") ? name : `${name}@${manifestDigest}`;
}
