import type { Image } from "../../../store/index.ts";
import { defineCommand } from "../command.ts";
import { forEach, throwFailures } from "./each.ts";
import { FETCH_OPTIONS, IMAGE_HELP, imageRequest } from "./image-options.ts";

/** Prints one `NAME@DIGEST` a line. */
export const pull = defineCommand({
  usage: "pull <images..>",
  describe: "fetch images and unpack them into the cache",
  examples: [
    ["pull debian:12", "from the default registry"],
    ["pull docker-archive:app.tar --explain", "from a `docker save` file, telling every step"],
    ["pull --pull-policy cached debian:12", "no registry is asked if it is here"],
  ],
  positionals: { images: { type: "string", array: true, demandOption: true, describe: IMAGE_HELP } },
  options: FETCH_OPTIONS,
  async run(args, cli) {
    const requests = new Map(args.images.map((text) => [text, imageRequest(text, args, cli.config)]));
    const provisioner = await cli.provisioner();
    const outcomes = await forEach([...requests.keys()], cli.signal, async (text) => {
      const request = requests.get(text);
      if (request === undefined) throw new TypeError("unreachable");
      return provisioner.pull(request, cli);
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
    imageId,
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
    imageId,
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

/** An image that its format gives an ID of its own is known by that elsewhere. */
export function nameWithDigest({ name, manifestDigest, imageId }: Image): string {
  if (/@sha(?:256|512)[:-][0-9a-f]+$/.test(name)) return name;
  const digest = imageId ?? manifestDigest;
  return `${name}@${name.startsWith("appc:") ? digest.replace(":", "-") : digest}`;
}
