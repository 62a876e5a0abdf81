/** What a layer may cost before it is refused. Every real image passes; a bomb does not. */
import { AppError } from "../errors.ts";

export interface LayerLimits {
  /** Entries in one layer's tar, together with the directories that their paths imply. */
  readonly maxEntries: number;
  /** Bytes of one layer uncompressed. */
  readonly maxBytes: number;
  /** Names in one path. Default: that of DEFAULT_LIMITS. */
  readonly maxDepth?: number;
  /** Bytes that one transported byte may become, beyond the first gibibyte. Default: that of DEFAULT_LIMITS. */
  readonly maxRatio?: number;
}

/**
 * Entries: half a kilobyte of memory each, and several times what the largest images have that anybody has told of.
 * Depth: PATH_MAX is reached there with names of seven letters; what package managers nest deepest has less than a hundred.
 * Ratio: nothing but zeros comes near it in gzip, whose own end is at 1032. Other formats would turn the bytes of one packet
 * into a day's work.
 */
export const DEFAULT_LIMITS: Required<LayerLimits> = {
  maxEntries: 4_000_000,
  maxBytes: 1024 ** 4,
  maxDepth: 512,
  maxRatio: 1000,
};

export function tooLarge(what: string, setting: string): AppError {
  return new AppError("layer-too-large", `Cannot unpack a layer: it has ${what}`, {
    hint: `raise ${setting} if the image is trusted (flag, variable or configuration file)`,
  });
}
