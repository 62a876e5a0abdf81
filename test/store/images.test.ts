import { describe, expect, test } from "vitest";
import { digestOf } from "../../store/index.ts";
import { codeOf, makeImage, openIndex, temporaryStore } from "./fixtures/temporary-store.ts";

describe("images.set", () => {
  test("remembers everything, layers base first", () => {
    using temporary = temporaryStore();
    const { store, lease } = temporary;
    const { image, layers, manifestDigest, configDigest } = makeImage(store, lease, "example.com/app:1", [
      "z",
      "a",
      "m",
    ]);
    expect(image).toMatchObject({
      name: "example.com/app:1",
      platform: "linux/amd64",
      manifestDigest,
      configDigest,
      pinned: false,
    });
    expect(image.layers).toEqual(layers);
    expect(store.images.get("example.com/app:1")).toEqual(image);
    expect(store.images.findByDigest(manifestDigest)).toEqual([image]);
    expect(store.images.findByDigest(configDigest)).toEqual([image]);
  });

  test("moves a name, and keeps its pin and its birthday", () => {
    using temporary = temporaryStore();
    const { store, lease } = temporary;
    const first = makeImage(store, lease, "app", ["base"]).image;
    store.images.pin("app", true);
    const manifestDigest = store.blobs.put(Buffer.from("newer"), { lease }).digest;
    const second = store.images.set({ ...newImage(first), manifestDigest, layers: [], lease });
    expect(second).toMatchObject({ manifestDigest, pinned: true, createdAt: first.createdAt, layers: [] });
    expect(store.images.list()).toHaveLength(1);
  });

  test("takes the same layer twice", () => {
    using temporary = temporaryStore();
    const { store, lease } = temporary;
    const { image } = makeImage(store, lease, "app", ["base"]);
    const [layer] = image.layers;
    if (layer?.blob === undefined) throw new Error("no layer");
    const twice = [layer, layer].map(({ diffId }) => ({ diffId }));
    expect(store.images.set({ ...newImage(image), layers: twice, lease }).layers).toHaveLength(2);
  });

  test("refuses to name a manifest that is not stored", () => {
    using temporary = temporaryStore();
    const { store, lease } = temporary;
    const { image } = makeImage(store, lease, "app", []);
    const set = () => store.images.set({ ...newImage(image), manifestDigest: digestOf("missing"), layers: [], lease });
    expect(codeOf(set)).toBe("blob-missing");
  });

  test("needs a lease that is held", () => {
    using temporary = temporaryStore();
    const { store, lease } = temporary;
    const { image } = makeImage(store, lease, "app", []);
    lease.release();
    expect(codeOf(() => store.images.set({ ...newImage(image), layers: [], lease }))).toBe("lease-lost");
  });

  test.each(["", "two\nlines", "tab\tbed", "line\nbreak", "nul\0", "x".repeat(5000)])("refuses the name %j", (name) => {
    using temporary = temporaryStore();
    const { store, lease } = temporary;
    const { image } = makeImage(store, lease, "app", []);
    expect(codeOf(() => store.images.set({ ...newImage(image), name, layers: [], lease }))).toBe("image-invalid");
  });
});

describe("one name for several platforms", () => {
  test("is several images, of which the one used last answers when none is asked for", () => {
    using temporary = temporaryStore();
    const { store, lease } = temporary;
    const { image } = makeImage(store, lease, "app", []);
    store.images.set({ ...newImage(image), platform: "linux/arm64", layers: [], lease });
    expect(store.images.list().map(({ platform }) => platform)).toEqual(["linux/amd64", "linux/arm64"]);
    using index = openIndex(temporary.root);
    index.exec("UPDATE image SET last_used_at = 0");
    store.images.touch("app", "linux/amd64");
    expect(store.images.get("app")?.platform).toBe("linux/amd64");
    expect(store.images.get("app", "linux/arm64")?.platform).toBe("linux/arm64");
    expect(store.images.get("app", "linux/riscv64")).toBeUndefined();
    expect(store.images.remove("app", "linux/arm64")).toBe(true);
    expect(store.images.remove("app")).toBe(true);
    expect(store.images.remove("app")).toBe(false);
  });
});

test("images.pin says that there is no such image", () => {
  using temporary = temporaryStore();
  expect(codeOf(() => temporary.store.images.pin("app", true))).toBe("image-not-found");
});

function newImage({ name, platform, manifestDigest, configDigest, mediaType }: ReturnType<typeof makeImage>["image"]) {
  return { name, platform, manifestDigest, configDigest, mediaType };
}
