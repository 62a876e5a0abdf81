/**
 * What takes part in the benchmark: one program (or a pair) that turns an image in a registry into a root filesystem.
 *
 * `open` gives an empty store, which is gone when its scope ends. On it, once each: `cold`, measured, from the empty
 * store to a usable rootfs; then, any number of times, `warm`: another rootfs from what is stored now, and its removal.
 */
import type { Cost, Meter } from "./measure.ts";

/** One image in one registry, as all contenders are given it. */
export interface BenchImage {
  /** What it is called on the command line. */
  readonly name: string;
  /** host:port of a plain-http registry on loopback. */
  readonly registry: string;
  readonly repository: string;
  readonly tag: string;
  /** Base first, as they are transported. */
  readonly layers: readonly BenchLayer[];
  /** A file that is there only when the image is. */
  readonly proof: Proof;
}

export interface BenchLayer {
  readonly digest: string;
  readonly sizeBytes: number;
  /** Where its bytes are besides the registry. */
  readonly path: string;
}

export interface Proof {
  readonly path: string;
  /** Without it, any but an empty file will do. */
  readonly sizeBytes?: number;
}

export interface OpenContender extends AsyncDisposable {
  /** Adds its cost to `meter`; resolves with the path of the rootfs (or a directory of unpacked layers). */
  cold(meter: Meter): Promise<string>;
  readonly warm?: (meter: Meter, round: number) => Promise<void>;
  /** CPU and memory that a daemon has used so far; what it uses while a meter runs is added to the meter. */
  readonly daemon?: () => Promise<Cost>;
}

export interface Contender {
  readonly name: string;
  /** What it does in one line, for the report. */
  readonly does: string;
  /** Why it cannot take part; undefined when it can. */
  missing(): string | undefined;
  /** Brings the program itself, not the image, into memory, so that its own start is not from a cold disk. */
  touch(): Promise<void>;
  /** `directory` exists, is empty, and is removed by the caller afterwards. */
  open(image: BenchImage, directory: string): Promise<OpenContender>;
}

export function imageName(image: BenchImage): string {
  return `${image.registry}/${image.repository}:${image.tag}`;
}
