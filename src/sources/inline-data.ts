/** Content that a descriptor carries itself (image-spec, descriptor.md, "Embedded Content"). */
import type { Descriptor } from "../image/descriptor.ts";
import { verifyBytes } from "./verify-bytes.ts";

/** Undefined when there is none. Verified like content from anywhere else: throws AppError `blob-corrupt`. */
export function inlineData(descriptor: Descriptor, what: string): Uint8Array | undefined {
  if (descriptor.data === undefined) return undefined;
  return verifyBytes(Buffer.from(descriptor.data, "base64"), descriptor, `the inline data of ${what}`);
}
