/** From uncompressed tars to directories; and the same without directories, which leaves the parser and the model. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { LayerApplier } from "../../../src/layers/apply.ts";
import type { Entry } from "../../../src/layers/entry.ts";
import { type LayerTree, openLayerTree } from "../../../src/layers/layer-tree.ts";
import { DEFAULT_LIMITS } from "../../../src/layers/limits.ts";
import { TarReader } from "../../../src/layers/tar-entries.ts";
import { run } from "../../support/peers.ts";
import { openDirectory, settleDisk } from "../ground.ts";
import { LIST } from "./parse.ts";
import { here, pieces, type Stage, type StageImage, shell } from "./stage.ts";

export function applyStage({ tars, tarBytes, entries, work }: StageImage): Stage {
  const ways = [
    {
      name: "LayerApplier",
      into: (directories: readonly string[]) =>
        here("LayerApplier", () => {
          for (const [at, tar] of tars.entries()) {
            using tree = openLayerTree(directories[at] as string, true);
            applyTo(tree, pieces(tar));
          }
        }),
    },
    {
      name: "tar -x",
      into: (directories: readonly string[]) =>
        shell("tar -x", work, EXTRACT, ...tars.flatMap((tar, at) => [tar, directories[at] as string])),
    },
  ];
  return {
    name: "apply",
    work: "the tars, to the disk",
    bytes: tarBytes,
    entries,
    ways: ways.map(({ name, into }) => ({
      name,
      async run() {
        await using target = await openDirectory(work);
        const directories = tars.map((_, at) => join(target.path, String(at)));
        for (const directory of directories) mkdirSync(directory);
        await settleDisk();
        await run("bash", ["-c", 'cat "$@" > /dev/null', "warm", ...tars]);
        return await into(directories).run();
      },
    })),
  };
}

const EXTRACT = `while [ $# -gt 0 ]; do
  tar -xp --numeric-owner --xattrs --xattrs-include='*' -C "$2" -f "$1"
  shift 2
done`;

export function modelStage({ tars, tarBytes, entries, work }: StageImage): Stage {
  return {
    name: "model",
    work: "the tars, to a tree that takes all and does nothing",
    bytes: tarBytes,
    entries,
    ways: [
      here("LayerApplier", () => {
        for (const tar of tars) applyTo(NO_TREE, pieces(tar));
      }),
      shell("cat | tar -t", work, LIST, ...tars),
    ],
  };
}

/** The entries of a layer, from the pieces of its tar. */
export function applyTo(tree: LayerTree, content: Iterable<Uint8Array>): Entry[] {
  const applier = new LayerApplier(tree, DEFAULT_LIMITS);
  const reader = new TarReader(applier);
  for (const piece of content) reader.write(piece);
  reader.end();
  return applier.finish();
}

const nothing = (): void => {};

export const NO_TREE: LayerTree = {
  markersRefused: 0,
  createFile: nothing,
  openFile: () => ({ append: nothing, seek: nothing, finish: nothing, [Symbol.dispose]: nothing }),
  cloneFile: nothing,
  symlink: nothing,
  link: nothing,
  mknod: nothing,
  mkdir: nothing,
  setDirectory: nothing,
  whiteout: nothing,
  markOpaque: nothing,
  remove: nothing,
  [Symbol.dispose]: nothing,
};
