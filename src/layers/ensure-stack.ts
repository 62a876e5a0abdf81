/** `ensureStack`: what the layers of one image mean together, worked out once and kept beside their fix-up layer. */
import { z } from "zod";
import type { Digest, Layer } from "../../store/index.ts";
import { AppError } from "../errors.ts";
import type { EnsureContext } from "./ensure-layer.ts";
import type { StackFacts } from "./fix-up.ts";
import { waitTurn } from "./wait-turn.ts";

export interface ImageStack {
  /** Base first. */
  readonly layers: readonly Layer[];
  readonly fixUp: Layer;
  readonly facts: StackFacts;
}

const factsSchema: z.ZodType<StackFacts> = z.object({
  cut: z.number(),
  notOneDirectory: z.string().exactOptional(),
  oneDirectory: z.literal("fix-up").exactOptional(),
  notStackable: z.string().exactOptional(),
  entryCount: z.number(),
  sizeBytes: z.number(),
  root: z.object({ mode: z.number(), uid: z.number(), gid: z.number(), mtimeSec: z.number(), mtimeNsec: z.number() }),
});

export async function ensureStack(key: Digest, layers: readonly Layer[], context: EnsureContext): Promise<ImageStack> {
  const { store, pool, lease, signal } = context;
  const claim = await waitTurn(() => store.layers.stage({ key, kind: "fixup", lease }), signal);
  if (claim.state === "present") return imageStack(layers, claim.layer);
  using staged = claim.staged;
  const stackable = context.privileged && layers.every((layer) => layer.facts["stackable"] === true);
  const facts = await pool.run(
    {
      kind: "fix-up",
      layers: layers.map(({ fsPath, indexPath }) => ({ fsPath, indexPath })),
      fsPath: staged.fsPath,
      indexPath: staged.indexPath,
      stackable,
    },
    { signal },
  );
  const sizeBytes = facts.oneDirectory === "fix-up" ? facts.sizeBytes : 0;
  return imageStack(layers, staged.commit({ sizeBytes, entryCount: 0, facts: { ...facts } }));
}

/** Throws `layer-corrupt` when the store's record is not one of ours. */
export function imageStack(layers: readonly Layer[], fixUp: Layer): ImageStack {
  const facts = factsSchema.safeParse(fixUp.facts);
  if (!facts.success) {
    throw new AppError("layer-corrupt", `Cannot use the record of fix-up ${fixUp.key}: it is not one of rootwright's`, {
      hint: "remove the image and pull it again",
      cause: facts.error,
    });
  }
  return { layers, fixUp, facts: facts.data };
}
