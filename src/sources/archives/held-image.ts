/** HeldImage: one image of an archive or layout, before it is known whether it is the one that is meant. */
import type { Digest } from "../../../store/index.ts";
import { formatDockerReference, parseDockerReference } from "../../image/docker-reference.ts";
import type { Platform } from "../../image/platform.ts";
import type { ResolvedImage } from "../source.ts";

export interface HeldImage {
  /** Canonical docker names. */
  readonly names: readonly string[];
  /** What it is called there, as written: those names, or a mere tag, or what is no name anywhere else. */
  readonly written: readonly string[];
  /** By which it may be asked for: of manifest, index or configuration, as far as they are known without reading them. */
  readonly digests: readonly Digest[];
  /** Where it stands in the list, counted from 0; one image may be listed several times. */
  readonly positions: readonly number[];
  /** As far as the list tells. */
  readonly platform?: Platform;
  /** For people: names, and something that tells it from the others. */
  readonly describe: string;
  /** `name` is the canonical name that the image gets. Only while the files are open. */
  resolve(name: string): Promise<ResolvedImage>;
}

export interface HeldImages {
  /** In the order of the list. */
  readonly images: readonly HeldImage[];
  /** Among some of them, all unless said; also what only an index, or an index in that, leads to. */
  byDigest(digest: Digest, among?: readonly HeldImage[]): Promise<HeldImage | undefined>;
}

/**
 * docker.io/library/busybox:latest for busybox:latest, so that the two compare equal; undefined for what is no name. One
 * that has a digest is none either: what it promises would have to be proved, and an archive can call an image anything.
 */
export function canonicalName(text: string): string | undefined {
  try {
    const reference = parseDockerReference(text);
    return reference.digest === undefined ? formatDockerReference(reference) : undefined;
  } catch {
    return undefined;
  }
}

/** Canonical names of those that are names, each once. */
export function canonicalNames(written: readonly string[]): readonly string[] {
  return [...new Set(written.flatMap((text) => canonicalName(text) ?? []))];
}
