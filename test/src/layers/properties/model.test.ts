/** The model itself, on the examples of image-spec layer.md, and the generator: that chance brings all there is. */
import { describe, expect, test } from "vitest";
import { item, type LayerStack } from "../../../support/layer-items.ts";
import { applyLayers } from "../../../support/layer-model.ts";
import { UNDECIDED } from "../../../support/layer-quirks.ts";
import { randomStack } from "../../../support/random-layers.ts";
import { shrink } from "../../../support/stack-property.ts";

function paths(...stack: LayerStack): string[] {
  const { tree } = applyLayers(stack);
  return [...(tree?.keys() ?? ["refused"])].filter((path) => path !== ".").sort();
}

const ETC = ["etc/", "etc/my-app-config", "bin/", "bin/my-app-binary", "bin/my-app-tools"];
const of = (...names: readonly string[]) => names.map((name) => item(name, name.endsWith("/") ? "dir" : "file"));

describe("the model", () => {
  test("applies the specification's change: added, modified and deleted", () => {
    const change = of("./etc/my-app.d/", "./etc/my-app.d/default.cfg", "./bin/my-app-tools", "./etc/.wh.my-app-config");
    const expected = [
      "bin",
      "bin/my-app-binary",
      "bin/my-app-tools",
      "etc",
      "etc/my-app.d",
      "etc/my-app.d/default.cfg",
    ];
    expect(paths(of(...ETC), change)).toEqual(expected);
  });

  test("applies the specification's opaque marker the same wherever it stands", () => {
    const base = of("a/", "a/b/", "a/b/c/", "a/b/c/bar");
    const [marker, ...rest] = of("a/.wh..wh..opq", "a/b/", "a/b/c/", "a/b/c/foo");
    const expected = ["a", "a/b", "a/b/c", "a/b/c/foo"];
    expect(paths(base, [...(marker ? [marker] : []), ...rest])).toEqual(expected);
    expect(paths(base, [...rest, ...(marker ? [marker] : [])])).toEqual(expected);
  });

  test("takes one opaque marker for a whiteout of each child", () => {
    const base = of(...ETC, "bin/tools/", "bin/tools/my-app-tool-one");
    const each = of("bin/.wh.my-app-binary", "bin/.wh.my-app-tools", "bin/.wh.tools");
    expect(paths(base, of("bin/", "bin/.wh..wh..opq"))).toEqual(paths(base, [...of("bin/"), ...each]));
  });

  test("refuses a hard link to nothing, and an entry below a file of its layer", () => {
    expect(applyLayers([[item("a", "hardlink", { link: "b" })]]).refusal).toMatch(/to nothing/);
    expect(applyLayers([of("a", "a/b")]).refusal).toMatch(/below a file/);
  });
});

describe("chance", () => {
  const stacks = Array.from({ length: 2000 }, (_, seed) => randomStack(seed));
  const items = stacks.flat(2);

  test("is the same for the same seed", () => {
    expect(randomStack(7)).toEqual(stacks[7]);
  });

  test("brings every type of entry and every form of marker", () => {
    expect(new Set(items.map(({ type }) => type)).size).toBe(7);
    const markers = items.filter(({ name }) => name.includes(".wh."));
    expect(new Set(markers.map(({ type }) => type))).toEqual(new Set(["file", "dir", "symlink", "hardlink"]));
    for (const name of ["./", ".wh..wh..opq", "./.wh..wh..opq", ".wh..wh.plnk/", "a/.wh..wh..opq"])
      expect(items.some((each) => each.name === name)).toBe(true);
  });

  test("brings every quirk, empty layers, and layers that are there twice", () => {
    const quirks = new Set(stacks.flatMap((stack) => [...applyLayers(stack).quirks]));
    for (const quirk of UNDECIDED) expect(quirks).toContain(quirk);
    expect(quirks.size).toBe(12);
    expect(stacks.some((stack) => stack.some((layer) => layer.length === 0))).toBe(true);
    expect(stacks.some((stack) => new Set(stack).size < stack.length)).toBe(true);
  });

  test("leads to trees that mostly have something in them", () => {
    const sizes = stacks.map((stack) => applyLayers(stack).tree?.size ?? 0).sort((a, b) => a - b);
    expect(sizes[sizes.length / 2]).toBeGreaterThan(5);
  });
});

test("a failing stack is made small", async () => {
  const stack = [of("a", "b"), [], of("c", "b/d"), [item("e", "file", { xattrs: { "user.x": "y" } })]];
  const small = await shrink(stack, async (tried) => {
    return tried.flat().some(({ name }) => name === "c") && tried.flat().some(({ name }) => name === "e")
      ? ["both"]
      : [];
  });
  expect(small).toEqual([of("c"), of("e")]);
});
