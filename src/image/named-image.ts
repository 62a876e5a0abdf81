/** What may stand wherever an image is named: a reference in any of its forms, or a Mesos `Image` message. */
import { parseMesosImage } from "./mesos-image.ts";
import { type ImageReference, parseReference } from "./reference.ts";

export interface NamedImage {
  readonly reference: ImageReference;
  /** False: look it up again, whatever is cached. Absent where the name does not say. */
  readonly cached?: boolean;
  /** The content of a Docker config.json that came with the name. */
  readonly dockerConfig?: string;
}

/** Relative paths start at `cwd`. Throws AppErrors `reference-invalid`, `credentials-invalid`. */
export function parseNamedImage(text: string, cwd: string): NamedImage {
  return text.trimStart().startsWith("{") ? parseMesosImage(text) : { reference: parseReference(text, cwd) };
}
