/**
 * Runs a property over many random stacks, and makes the smallest stack of one that fails. The first seed is fixed, so that
 * every run tries the same stacks; ROOTWRIGHT_SEED begins elsewhere, ROOTWRIGHT_CASES runs another number of them.
 */
import { AppError } from "../../src/errors.ts";
import { type DiffOptions, diffTrees, type TreeFacts } from "./compare-trees.ts";
import { type LayerStack, showStack } from "./layer-items.ts";
import { type Applied, applyLayers } from "./layer-model.ts";
import { UNDECIDED } from "./layer-quirks.ts";
import { randomStack, type StackOptions } from "./random-layers.ts";

/** What is wrong, line by line; nothing when the property holds. */
export type Property = (stack: LayerStack) => Promise<readonly string[]>;

export interface PropertyOptions extends StackOptions {
  readonly cases: number;
  /** Another sequence of stacks than that of other properties. */
  readonly stream: number;
  /** Cases that run at once. Default: 1. */
  readonly parallel?: number;
}

/** Attempts at a smaller stack. */
const MAX_SHRINKS = 400;

export async function forRandomStacks(options: PropertyOptions, property: Property): Promise<void> {
  const first = Number(process.env["ROOTWRIGHT_SEED"] ?? 1) + options.stream * 10_000_000;
  const cases = Number(process.env["ROOTWRIGHT_CASES"] ?? options.cases);
  let next = 0;
  /** An error is a difference as well, and is made small like one. */
  const guarded: Property = (stack) =>
    property(stack).catch((error: unknown) => [
      error instanceof Error ? (error.stack ?? error.message) : String(error),
    ]);
  const lane = async (): Promise<void> => {
    while (next < cases) {
      const seed = first + next;
      next += 1;
      const stack = randomStack(seed, options);
      if ((await guarded(stack)).length === 0) continue;
      next = cases;
      throw await describeFailure(seed - options.stream * 10_000_000, stack, guarded);
    }
  };
  // all lanes end before the caller tidies up
  const ended = await Promise.allSettled(Array.from({ length: options.parallel ?? 1 }, lane));
  for (const lane of ended) if (lane.status === "rejected") throw lane.reason;
}

async function describeFailure(seed: number, stack: LayerStack, property: Property): Promise<Error> {
  const smallest = await shrink(stack, property);
  const differences = await property(smallest);
  return new Error(`With ROOTWRIGHT_SEED=${seed}, in short:\n${showStack(smallest)}\n\n${differences.join("\n")}`);
}

/** What became of the stacks of a property: so that a test can say that it compared something. */
export interface Counts {
  compared: number;
  refused: number;
  /** Stacks whose meaning is open: they went through, and nothing was compared. */
  undecided: number;
}

export function noCounts(): Counts {
  return { compared: 0, refused: 0, undecided: 0 };
}

/** A run that compared next to nothing would have proved nothing; of a few cases, by whoever asked for them, anything may come. */
export function comparedMost({ compared, refused, undecided }: Counts): boolean {
  const all = compared + refused + undecided;
  return all < 100 || compared > all * 0.8;
}

/**
 * The property that a reader shows of a stack what the model says. `read` gives undefined for a stack that it refuses.
 * `adjust` makes the model's tree what this reader may show of it.
 */
export function equalsModel(
  counts: Counts,
  read: (stack: LayerStack) => Promise<TreeFacts | undefined>,
  adjust: (applied: Applied) => { readonly tree: TreeFacts | undefined; readonly options?: DiffOptions } = (applied) =>
    applied,
): Property {
  return async (stack) => {
    const applied = applyLayers(stack);
    const found = await read(stack);
    if (UNDECIDED.some((quirk) => applied.quirks.has(quirk))) {
      counts.undecided += 1;
      return [];
    }
    const { tree, options } = adjust(applied);
    if (tree === undefined || found === undefined) {
      counts.refused += 1;
      if (tree === found) return [];
      return [found === undefined ? "it was refused" : `it was not refused: ${applied.refusal}`];
    }
    counts.compared += 1;
    return diffTrees(tree, found, options);
  };
}

/** Undefined when the action fails because a layer is malformed. */
export async function unlessMalformed<T>(action: () => Promise<T>): Promise<T | undefined> {
  try {
    return await action();
  } catch (error) {
    if (error instanceof AppError && ["layer-invalid", "layer-escape"].includes(error.code)) return undefined;
    throw error;
  }
}

/** Drops layers, then entries, as long as what is left fails. */
export async function shrink(stack: LayerStack, property: Property): Promise<LayerStack> {
  let smallest = stack;
  let attempts = 0;
  for (let progress = true; progress; ) {
    progress = false;
    for (const smaller of smallerThan(smallest)) {
      attempts += 1;
      if (attempts > MAX_SHRINKS) return smallest;
      if ((await property(smaller)).length === 0) continue;
      smallest = smaller;
      progress = true;
      break;
    }
  }
  return smallest;
}

function* smallerThan(stack: LayerStack): Generator<LayerStack> {
  for (const at of stack.keys()) yield stack.toSpliced(at, 1);
  for (const [at, layer] of stack.entries())
    for (const entry of layer.keys()) yield stack.with(at, layer.toSpliced(entry, 1));
  for (const [at, layer] of stack.entries()) {
    for (const [entry, each] of layer.entries()) {
      if (Object.keys(each.xattrs).length > 0) yield stack.with(at, layer.with(entry, { ...each, xattrs: {} }));
    }
  }
}
