/** Sizes that are declared and not there: nothing is set aside for them, and nothing read past them. */
import { lstatSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { base256, buildLayer, type TarEntry } from "../../../support/tar-builder.ts";
import { dir, expectOutcome, file, MODES, symlink, testAttacks, useRange } from "./fixtures.ts";

const sized = (size: Buffer | string, more: Partial<TarEntry> = {}): TarEntry => ({
  name: "a",
  content: "x",
  raw: { size },
  ...more,
});

/** Base 256 in all twelve bytes, which no number of JavaScript's holds. */
const enormous = Buffer.from([0x80, ...Array.from({ length: 11 }, () => 0xff)]);

testAttacks("a declared size", [
  ["below zero is refused", [sized(base256(-1, 12))], "layer-invalid"],
  ["far below zero is refused", [sized(base256(-(2 ** 62), 12))], "layer-invalid"],
  ["with a minus sign is refused", [sized("-0000000001\0")], "layer-invalid"],
  ["in letters is refused", [sized("zzzzzzzzzzz\0")], "layer-invalid"],
  ["in digits that are none of octal is refused", [sized("00000000009\0")], "layer-invalid"],
  ["of 2^63 is refused", [sized(base256(2 ** 63, 12))], "layer-invalid"],
  ["of 2^64 is refused", [sized(base256(2 ** 64, 12))], "layer-invalid"],
  ["beyond all numbers is refused", [sized(enormous)], "layer-invalid"],
  ["beyond the limit is refused", [sized(base256(2 ** 41, 12))], "layer-too-large"],
  ["beyond what follows is a truncation", [sized("77777777777\0")], "layer-invalid"],
  ["of a directory, with no body, is none", [dir("d/", { size: 2 ** 41 }), file("b")], ["b=inside", "d/"]],
  ["of a symlink, with no body, is none", [{ ...symlink("l", "x"), size: 2 ** 62 }, file("b")], ["b=inside", "l->x"]],
  ["of nothing at all is zero", [sized(Buffer.alloc(12), { content: "" }), file("b")], ["a=", "b=inside"]],
]);

describe.each(MODES)("a size that is not there (as %s)", (_who, privileged) => {
  const range = useRange();
  test.each([
    ["of eight gigabytes", 8 * 2 ** 30 - 1, "layer-invalid"],
    ["of just the limit", 2 ** 40, "layer-invalid"],
    ["of more than the limit", 2 ** 40 + 1, "layer-too-large"],
    ["of 8 EiB", 2 ** 63, "layer-invalid"],
  ] as const)("%s takes no place on the disk and none in memory", async (_what, size, code) => {
    const before = process.memoryUsage().rss;
    const outcome = await range().attack([file("a", "x".repeat(5000), { size })], { privileged });
    expectOutcome(outcome, code);
    if (outcome.code === undefined) return;
    for (const name of readdirSync(outcome.fsPath)) {
      expect(lstatSync(join(outcome.fsPath, name)).blocks * 512).toBeLessThan(64 * 1024);
    }
    expect(process.memoryUsage().rss - before).toBeLessThan(100 * 2 ** 20);
  });

  test("does not add up to less than it is", async () => {
    const layer = [
      file("a", "", { size: 2 ** 39 }),
      ...Array.from({ length: 4 }, (_, at) => file(`b${at}`, "", { size: 2 ** 39 })),
    ];
    expect((await range().attack(buildLayer(layer), { privileged })).code).toBe("layer-invalid");
  });
});
