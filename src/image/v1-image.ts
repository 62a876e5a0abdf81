/**
 * Images as Docker described them until 1.9 (docker-image-spec v1): a JSON document for each layer, of which the topmost is
 * the image's configuration. `docker save` wrote them as files, registries as strings inside of schema 1 manifests. Turned
 * here into the configuration of today, whose bytes depend on nothing else.
 */
import { z } from "zod";
import type { Digest } from "../../store/index.ts";
import { listOf, recordOf } from "./bounded.ts";

/** Ids and much else in it are what its author chose to write; they are not read here. */
export const v1LayerSchema = z.looseObject({
  id: z.string().exactOptional(),
  parent: z.string().exactOptional(),
  created: z.string().exactOptional(),
  author: z.string().exactOptional(),
  comment: z.string().exactOptional(),
  architecture: z.string().exactOptional(),
  os: z.string().exactOptional(),
  variant: z.string().exactOptional(),
  config: recordOf(z.unknown()).exactOptional(),
  /** What the layer was built by. */
  container_config: z.looseObject({ Cmd: listOf(z.string()).exactOptional() }).exactOptional(),
  /** Written by registries that turned schema 2 into schema 1: there was no layer, an empty one stands for it. */
  throwaway: z.boolean().exactOptional(),
});

export type V1Layer = Readonly<z.output<typeof v1LayerSchema>>;

/**
 * An OCI image configuration: what the newest of `layers` says, and the history of all. `layers` and `diffIds` base first;
 * a layer that is thrown away has no DiffID. Equal images get equal bytes, whoever makes them.
 */
export function configOfV1(layers: readonly V1Layer[], diffIds: readonly Digest[], architecture = ""): Uint8Array {
  const newest = layers.at(-1) ?? {};
  const config = {
    created: newest.created,
    author: newest.author,
    architecture: newest.architecture ?? architecture,
    // images of that time that do not say are Linux's: there were no others
    os: newest.os ?? "linux",
    variant: newest.variant,
    config: newest.config ?? {},
    rootfs: { type: "layers", diff_ids: diffIds },
    history: layers.map(historyOf),
  };
  return Buffer.from(JSON.stringify(config));
}

/** Members that are undefined are not written. */
function historyOf({ created, author, comment, throwaway, container_config: container }: V1Layer): object {
  const empty = throwaway === true ? { empty_layer: true } : {};
  return { created, created_by: container?.Cmd?.join(" "), author, comment, ...empty };
}
