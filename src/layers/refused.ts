/**
 * What the kernel or the store's file system refuses of a tree although nothing is wrong with the disk: a layer may ask for
 * more hard links, larger files or other attributes than there can be. That is told as a property of the layer.
 */
import { NativeError } from "../../native/index.ts";
import { AppError } from "../errors.ts";

/** What ext4 says of attributes that are more than a block, and of a disk that is full. */
const XATTRS_DO_NOT_FIT =
  "a file of the image has more extended attributes than this file system takes (ext4: a block, xfs: 64 KiB each), or the disk is full";

/** An ordinary user's store sets none that could be refused so; but root is not everywhere the machine's. */
const XATTR_NOT_ALLOWED =
  "the kernel lets nobody set this attribute there, or not the root of a container or user namespace; make the store as the machine's root, or rebuild the layer without it";
/** What is about the layer only when an attribute was to be set. */
const OF_XATTRS: ReadonlySet<string> = new Set([XATTRS_DO_NOT_FIT, XATTR_NOT_ALLOWED]);

/** errno → what people can do about it. */
const REFUSALS: Readonly<Record<string, string>> = {
  EFBIG:
    "a file of the image is larger than this file system takes; put the store (--root) on another one, xfs for example",
  EMLINK:
    "a file of the image has more hard links than this file system takes; put the store (--root) on another one, xfs for example",
  ENAMETOOLONG: "a name of the image is longer than this file system takes; put the store (--root) on another one",
  ENOTSUP: "the store's file system lacks extended attributes of this kind; put the store (--root) on another one",
  E2BIG: "a file of the image has larger or more extended attributes than Linux takes; rebuild the layer without them",
  ERANGE: "an extended attribute of the image is larger than Linux takes; rebuild the layer without it",
  ENOSPC: XATTRS_DO_NOT_FIT,
  EDQUOT: XATTRS_DO_NOT_FIT,
  EACCES: XATTR_NOT_ALLOWED,
  EPERM: XATTR_NOT_ALLOWED,
  EINVAL: "an attribute of the image is not what Linux takes for one; rebuild the layer without it",
};

/** Runs what writes a tree. Throws `layer-unsupported` for what this machine cannot have. */
export async function explainRefusals<T>(doing: string, action: () => T | Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    if (!(error instanceof NativeError)) throw error;
    const { message, code, operation } = error;
    const hint = REFUSALS[code];
    if (hint === undefined || (OF_XATTRS.has(hint) && !operation?.endsWith("setxattr"))) throw error;
    throw new AppError("layer-unsupported", `Cannot ${doing}: ${message}`, {
      hint,
      details: { errno: code },
      cause: error,
    });
  }
}
