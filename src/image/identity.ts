/**
 * DiffID and ChainID (image-spec config.md, "Layer DiffID" and "Layer ChainID"), and the key of an image's fix-up layer.
 */
import { type Digest, digestOf } from "../../store/index.ts";

/** ChainID of a stack, base first: C(L0) = diff0; C(n) = sha256("C(n-1) diff_n"). Undefined for an empty stack. */
export function chainId(diffIds: readonly Digest[]): Digest | undefined {
  let chain: Digest | undefined;
  for (const diffId of diffIds) {
    chain = chain === undefined ? diffId : digestOf(Buffer.from(`${chain} ${diffId}`));
  }
  return chain;
}

/**
 * Key under which the store keeps the fix-up layer of a stack. It is derived, because the ChainID of a one-layer
 * stack *is* that layer's DiffID and the two trees must not be taken for each other. The number is the version of the
 * fix-up's rules: a store made by older rules simply makes a new one.
 */
export function fixUpKey(diffIds: readonly Digest[]): Digest {
  return digestOf(Buffer.from(`rootwright fix-up 1 ${chainId(diffIds) ?? "empty"}`));
}
