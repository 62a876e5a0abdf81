/**
 * Digests: the names of content. `sha256:` and 64, or `sha512:` and 128, lower-case hexadecimal digits.
 *
 * The brand makes a Digest unforgeable by accident: every one went through `parseDigest` or a hasher, so code that
 * builds paths from them needs no second check.
 */
import { createHash } from "node:crypto";
import { StoreError } from "./errors.ts";

declare const brand: unique symbol;

export type Digest = string & { readonly [brand]: "Digest" };

export type DigestAlgorithm = "sha256" | "sha512";

const PATTERN = /^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/;

/** How much of a bad digest is quoted in an error: enough to find it, not enough to flood a log. */
const QUOTED_LENGTH = 160;

export function isDigest(text: unknown): text is Digest {
  return typeof text === "string" && PATTERN.test(text);
}

/** The text as a Digest. Throws StoreError `invalid-digest` for anything else, upper case included. */
export function parseDigest(text: string): Digest {
  if (isDigest(text)) return text;
  const quoted = String(text).slice(0, QUOTED_LENGTH);
  throw new StoreError("invalid-digest", `Cannot use ${JSON.stringify(quoted)} as a digest: ${reasonAgainst(text)}`, {
    details: { text: quoted },
    hint: "a digest is sha256: and 64, or sha512: and 128, lower-case hexadecimal digits",
  });
}

function reasonAgainst(text: unknown): string {
  if (typeof text !== "string" || text === "") return "it is not a text";
  const colon = text.indexOf(":");
  if (colon === -1) return "it has no algorithm";
  const algorithm = text.slice(0, colon);
  if (algorithm !== "sha256" && algorithm !== "sha512") return "its algorithm is neither sha256 nor sha512";
  const encoded = text.slice(colon + 1);
  const length = algorithm === "sha256" ? 64 : 128;
  if (encoded.length !== length) return `${algorithm} has ${length} digits, this has ${encoded.length}`;
  return "it has characters other than 0-9 and a-f";
}

export function algorithmOf(digest: Digest): DigestAlgorithm {
  return digest.startsWith("sha512:") ? "sha512" : "sha256";
}

/** The hexadecimal part. */
export function encodedOf(digest: Digest): string {
  return digest.slice("sha256:".length);
}

export function digestOf(bytes: Uint8Array | string, algorithm: DigestAlgorithm = "sha256"): Digest {
  return createHasher(algorithm).update(bytes).digest();
}

/** A running digest. `digest()` ends it. */
export interface Hasher {
  update(bytes: Uint8Array | string): Hasher;
  digest(): Digest;
}

export function createHasher(algorithm: DigestAlgorithm): Hasher {
  const hash = createHash(algorithm);
  const hasher: Hasher = {
    update(bytes) {
      hash.update(bytes);
      return hasher;
    },
    digest: () => parseDigest(`${algorithm}:${hash.digest("hex")}`),
  };
  return hasher;
}
