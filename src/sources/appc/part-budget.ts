/**
 * What the whitelists of an image may come to. Every layer is filtered by the list of its own image and by those of all images
 * above it, and the store keeps them with each, so that a few long lists over many dependencies grow without measure.
 */
import { AppError } from "../../errors.ts";
import type { Aci } from "./load-aci.ts";

/** The whole list of what a large distribution installs, once, or shorter ones for some layers. */
const MAX_PATHS = 100_000;
const MAX_BYTES = 4 * 1024 * 1024;

interface Cost {
  readonly paths: number;
  readonly bytes: number;
}

export class PartBudget {
  readonly #costs = new Map<Aci, Cost>();
  #paths = 0;
  #bytes = 0;

  /**
   * Counts the own list of an image, the last of `trail`, for itself; and for each of its dependencies that and the lists of
   * all that are above it, before any of them is looked for. Throws AppError `aci-invalid`.
   */
  add(trail: readonly Aci[]): void {
    const image = trail.at(-1);
    if (image === undefined) return;
    this.#count(image, 1);
    for (const above of trail) this.#count(above, image.manifest.dependencies.length);
    if (this.#paths > MAX_PATHS) throw tooLong(trail, `${MAX_PATHS} paths`);
    if (this.#bytes > MAX_BYTES) throw tooLong(trail, `${MAX_BYTES} bytes`);
  }

  #count(image: Aci, times: number): void {
    const { paths, bytes } = this.#costOf(image);
    this.#paths += times * paths;
    this.#bytes += times * bytes;
  }

  #costOf(image: Aci): Cost {
    const known = this.#costs.get(image);
    if (known !== undefined) return known;
    const { pathWhitelist: list } = image.manifest;
    const cost = { paths: list.length, bytes: list.length === 0 ? 0 : Buffer.byteLength(JSON.stringify(list)) };
    this.#costs.set(image, cost);
    return cost;
  }
}

function tooLong([top]: readonly Aci[], most: string): AppError {
  const why = `the path whitelists of its layers come to more than ${most}`;
  return new AppError("aci-invalid", `Cannot use ${top?.manifest.name}: ${why}`, {
    hint: "a whitelist counts again for each image that is depended on: shorten the lists, or merge the images into one",
    details: { temporary: false },
  });
}
