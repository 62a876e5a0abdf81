/** Which image of the store a reference means, Appc's subset of labels above all. */
import { describe, expect, test } from "vitest";
import { parsePlatform } from "../../../src/image/platform.ts";
import { parseReference } from "../../../src/image/reference.ts";
import { findImage } from "../../../src/provisioner/find-image.ts";
import { digestOf } from "../../../store/index.ts";
import { makeImage, temporaryStore } from "../../store/fixtures/temporary-store.ts";

const ID = digestOf("the tar of 1.0", "sha512");

function storeOf(...names: readonly string[]) {
  const temporary = temporaryStore();
  const { store, lease } = temporary;
  for (const name of names) {
    const { image } = makeImage(store, lease, name, []);
    if (name.includes(":1.0")) store.images.set({ ...image, imageId: ID, lease, layers: [] } as never);
  }
  return temporary;
}

describe("an Appc image", () => {
  const names = [
    "appc:a.com/x:1.0,arch=amd64,os=linux",
    "appc:a.com/x:2.0,arch=amd64,os=linux,flavour=big",
    "appc:a.com/xy:1",
  ];

  test.each([
    ["a subset of its labels", "appc:a.com/x:1.0", names[0]],
    ["another subset", "appc:a.com/x,flavour=big", names[1]],
    ["all its labels, in any order", "appc:a.com/x:2.0,flavour=big,os=linux,arch=amd64", names[1]],
    ["its name alone: the one with the fewest labels nobody asked for", "appc:a.com/x", names[0]],
    ["its ID", `appc:${ID.replace(":", "-")}`, names[0]],
    ["its ID and its name", `appc:a.com/x@${ID.replace(":", "-")}`, names[0]],
    ["a label that it does not have", "appc:a.com/x,flavour=small", undefined],
    ["a label of another value", "appc:a.com/x:3.0", undefined],
    ["its ID and the name of another", `appc:a.com/xy@${ID.replace(":", "-")}`, undefined],
    ["the beginning of its name", "appc:a.com", undefined],
  ])("is found by %s", (_, text, expected) => {
    using temporary = storeOf(...names);
    expect(findImage(temporary.store, parseReference(text))?.name).toBe(expected);
  });

  test("is found only for a platform that it serves", () => {
    using temporary = storeOf(names[0] ?? "");
    const reference = parseReference("appc:a.com/x");
    expect(findImage(temporary.store, reference, parsePlatform("linux/amd64/v3"))?.name).toBe(names[0]);
    expect(findImage(temporary.store, reference, parsePlatform("linux/arm64"))).toBeUndefined();
  });
});

test("a docker image is found by its canonical name, and not by that of another", () => {
  using temporary = storeOf("docker.io/library/busybox:latest", "docker.io/library/busybox:1");
  expect(findImage(temporary.store, parseReference("busybox"))?.name).toBe("docker.io/library/busybox:latest");
  expect(findImage(temporary.store, parseReference("busybox:2"))).toBeUndefined();
});
