/**
 * BlobFiles: what descriptors lead to among the files of a layout. Documents are verified when they are read; layers are
 * located, and verified by whoever unpacks them.
 */
import { AppError } from "../../errors.ts";
import type { Descriptor } from "../../image/descriptor.ts";
import { inlineData } from "../inline-data.ts";
import type { ResolvedLayer } from "../source.ts";
import { verifyBytes } from "../verify-bytes.ts";
import { archiveInvalid, DAMAGED, type ImageFiles } from "./image-files.ts";

export interface BlobFiles {
  readonly files: ImageFiles;
  /** Layouts may lack blobs (image-spec, image-layout.md, "Blobs"). What is inlined is always there. */
  has(descriptor: Descriptor): Promise<boolean>;
  /** `what` names it for messages. Throws AppErrors `archive-invalid`, `blob-corrupt`. */
  read(descriptor: Descriptor, maxBytes: number, what: string): Promise<Uint8Array>;
  locate(descriptor: Descriptor, what: string): Promise<ResolvedLayer["bytes"]>;
}

/** `nameOf`: the file in which the layout keeps a blob. */
export function openBlobFiles(files: ImageFiles, nameOf: (descriptor: Descriptor) => string): BlobFiles {
  const nameFor = async (descriptor: Descriptor, what: string): Promise<string> => {
    const name = nameOf(descriptor);
    if (await files.has(name)) return name;
    throw archiveInvalid(files.what, `${what}, ${descriptor.digest}, is not in it`);
  };
  return {
    files,
    has: async (descriptor) => descriptor.data !== undefined || (await files.has(nameOf(descriptor))),
    async read(descriptor, maxBytes, what) {
      const inline = inlineData(descriptor, `${what} of ${files.what}`);
      if (inline !== undefined) return inline;
      const bytes = await files.read(await nameFor(descriptor, what), maxBytes);
      return verified(bytes, descriptor, `${what} of ${files.what}`);
    },
    async locate(descriptor, what) {
      const inline = inlineData(descriptor, `${what} of ${files.what}`);
      if (inline !== undefined) return { open: async (offset) => ({ offset, body: once(inline.subarray(offset)) }) };
      const file = await files.range(await nameFor(descriptor, what));
      if (file.sizeBytes === descriptor.size) return { file };
      throw new AppError(
        "blob-corrupt",
        `Cannot use ${what} of ${files.what}: it has ${file.sizeBytes} bytes instead of ${descriptor.size}`,
        {
          hint: DAMAGED,
          details: { digest: descriptor.digest, expectedBytes: descriptor.size, foundBytes: file.sizeBytes },
        },
      );
    },
  };
}

function verified(bytes: Buffer, descriptor: Descriptor, what: string): Buffer {
  try {
    return verifyBytes(bytes, descriptor, what);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    const { code, message, details, cause } = error;
    throw new AppError(code, message, { hint: DAMAGED, details, cause });
  }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  if (bytes.byteLength > 0) yield bytes;
}
