/** Random names for directories: short, because mount options have one page for all of them, and never reused on purpose. */
import { randomBytes } from "node:crypto";

const ALPHABET = "abcdefghijklmnopqrstuvwxyz234567";

/** `length` characters of a-z and 2-7, five random bits each. Callers check that the name is free. */
export function randomShortId(length = 6): string {
  return Array.from(randomBytes(length), (byte) => ALPHABET[byte % ALPHABET.length]).join("");
}
