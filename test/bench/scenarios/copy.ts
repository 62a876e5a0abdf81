/**
 * The copy backend beside `cp -a` of what it copies: both make a private tree of an image from a warm store, on one file
 * system. cp reads the merged tree through an overlay mount of the same layers.
 */
import { join } from "node:path";
import { cliArguments, rootwright } from "../../support/cli.ts";
import { run } from "../../support/peers.ts";
import { imageName } from "../contender.ts";
import { expectUsable, inTurn, openDirectory, settleDisk, spread } from "../ground.ts";
import { Meter } from "../measure.ts";
import type { Costs, RoundsSetting } from "../rounds.ts";

export const COPY = "provision --backend copy";
export const CP = "cp -a";

export const COPY_DOES: Readonly<Record<string, string>> = {
  [COPY]: "the command, from a warm store",
  [CP]: "cp -a --reflink=auto of an overlay mount of the same layers",
};

/** Reads all that either of them will read, data, metadata and the store's own records: what `settleDisk` dropped. */
const READ_ALL = `set -euo pipefail
tar --xattrs --acls -C "$1" -cf - . | cat > /dev/null
cat "$2"/index.db* "$2"/layers/*/index > /dev/null
`;

export async function runCopy({ image, work, runs, tell, signal }: RoundsSetting): Promise<Costs> {
  await using directory = await openDirectory(work);
  const root = join(directory.path, "store");
  const name = imageName(image);
  const provision = ["--quiet", "provision", name];
  const { stdout } = await rootwright([...provision, "--id", "model", "--backend", "overlay"], { root });
  const model = stdout.trim();
  await spread(join(root, "rootfs"));
  await using undo = new AsyncDisposableStack();
  undo.defer(async () => void (await rootwright(["destroy", "model"], { root })));

  const contenders = [
    {
      name: COPY,
      async copy(meter: Meter, made: AsyncDisposableStack) {
        made.defer(async () => void (await rootwright(["destroy", "copy", "--if-exists"], { root })));
        const args = cliArguments(root, [...provision, "--id", "copy", "--backend", "copy"]);
        return (await meter.run(process.execPath, args)).stdout.trim();
      },
    },
    {
      name: CP,
      async copy(meter: Meter, made: AsyncDisposableStack) {
        const { path } = made.use(await openDirectory(work));
        const target = join(path, "rootfs");
        await meter.run("cp", ["-a", "--reflink=auto", `${model}/.`, target]);
        return target;
      },
    },
  ];
  const costs: Costs = new Map(contenders.map((contender) => [contender.name, []]));
  for (let round = 0; round < runs; round += 1) {
    for (const contender of inTurn(contenders, round)) {
      signal.throwIfAborted();
      await using made = new AsyncDisposableStack();
      await settleDisk();
      await run("bash", ["-c", READ_ALL, "read-all", model, root]);
      await rootwright(["ps"], { root });
      const meter = new Meter(work);
      await expectUsable(contender.name, await contender.copy(meter, made), image.proof);
      costs.get(contender.name)?.push(meter.cost);
      tell(`copy ${image.name} ${round + 1}/${runs} ${contender.name}: ${(meter.cost.wallMs / 1000).toFixed(2)} s`);
    }
  }
  return costs;
}
