/** What a layer may cost before it is refused. Every real image passes; a bomb does not. */
import { AppError } from "../errors.ts";

export interface LayerLimits {
  /** Entries in one layer's tar. */
  readonly maxEntries: number;
  /** Bytes of one layer uncompressed. */
  readonly maxBytes: number;
}

export const DEFAULT_LIMITS: LayerLimits = { maxEntries: 10_000_000, maxBytes: 1024 ** 4 };

export function tooLarge(what: string, setting: string): AppError {
  return new AppError("layer-too-large", `Cannot unpack a layer: it has ${what}`, {
    hint: `raise ${setting} if the image is trusted (flag, variable or configuration file)`,
  });
}
