/** From the id of a layer down to the base: `<id>/json` names its parent. Ids come from outside and are names of files. */

import type { V1Layer } from "../../image/v1-image.ts";
import { archiveInvalid, type ImageFiles, shownName } from "./image-files.ts";
import { readLegacyLayer } from "./legacy-config.ts";

/** Docker itself never stacked more than 127. */
export const MAX_CHAIN = 1024;

export interface ChainLink {
  readonly id: string;
  readonly layer: V1Layer;
}

export function isLayerId(text: string): boolean {
  return /^[0-9a-f]{64}$/.test(text);
}

/** Base first. Throws AppError `archive-invalid`. */
export async function readChain(files: ImageFiles, top: string, signal?: AbortSignal): Promise<readonly ChainLink[]> {
  const chain: ChainLink[] = [];
  const seen = new Set<string>();
  for (let id: string | undefined = top; id !== undefined; ) {
    signal?.throwIfAborted();
    if (seen.has(id)) throw archiveInvalid(files.what, `its layer ${id} is among its own parents`);
    if (chain.length >= MAX_CHAIN) throw archiveInvalid(files.what, `an image in it has more than ${MAX_CHAIN} layers`);
    seen.add(id);
    const layer = await readLink(files, id, chain.at(-1)?.id);
    chain.push({ id, layer });
    // Docker wrote "" for none as well
    id = layer.parent === "" ? undefined : layer.parent;
  }
  return chain.reverse();
}

async function readLink(files: ImageFiles, id: string, child: string | undefined): Promise<V1Layer> {
  if (!isLayerId(id)) throw archiveInvalid(files.what, `it names a layer ${shownName(id)}, which is not 64 hex digits`);
  const name = `${id}/json`;
  if (!(await files.has(name))) {
    const whose = child === undefined ? "" : `, the parent of ${child}`;
    throw archiveInvalid(files.what, `it has no layer ${id}${whose}`);
  }
  const layer = await readLegacyLayer(files, id);
  if (layer.id === undefined || layer.id === id) return layer;
  throw archiveInvalid(files.what, `${shownName(name)} says that it is ${shownName(layer.id)}`);
}
