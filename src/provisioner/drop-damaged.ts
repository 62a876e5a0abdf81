/** Records of an image's layers that cannot be read are dropped, so that the next attempt makes them anew. */
import { readFileSync } from "node:fs";
import type { Image, Layer, Store } from "../../store/index.ts";
import { fixUpKey } from "../image/identity.ts";
import { imageStack } from "../layers/ensure-stack.ts";
import { decodeEntryIndex } from "../layers/entry-index.ts";

/** Returns how many were dropped. A layer that a root filesystem stands on stays: what is running is left alone. */
export function dropDamaged(store: Store, image: Image): number {
  const diffIds = image.layers.map(({ diffId }) => diffId);
  const layers = [...new Set(diffIds)].flatMap((diffId) => store.layers.get(diffId, "layer") ?? []);
  const fixUp = store.layers.get(fixUpKey(diffIds), "fixup");
  const damaged = layers.filter(
    (layer) => !isReadable(() => decodeEntryIndex(readFileSync(layer.indexPath), layer.indexPath)),
  );
  // what was worked out from a damaged index is no better
  const suspect =
    fixUp !== undefined && (damaged.length > 0 || !isReadable(() => imageStack(layers, fixUp))) ? [fixUp] : [];
  return [...damaged, ...suspect].filter((layer) => drop(store, layer)).length;
}

function isReadable(read: () => unknown): boolean {
  try {
    read();
    return true;
  } catch {
    return false;
  }
}

function drop(store: Store, { key, kind }: Layer): boolean {
  try {
    return store.layers.remove(key, kind);
  } catch (error) {
    if ((error as { code?: unknown }).code === "layer-in-use") return false;
    throw error;
  }
}
