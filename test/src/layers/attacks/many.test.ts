/** Work that a layer asks for out of proportion to its bytes: entries, directories, and replacing what is full. */
import { describe, expect, test } from "vitest";
import { buildLayer, type TarEntry } from "../../../support/tar-builder.ts";
import { dir, expectOutcome, file, hardlink, MODES, symlink, useRange } from "./fixtures.ts";

/** Far from a measurement: what takes quadratic time here takes minutes. */
const SOON = 40_000;

async function soon<T>(action: () => Promise<T>): Promise<T> {
  const start = performance.now();
  const result = await action();
  expect(performance.now() - start).toBeLessThan(SOON);
  return result;
}

describe.each(MODES)("entries beyond a limit (as %s)", (_who, privileged) => {
  const range = useRange();
  const limits = { maxEntries: 10 };
  const eleven = Array.from({ length: 11 }, (_, at) => at);

  test.each<readonly [string, readonly TarEntry[]]>([
    ["files", eleven.map((at) => file(`f${at}`, ""))],
    ["one file again and again", eleven.map(() => file("f", ""))],
    ["whiteouts", eleven.map((at) => file(`.wh.f${at}`, ""))],
    ["whiteouts of nothing that is kept", eleven.map((at) => file(`.wh..wh.f${at}`, ""))],
    ["hard links to lower layers", eleven.map((at) => hardlink(`h${at}`, "lower"))],
    ["symlinks", eleven.map((at) => symlink(`l${at}`, "x"))],
    ["the root", eleven.map(() => dir("./"))],
    ["directories that paths imply", [file("1/2/3/4/5/6/7/8/9/10/11", "")]],
    ["directories that whiteouts imply", [file("1/2/3/4/5/6/7/8/9/10/11/.wh.x", "")]],
    ["directories that links imply", [symlink("l", "1/2/3/4/5/6/7/8/9/10"), file("l/f", "")]],
  ])("are refused when they are %s", async (_what, layer) => {
    expectOutcome(await range().attack(layer, { privileged, limits }), "layer-too-large");
  });
});

describe.each(MODES)("one directory (as %s)", (_who, privileged) => {
  const range = useRange();
  // entries that only the model has, so that looking through them is what counts
  const crowd = Array.from({ length: 30_000 }, (_, at) => hardlink(`crowd/${at}`, "lower"));

  test("that is filled and replaced again and again takes time in proportion, or is refused", async () => {
    const rounds = Array.from({ length: 10_000 }, () => [file("d/a", ""), file("d", "")]).flat();
    const outcome = await soon(() =>
      range().attack(buildLayer([...crowd, ...rounds].slice(0, 40_000)), { privileged }),
    );
    expect([undefined, "layer-invalid", "layer-too-large"]).toContain(outcome.code);
  });

  test("that holds everything and is replaced again and again takes time in proportion, or is refused", async () => {
    const rounds = Array.from({ length: 300 }, (_, round) => [
      symlink("d", "t"),
      dir("d/"),
      ...Array.from({ length: 50 }, (_unused, at) => hardlink(`d/${round}-${at}`, "lower")),
    ]).flat();
    const outcome = await soon(() => range().attack(buildLayer([...crowd, ...rounds]), { privileged }));
    expect([undefined, "layer-invalid", "layer-too-large"]).toContain(outcome.code);
  });

  test("that changes places with a symlink before every entry takes time in proportion", async () => {
    const rounds = Array.from({ length: 5000 }, (_, at) => [
      symlink("l", at % 2 === 0 ? "t" : "u"),
      hardlink(`l/${at}`, "lower"),
    ]);
    const outcome = await soon(() =>
      range().attack(buildLayer([dir("t/"), dir("u/"), ...rounds.flat()]), { privileged }),
    );
    expect(outcome.code).toBeUndefined();
  });
});

describe("hard links", () => {
  const range = useRange();
  test("of one file whose first name is replaced again and again take time in proportion", async () => {
    const names = Array.from({ length: 20_000 }, (_, at) => hardlink(`h${String(at).padStart(5, "0")}`, "a"));
    const heirs = names.slice(0, 5000).map(({ name }) => file(name, ""));
    const outcome = await soon(() => range().attack(buildLayer([file("a"), ...names, file("a", ""), ...heirs])));
    expect(outcome.code).toBeUndefined();
  });
});

describe("paths", () => {
  const range = useRange();
  test("that are deep and many take time in proportion", async () => {
    const deep = Array.from({ length: 500 }, () => "d").join("/");
    const layer = [dir(deep), ...Array.from({ length: 3000 }, (_, at) => hardlink(`${deep}/${at}`, `${deep}/lower`))];
    const outcome = await soon(() => range().attack(buildLayer(layer)));
    expect(outcome.code).toBeUndefined();
  });

  test("through forty symlinks, for every entry, take time in proportion", async () => {
    const long = (at: number): string => `${"./".repeat(500)}l${at + 1}`;
    const links = Array.from({ length: 40 }, (_, at) => symlink(`l${at}`, long(at)));
    const layer = [...links, ...Array.from({ length: 500 }, (_, at) => hardlink(`l0/d${at}/f`, "lower"))];
    const outcome = await soon(() => range().attack(buildLayer(layer)));
    expect(outcome.code).toBeUndefined();
  });
});

describe.each(MODES)("symbolic links (as %s)", (_who, privileged) => {
  const range = useRange();

  test("that each lead a long way to the next are refused when too much lies behind them", async () => {
    const way = `${"/d/../".repeat(300)}s`;
    const chain = Array.from({ length: 39 }, (_, at) => symlink(`s${at}`, `${way}${at + 1}`));
    const behind = Array.from({ length: 3000 }, (_, at) => hardlink(`h${at}`, "s0/f"));
    const outcome = await soon(() => range().attack(buildLayer([dir("d/"), ...chain, ...behind]), { privileged }));
    expectOutcome(outcome, "layer-invalid");
  });

  test("below which a whiteout lies at the end of a deep path cost no more for it", async () => {
    const deep = "d/".repeat(500);
    const layer = Array.from({ length: 3000 }, (_, at) => file(`${deep}.wh.${at}`, ""));
    const outcome = await soon(() => range().attack(buildLayer(layer), { privileged }));
    expect(outcome.code).toBeUndefined();
  });
});
