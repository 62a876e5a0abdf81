/** The JSON files of an archive of Docker before 1.10, one for each layer: see v1-image.ts. */
import { type V1Layer, v1LayerSchema } from "../../image/v1-image.ts";
import type { ImageFiles } from "./image-files.ts";
import { readDocument } from "./read-document.ts";

/** They hold an environment, a command and some labels. */
const MAX_LAYER_JSON_BYTES = 1024 * 1024;

/** What the layer `id` says of itself. Throws AppError `archive-invalid`. */
export function readLegacyLayer(files: ImageFiles, id: string): Promise<V1Layer> {
  return readDocument(files, `${id}/json`, v1LayerSchema, MAX_LAYER_JSON_BYTES);
}
