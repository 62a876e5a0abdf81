import { chmodSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { makeImage, openIndex, temporaryStore } from "./fixtures/temporary-store.ts";

describe("verify", () => {
  test("finds nothing wrong with a good store, and counts what it looked at", () => {
    using temporary = temporaryStore();
    makeImage(temporary.store, temporary.lease, "app", ["base", "top"]);
    expect(temporary.store.verify({ deep: true })).toEqual({
      problems: [],
      checked: { blobs: 4, layers: 2, images: 1, rootfs: 0 },
    });
  });

  test("tells everything that is damaged or missing, and changes nothing", () => {
    using temporary = temporaryStore();
    const { store, lease, root } = temporary;
    const { layers, manifestDigest, configDigest, image } = makeImage(store, lease, "app", ["base"]);
    const [layer] = layers;
    if (layer === undefined) throw new Error("no layer");
    rmSync(store.paths.blob(layer.blob));
    chmodSync(store.paths.blob(configDigest), 0o644);
    writeFileSync(store.paths.blob(configDigest), "y".repeat(store.blobs.get(configDigest)?.size ?? 0));
    rmSync(store.layers.get(layer.diffId)?.path ?? "", { recursive: true });
    using index = openIndex(root);
    index.run("DELETE FROM blob WHERE digest = ?", manifestDigest);
    store.rootfs.create({ id: "a", imageDigest: manifestDigest, backend: "copy", readOnly: false, layers: [] });
    rmSync(store.rootfs.directory("a"), { recursive: true });
    mkdirSync(join(root, "rootfs/lost"));
    const { problems } = store.verify({ deep: true });
    expect(problems.map(({ kind, what }) => [kind, what])).toEqual([
      ...[layer.blob, configDigest].sort().map((digest) => ["blob", digest]),
      ["layer", layer.diffId],
      ["image", image.name],
      ["rootfs", "a"],
      ["orphan", expect.stringMatching(/^blobs\/sha256\//)],
      ["orphan", "rootfs/lost"],
    ]);
    expect(store.verify({ deep: true }).problems).toEqual(problems);
    expect(store.verify().problems).toHaveLength(problems.length - 1); // not deep: sizes, not bytes
    expect(store.verifyBlob(configDigest)).toMatchObject({ kind: "blob", message: expect.stringContaining("sha256:") });
  });
});
