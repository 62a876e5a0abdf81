import { fstatSync } from "node:fs";
import { resolve } from "node:path";
import type { Image } from "../../../store/index.ts";
import { AppError } from "../../errors.ts";
import { formatReference, parseReference } from "../../image/reference.ts";
import type { ImportInput } from "../../provisioner/import-images.ts";
import { defineCommand, STANDARD_INPUT } from "../command.ts";
import { PLATFORM_OPTION, platformOf } from "./image-options.ts";
import { imageJson, nameWithDigest } from "./pull.ts";

/** Prints one `NAME@DIGEST` a line, as `pull` does. */
export const importCommand = defineCommand({
  usage: "import <archive>",
  describe: "take in the images of an archive, a layout, an ACI or standard input",
  examples: [
    ["import app.tar.gz", "everything that `docker save` wrote, under the names that it has there"],
    ["import - --name team/app:1 < layout.tar", "one image, under a name of your own"],
    ["import oci:layout:v1 --name team/app:1", "one of several"],
  ],
  positionals: {
    archive: {
      type: "string",
      demandOption: true,
      describe:
        "docker archive (plain or compressed), OCI archive, OCI layout directory, ACI; `-` is standard input; one image of it: docker-archive:FILE:NAME, oci-archive:FILE:NAME, oci:DIR:NAME, with :@N or @DIGEST instead of :NAME",
    },
  },
  options: {
    ...PLATFORM_OPTION,
    // one value each time: what follows is the archive
    name: { type: "string", array: true, nargs: 1, describe: "the name that the image gets; may be repeated" },
    explain: { type: "boolean", describe: "tell every decision" },
  },
  async run(args, cli) {
    const names = [...new Set((args.name ?? []).map(canonicalName))];
    const input = inputOf(args.archive, cli.config.environment.cwd);
    const what = "stream" in input ? "standard input" : args.archive;
    const provisioner = await cli.provisioner();
    const images: Image[] = [];
    const onTaken = (taken: readonly Image[]): void => void images.push(...taken);
    const print = (): void => {
      if (cli.json) cli.out(`${JSON.stringify(images.map(imageJson))}\n`);
      else for (const image of images) cli.out(`${nameWithDigest(image)}\n`);
      provisioner.flush();
    };
    try {
      await provisioner.import({ input, what, names, onTaken, ...platformOf(args.platform) }, cli);
    } catch (error) {
      // what is in the store already stays there
      if (images.length > 0) print();
      throw error;
    }
    print();
    return 0;
  },
});

/** `-`, a reference to an archive or a layout, or a path. */
function inputOf(archive: string, cwd: string): ImportInput {
  if (archive === STANDARD_INPUT) return { stream: standardInput() };
  if (archive === "") throw new AppError("usage", "Cannot import: the name of the archive is empty");
  if (!/^(?:docker-archive|oci|oci-archive):/.test(archive)) return { path: resolve(cwd, archive) };
  const reference = parseReference(archive, cwd);
  if (reference.kind === "docker" || reference.kind === "appc") throw new RangeError("that is the name of no archive");
  return { reference };
}

function canonicalName(text: string): string {
  const reference = parseReference(text);
  if (reference.kind === "docker" && reference.digest === undefined) return formatReference(reference);
  throw new AppError("usage", `Cannot give an image the name ${text}: it must be [HOST/]REPOSITORY[:TAG]`);
}

function standardInput(): AsyncIterable<Uint8Array> {
  // Node gives a stream without a byte for what it cannot read
  if (fstatSync(0).isDirectory()) {
    throw new AppError("usage", "Cannot import from standard input: it is a directory", {
      hint: "name it instead of the -: rootwright import DIR",
    });
  }
  if (!process.stdin.isTTY) return process.stdin;
  throw new AppError("usage", "Cannot import from standard input: it is a terminal", {
    hint: "docker save app:1 | rootwright import -",
  });
}
