/** rootwright, as one command and as two. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { cliArguments, rootwright } from "../../support/cli.ts";
import { type BenchImage, type Contender, imageName, type OpenContender } from "../contender.ts";
import type { Meter } from "../measure.ts";

const MAIN = join(import.meta.dirname, "../../../src/main.ts");

function contender(name: string, does: string, commands: (image: string) => readonly (readonly string[])[]): Contender {
  return {
    name,
    does,
    missing: () => (existsSync(MAIN) ? undefined : "src/main.ts is not there"),
    touch: async () => {
      await rootwright(["--version"], { root: "/nonexistent", exits: "any" });
    },
    open: (image, directory) => Promise.resolve(openRootwright(image, join(directory, "store"), commands)),
  };
}

function openRootwright(
  image: BenchImage,
  root: string,
  commands: (image: string) => readonly (readonly string[])[],
): OpenContender {
  const measured = (meter: Meter, args: readonly string[]) =>
    meter.run(process.execPath, cliArguments(root, ["--quiet", ...args]));
  const name = imageName(image);
  return {
    async cold(meter) {
      let printed = "";
      for (const command of commands(name)) printed = (await measured(meter, command)).stdout;
      return printed.trim();
    },
    async warm(meter, round) {
      await measured(meter, ["provision", name, "--id", `warm-${round}`]);
      await measured(meter, ["destroy", `warm-${round}`]);
    },
    async [Symbol.asyncDispose]() {
      const ps = await rootwright(["--json", "ps"], { root });
      const ids = (JSON.parse(ps.stdout) as readonly { readonly id: string }[]).map((rootfs) => rootfs.id);
      if (ids.length > 0) await rootwright(["destroy", ...ids], { root });
    },
  };
}

export const rootwrightCombined = contender("rootwright", "provision (pulls what is missing)", (image) => [
  ["provision", image, "--id", "cold"],
]);

export const rootwrightInTwo = contender("rootwright-2", "pull, then provision", (image) => [
  ["pull", image],
  ["provision", image, "--id", "cold"],
]);
