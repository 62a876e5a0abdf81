/**
 * A small fuzzer: mutates seeds, keeps what reaches new code, and fails with the smallest input that shows the fault.
 *
 * Everything follows from a number and the code under test, so a failure happens again. Bounded twice, by inputs and by
 * time; a run that the time ended early still has to reach `floor`, or it would pass on a slow machine without testing.
 *   ROOTWRIGHT_FUZZ_SECONDS   that long a target, without a bound on inputs
 *   ROOTWRIGHT_FUZZ_SEED      another number; with the seconds alone it is drawn
 */
import { randomInt } from "node:crypto";
import { crc32 } from "node:zlib";
import { AppError } from "../../src/errors.ts";
import { Coverage } from "./coverage.ts";
import { minimise } from "./minimise.ts";
import { mutateBytes } from "./mutate-bytes.ts";
import { Random } from "./random.ts";
import { Hang, watched } from "./watchdog.ts";

export interface Seed {
  readonly name: string;
  readonly bytes: Buffer;
}

export interface FuzzTarget {
  readonly name: string;
  readonly seeds: readonly Seed[];
  /** Throws for whatever must not happen. Its chance is drawn from the input, so that one input always does the same. */
  readonly run: (input: Buffer, random: Random) => void;
  /** Default: mutations that know nothing. `other` is another kept input. */
  readonly mutate?: (input: Buffer, other: Buffer, random: Random) => Buffer;
  readonly inputs: number;
  readonly floor: number;
  readonly seconds: number;
  /** Longer mutants are cut. */
  readonly maxBytes: number;
  /** Which pieces the minimiser leaves out, in bytes. Default: any. */
  readonly pieces?: readonly number[];
  /** How long a batch may take before one of its inputs is held for endless. Default: 3000. */
  readonly hangMs?: number;
}

export interface FuzzReport {
  readonly inputs: number;
  /** Seeds and what reached new code. */
  readonly corpus: number;
  readonly seed: number;
}

const DEFAULT_SEED = 20_240_229;
const BATCH = 64;
const HANG_MS = 3000;
const MINIMISE_MS = 8000;
const EMPTY = Buffer.alloc(0);
const CODE = /\/src\/layers\//;

/** How long a test may take that runs a target for so many seconds: also for making a failure small. */
export function fuzzTimeoutMs(seconds: number): number {
  return (Number(process.env["ROOTWRIGHT_FUZZ_SECONDS"] ?? seconds) + 40) * 1000;
}

/** Throws with the input, in base64, when `run` throws, and when fewer inputs than the floor were run. */
export function fuzz(target: FuzzTarget): FuzzReport {
  const longer = Number(process.env["ROOTWRIGHT_FUZZ_SECONDS"] ?? 0);
  const given = process.env["ROOTWRIGHT_FUZZ_SEED"];
  const seed = given === undefined ? (longer > 0 ? randomInt(2 ** 31) : DEFAULT_SEED) : Number(given);
  const most = longer > 0 ? Number.POSITIVE_INFINITY : target.inputs;
  const until = performance.now() + (longer || target.seconds) * 1000;
  const { hangMs = HANG_MS } = target;
  using coverage = new Coverage(CODE);
  const random = new Random(seed, crc32(target.name));
  const corpus: Buffer[] = target.seeds.map(({ bytes }) => bytes);
  let done = 0;
  let current: Buffer = EMPTY;
  const runEach = (inputs: readonly Buffer[]): void => {
    for (current of inputs) runOne(target, current);
  };
  /** By halves, since most of a batch is like everything before it. */
  const keepWhatIsNew = (inputs: readonly Buffer[]): void => {
    runEach(inputs);
    if (!coverage.take(inputs.length === 1)) return;
    if (inputs.length === 1) corpus.push(...inputs);
    else for (const half of halves(inputs)) keepWhatIsNew(half);
  };
  const attempt = (inputs: readonly Buffer[], then: () => void): void => {
    try {
      watched(() => {
        runEach(inputs);
        then();
      }, hangMs);
    } catch (error) {
      // a batch may be slow as a whole without any of its inputs being so
      const isSlow = error instanceof Hang && fault(target, current, hangMs / 2) === undefined;
      if (!isSlow) throw describe(target, current, error, seed, done);
    }
    done += inputs.length;
  };

  attempt(corpus, () => coverage.take(true));
  while (done < most && performance.now() < until) {
    const batch = Array.from({ length: Math.min(BATCH, most - done) }, () => mutant(target, corpus, random));
    attempt(batch, () => {
      if (coverage.take(false)) for (const half of halves(batch)) keepWhatIsNew(half);
    });
  }
  const report = { inputs: done, corpus: corpus.length, seed };
  if (done < target.floor)
    throw new Error(`${target.name}: only ${done} inputs in time, ${target.floor} are needed to mean anything`);
  return report;
}

function halves<T>(list: readonly T[]): readonly (readonly T[])[] {
  const middle = list.length >> 1;
  return [list.slice(0, middle), list.slice(middle)];
}

function mutant(target: FuzzTarget, corpus: readonly Buffer[], random: Random): Buffer {
  const { mutate = mutateBytes, maxBytes } = target;
  // half of the time what was found last, which is where new code is near
  const recent = random.oneIn(2) ? corpus.slice(-8) : corpus;
  let input = random.pick(recent);
  for (let changes = 1 + random.below(4); changes > 0; changes -= 1) input = mutate(input, random.pick(corpus), random);
  return input.length > maxBytes ? input.subarray(0, maxBytes) : input;
}

function runOne(target: FuzzTarget, input: Buffer): void {
  target.run(input, new Random(crc32(input), input.length));
}

/** What an input does wrong, or undefined. */
function fault(target: FuzzTarget, input: Buffer, limitMs: number): string | undefined {
  try {
    watched(() => runOne(target, input), limitMs);
    return undefined;
  } catch (error) {
    return signature(error);
  }
}

/** The same fault has the same words, whatever names and numbers are in them. */
function signature(error: unknown): string {
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  const code = error instanceof AppError ? error.code : "";
  return `${name} ${code} ${message.replace(/"[^"]*"|[0-9]+/g, "_").slice(0, 120)}`;
}

function describe(target: FuzzTarget, input: Buffer, error: unknown, seed: number, done: number): Error {
  const wanted = signature(error);
  const limitMs = error instanceof Hang ? Math.min(300, (target.hangMs ?? HANG_MS) / 2) : HANG_MS;
  const same = (candidate: Buffer): boolean => {
    const found = fault(target, candidate, limitMs);
    return found !== undefined && (error instanceof Hang ? found.startsWith("Hang") : found === wanted);
  };
  const small = minimise(input, target.pieces ?? [1], same, MINIMISE_MS);
  const what = error instanceof Error ? error.message : String(error);
  const text = small.toString("latin1");
  const readable = /^[\n\t -~]*$/.test(text) ? `:\n${text}` : "";
  return new Error(
    `${target.name}: ${what}\nafter ${done} inputs of seed ${seed}; keep this as fixtures/fuzz-seeds/${target.name}/NAME ` +
      `(${small.length} bytes, base64): ${small.toString("base64")}${readable}`,
    { cause: error },
  );
}
