/** Conditions that hold whatever the input is. Their messages are made when they are broken: they are asked millions of times. */
import { displayPath } from "../../src/layers/entry.ts";

export class LawBroken extends Error {
  constructor(what: string, path: string | undefined) {
    super(path === undefined ? what : `${what}: "${displayPath(path)}"`);
    this.name = "LawBroken";
  }
}

/** `path` is told with it. */
export function law(holds: boolean, what: string, path?: string): asserts holds {
  if (!holds) throw new LawBroken(what, path);
}
