/** Documents in memory against the digest and size that they were promised with. */
import { algorithmOf, type Digest, digestOf } from "../../store/index.ts";
import { AppError } from "../errors.ts";

/** Returns the bytes, or throws AppError `blob-corrupt` with expected and found. `what` names them for the message. */
export function verifyBytes<B extends Uint8Array>(
  bytes: B,
  promised: { readonly digest: Digest; readonly size?: number },
  what: string,
): B {
  if (promised.size !== undefined && promised.size !== bytes.byteLength) {
    throw new AppError(
      "blob-corrupt",
      `Cannot use ${what}: it has ${bytes.byteLength} bytes instead of ${promised.size}`,
      {
        details: { expectedBytes: promised.size, foundBytes: bytes.byteLength },
      },
    );
  }
  const found = digestOf(bytes, algorithmOf(promised.digest));
  if (found === promised.digest) return bytes;
  throw new AppError("blob-corrupt", `Cannot use ${what}: its digest is ${found} instead of ${promised.digest}`, {
    details: { expected: promised.digest, found },
  });
}
