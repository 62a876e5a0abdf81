import { describe, expect, test } from "vitest";
import { digestOf, type Image } from "../../store/index.ts";
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

  test("remembers an image ID and how a tree was taken from its tar", () => {
    using temporary = temporaryStore();
    const { store, lease } = temporary;
    const { image } = makeImage(store, lease, "app", ["base"]);
    const imageId = digestOf("an ACI", "sha512");
    const part = { directory: "rootfs", whitelists: [["/bin/sh"]] };
    const layers = [{ diffId: digestOf("part"), part }];
    const saved = store.images.set({ ...newImage(image), imageId, layers, lease });
    expect(saved).toMatchObject({ imageId, layers: [{ diffId: digestOf("part"), blob: undefined }] });
    expect(store.images.parts(saved)).toEqual([part]);
    expect(store.images.findByDigest(imageId)).toEqual([saved]);
  });

  test("tells parts for the layers that have one, and not those of other layers", () => {
    using temporary = temporaryStore();
    const { store, lease } = temporary;
    const { image } = makeImage(store, lease, "app", ["base"]);
    const [whole, part] = [{ diffId: digestOf("whole") }, { diffId: digestOf("part"), part: { directory: "rootfs" } }];
    const saved = store.images.set({ ...newImage(image), layers: [whole, part, whole], lease });
    expect(store.images.parts(saved)).toEqual([undefined, { directory: "rootfs" }, undefined]);
    expect(codeOf(() => store.images.parts(image))).toBe("image-not-found");
    store.images.set({ ...newImage(image), layers: [part, whole, whole], lease });
    expect(codeOf(() => store.images.parts(saved))).toBe("image-not-found");
    store.images.remove("app");
    expect(codeOf(() => store.images.parts(saved))).toBe("image-not-found");
    using index = openIndex(temporary.root);
    expect(index.all("SELECT * FROM image_part")).toEqual([]);
  });

  test("lists images without the parts of their layers", () => {
    using temporary = temporaryStore();
    const { store, lease } = temporary;
    const { image } = makeImage(store, lease, "app", []);
    const layers = [{ diffId: digestOf("part"), part: { directory: "rootfs" } }];
    store.images.set({ ...newImage(image), layers, lease });
    {
      using index = openIndex(temporary.root);
      index.exec("DROP TABLE image_part");
    }
    expect(store.images.list()).toHaveLength(1);
    expect(store.images.get("app")?.layers).toEqual([{ diffId: digestOf("part"), blob: undefined }]);
  });

  test("tells when a name was last set, be it to what it was before", () => {
    using temporary = temporaryStore();
    const { store, lease } = temporary;
    const { image } = makeImage(store, lease, "app", []);
    expect(image.updatedAt).toBe(image.createdAt);
    {
      using index = openIndex(temporary.root);
      index.exec("UPDATE image SET created_at = 1, updated_at = 1");
    }
    const again = store.images.set({ ...newImage(image), layers: [], lease });
    expect([again.createdAt, again.updatedAt]).toEqual([1, expect.any(Number)]);
    expect(again.updatedAt).toBeGreaterThanOrEqual(image.updatedAt);
    store.images.touch("app");
    expect(store.images.get("app")?.updatedAt).toBe(again.updatedAt);
  });

  test("finds an image under the platform for which it was chosen, until another is", () => {
    using temporary = temporaryStore();
    const { store, lease } = temporary;
    const { image } = makeImage(store, lease, "app", []);
    const set = (platform: string, askedPlatform: string) =>
      store.images.set({ ...newImage(image), layers: [], platform, askedPlatform, lease });
    set("linux/amd64", "linux/amd64/v3");
    expect(store.images.get("app", "linux/amd64/v3")?.platform).toBe("linux/amd64");
    expect(store.images.get("app", "linux/amd64")?.platform).toBe("linux/amd64");
    expect(store.images.get("app", "linux/amd64/v2")).toBeUndefined();
    set("linux/amd64/v2", "linux/amd64/v3");
    expect(store.images.get("app", "linux/amd64/v3")?.platform).toBe("linux/amd64/v2");
    set("linux/amd64/v3", "linux/amd64/v3");
    expect(store.images.get("app", "linux/amd64/v3")?.platform).toBe("linux/amd64/v3");
  });

  test("finds images by how their names begin, wildcards of LIKE being letters like others", () => {
    using temporary = temporaryStore();
    const { store, lease } = temporary;
    for (const name of ["appc:a_b:1", "appc:a_b:2", "appc:aXb:1", "appc:a", "other"]) makeImage(store, lease, name, []);
    expect(
      store.images
        .findByPrefix("appc:a_b:")
        .map(({ name }) => name)
        .sort(),
    ).toEqual(["appc:a_b:1", "appc:a_b:2"]);
    expect(store.images.findByPrefix("appc:zz")).toEqual([]);
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

describe("a name that led to an image", () => {
  test("leads to where it led last", () => {
    using temporary = temporaryStore();
    const { store, lease } = temporary;
    const [one, two] = ["app:1", "app:2"].map((name) => makeImage(store, lease, name, []).image);
    const set = (image: Image | undefined) =>
      store.images.set({ ...newImage(image as Image), layers: [], askedNames: ["app", "other"], lease });
    expect(store.images.getAsked("app")).toBeUndefined();
    for (const image of [one, two, one]) {
      set(image);
      expect(store.images.getAsked("app")?.name).toBe(image?.name);
      expect(store.images.getAsked("other", "linux/amd64")?.name).toBe(image?.name);
    }
    store.images.set({ ...newImage(two as Image), layers: [], lease });
    expect(store.images.getAsked("app")?.name).toBe("app:1");
    expect(store.images.get("app")).toBeUndefined();
  });

  test("leads to one image for each platform", () => {
    using temporary = temporaryStore();
    const { store, lease } = temporary;
    const { image } = makeImage(store, lease, "app:1", []);
    const set = (platform: string, askedPlatform: string) =>
      store.images.set({ ...newImage(image), layers: [], platform, askedPlatform, askedNames: ["app"], lease });
    set("linux/arm64", "linux/arm64");
    set("linux/amd64", "linux/amd64/v3");
    const led = (platform?: string) => store.images.getAsked("app", platform)?.platform;
    expect(["linux/arm64", "linux/amd64", "linux/amd64/v3"].map(led)).toEqual([
      "linux/arm64",
      "linux/amd64",
      "linux/amd64",
    ]);
    expect([led("linux/riscv64"), led()]).toEqual([undefined, "linux/amd64"]);
  });

  test("leads nowhere when that image is gone", () => {
    using temporary = temporaryStore();
    const { store, lease } = temporary;
    const { image } = makeImage(store, lease, "app:1", []);
    store.images.set({ ...newImage(image), layers: [], askedNames: ["app"], lease });
    store.images.remove("app:1");
    expect(store.images.getAsked("app")).toBeUndefined();
  });

  test("leads nowhere else when an image has it for its own", () => {
    using temporary = temporaryStore();
    const { store, lease } = temporary;
    const { image } = makeImage(store, lease, "app:1", []);
    store.images.set({ ...newImage(image), layers: [], askedNames: ["app"], lease });
    makeImage(store, lease, "app", []);
    expect(store.images.getAsked("app")).toBeUndefined();
  });

  test("is one that an image could have", () => {
    using temporary = temporaryStore();
    const { store, lease } = temporary;
    const { image } = makeImage(store, lease, "app", []);
    const set = () => store.images.set({ ...newImage(image), layers: [], askedNames: ["a\nb"], lease });
    expect(codeOf(set)).toBe("image-invalid");
  });
});

test("images.pin says that there is no such image", () => {
  using temporary = temporaryStore();
  expect(codeOf(() => temporary.store.images.pin("app", true))).toBe("image-not-found");
});

function newImage({ name, platform, manifestDigest, configDigest, mediaType }: Image) {
  return { name, platform, manifestDigest, configDigest, mediaType };
}
