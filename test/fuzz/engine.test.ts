import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type FuzzTarget, fuzz } from "./engine.ts";
import { Random } from "./random.ts";

const SEEDS = [
  { name: "text", bytes: Buffer.from("some text that is mutated") },
  { name: "more", bytes: Buffer.from("other text") },
];

function target(run: (input: Buffer) => void, more: Partial<FuzzTarget> = {}): FuzzTarget {
  return {
    name: "self",
    seeds: SEEDS,
    run,
    inputs: 20_000,
    floor: 100,
    seconds: 20,
    maxBytes: 200,
    hangMs: 200,
    ...more,
  };
}

beforeEach(() => {
  vi.stubEnv("ROOTWRIGHT_FUZZ_SECONDS", undefined);
  vi.stubEnv("ROOTWRIGHT_FUZZ_SEED", undefined);
});
afterEach(() => {
  vi.unstubAllEnvs();
});

describe("fuzz", () => {
  test("tells a fault with the number that leads to it and its smallest input", () => {
    const faulty = target((input) => {
      if (input.includes(0xff) && input.length > 3) throw new Error(`fault at ${input.indexOf(0xff)}`);
    });
    const told = /self: fault at \d+\nafter \d+ inputs of seed \d+; .*\(4 bytes, base64\): (\S+)/.exec(
      messageOf(() => fuzz(faulty)),
    );
    expect([...Buffer.from(told?.[1] ?? "", "base64")].sort((a, b) => a - b)).toEqual([0, 0, 0, 0xff]);
  });

  test("tells an input that never comes to an end", () => {
    const endless = target((input) => {
      while (input[0] === 0x68);
    });
    const seeds = [{ name: "h", bytes: Buffer.from("h and more") }];
    expect(() => fuzz({ ...endless, seeds })).toThrow(/does not come back within 200 ms(?:.|\n)*aA==/);
  });

  test("runs the same inputs again for the same number, and others for another", () => {
    const inputsOf = (seed: string): string => {
      vi.stubEnv("ROOTWRIGHT_FUZZ_SEED", seed);
      const seen: string[] = [];
      fuzz(target((input) => void seen.push(input.toString("hex")), { inputs: 300 }));
      return seen.join("\n");
    };
    expect(inputsOf("7")).toBe(inputsOf("7"));
    expect(inputsOf("7")).not.toBe(inputsOf("8"));
  });

  test("fails when the time was too short for as many inputs as it takes to mean anything", () => {
    expect(() => fuzz(target(() => {}, { seconds: 0 }))).toThrow(/only 2 inputs in time, 100 are needed/);
  });

  test("keeps to the number of inputs, and to their length", () => {
    let longest = 0;
    const { inputs } = fuzz(
      target(
        ({ length }) => {
          longest = Math.max(longest, length);
        },
        { inputs: 1000 },
      ),
    );
    expect(inputs).toBe(1000);
    expect(longest).toBeLessThanOrEqual(200);
  });
});

test("Random gives every value below its limit, about as often as the others", () => {
  const random = new Random(1);
  const counts = Array.from({ length: 10 }, () => 0);
  for (let round = 0; round < 10_000; round += 1) {
    const value = random.below(10);
    counts[value] = (counts[value] ?? 0) + 1;
  }
  for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(200);
});

function messageOf(action: () => unknown): string {
  try {
    action();
    return "";
  } catch (error) {
    return error instanceof Error ? error.message : "";
  }
}
