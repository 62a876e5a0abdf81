/** Which images of an archive are meant on one platform: many are listed once for each, all of them under one name. */
import type { Emit } from "../events.ts";
import { formatPlatform, type Platform, platformDistance } from "../image/platform.ts";
import { printable } from "../image/remote-text.ts";

export interface Listed {
  /** Canonical names. */
  readonly names: readonly string[];
  /** As in the archive, where a mere tag may be all there is. */
  readonly written: readonly string[];
  /** Absent where that is not known yet. */
  readonly platform?: Platform;
  readonly describe: string;
}

/**
 * Those that serve, each with the names under which it serves best; of equals the last, as loading all would leave it. Of
 * one that does not say for what it is, nothing is known yet: it stays, and takes the name from nobody.
 */
export function servingImages<T extends Listed>(images: readonly T[], wanted: Platform, emit: Emit): readonly T[] {
  const passOver = (image: Listed, why: string): void => {
    const message = `${printable(image.describe, 300)} is passed over: ${why}`;
    emit({ type: "decision", topic: "platform", message });
  };
  const asked = formatPlatform(wanted);
  const serving = images.filter((image) => {
    if (distance(image, wanted) !== undefined) return true;
    passOver(image, `it is not for ${asked}`);
    return false;
  });
  const best = new Map<string, T>();
  for (const image of serving.filter(({ platform }) => platform !== undefined)) {
    for (const label of labelsOf(image)) {
      const other = best.get(label);
      if (other === undefined || far(image, wanted) <= far(other, wanted)) best.set(label, image);
    }
  }
  return serving.flatMap((image) => {
    const labels = labelsOf(image);
    const kept = labels.filter((label) => image.platform === undefined || best.get(label) === image);
    if (labels.length > 0 && kept.length === 0) {
      passOver(image, `another one of its name serves ${asked} as well or better`);
      return [];
    }
    return [{ ...image, names: image.names.filter((name) => kept.includes(name)) }];
  });
}

/** By which images are told to be one. */
function labelsOf({ names, written }: Listed): readonly string[] {
  return names.length > 0 ? names : written;
}

/** Undefined when it does not serve. */
function distance({ platform }: Listed, wanted: Platform): number | undefined {
  return platform === undefined ? 0 : platformDistance(wanted, platform);
}

function far(image: Listed, wanted: Platform): number {
  return distance(image, wanted) ?? Number.POSITIVE_INFINITY;
}
