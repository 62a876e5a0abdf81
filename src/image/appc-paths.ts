/**
 * PathList: paths of which it can be asked whether one is among them, and whether one leads to some of them. A whitelist
 * keeps both; but a few long paths have more prefixes than memory holds, so they are looked for and never written down.
 */
export class PathList {
  /** By code units, so that all that begin alike stand together. */
  readonly #sorted: readonly string[];

  /** Without slashes at their ends. */
  constructor(paths: Iterable<string>) {
    this.#sorted = [...new Set(paths)].sort();
  }

  has(path: string): boolean {
    return this.#sorted[this.#place(path)] === path;
  }

  /** Whether one of the paths lies below `path`, which is `/`, empty, or has no slash at its end. */
  leadsTo(path: string): boolean {
    const start = path === "" || path.endsWith("/") ? path : `${path}/`;
    return this.#sorted[this.#place(start)]?.startsWith(start) === true;
  }

  /** Where the first one stands that is not before `path`. */
  #place(path: string): number {
    let [low, high] = [0, this.#sorted.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#sorted[middle] as string) < path) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
