import { existsSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { digestOf, openStore } from "../../store/index.ts";
import { codeOf, forgeReboot, makeLayer, openIndex, temporaryStore } from "./fixtures/temporary-store.ts";

const key = digestOf("base");

describe("layers.stage", () => {
  test("commits a tree under a short name, with what the caller wants to know again", () => {
    using temporary = temporaryStore();
    const { store, lease, root } = temporary;
    const layer = makeLayer(store, lease, "base");
    expect(layer).toMatchObject({ key, kind: "layer", sizeBytes: 4, entryCount: 2, facts: { name: "base" } });
    expect(layer.shortId).toMatch(/^[a-z2-7]{6}$/);
    expect(layer.path).toBe(join(root, "layers", layer.shortId));
    expect(readFileSync(join(layer.fsPath, "etc/name"), "utf8")).toBe("base");
    expect(readFileSync(layer.indexPath, "utf8")).toBe("base");
    expect(store.layers.get(key)).toEqual(layer);
    expect(readdirSync(join(root, "staging"))).toEqual([]);
  });

  test("makes an empty tree of mode 0755 whatever the umask", () => {
    using temporary = temporaryStore();
    const before = process.umask(0o077);
    try {
      const claim = temporary.store.layers.stage({ key, kind: "layer", lease: temporary.lease });
      if (claim.state !== "claimed") throw new Error(claim.state);
      using staged = claim.staged;
      expect(statSync(staged.fsPath).mode & 0o7777).toBe(0o755);
      expect(readdirSync(staged.fsPath)).toEqual([]);
      expect(existsSync(staged.indexPath)).toBe(false);
    } finally {
      process.umask(before);
    }
  });

  test("removes what was not committed", () => {
    using temporary = temporaryStore();
    const { store, lease, root } = temporary;
    const claim = store.layers.stage({ key, kind: "layer", lease });
    if (claim.state !== "claimed") throw new Error(claim.state);
    expect(store.layers.stage({ key, kind: "layer", lease }).state).toBe("busy");
    claim.staged[Symbol.dispose]();
    expect(readdirSync(join(root, "staging"))).toEqual([]);
    expect(store.layers.get(key)).toBeUndefined();
    expect(store.layers.stage({ key, kind: "layer", lease }).state).toBe("claimed");
  });

  test("is present once committed", () => {
    using temporary = temporaryStore();
    const { store, lease } = temporary;
    const layer = makeLayer(store, lease, "base");
    expect(store.layers.stage({ key, kind: "layer", lease })).toEqual({ state: "present", layer });
  });

  test("keeps the fix-up of an image of one layer apart from that layer, though they share a key", () => {
    using temporary = temporaryStore();
    const { store, lease } = temporary;
    const layer = makeLayer(store, lease, "base");
    const fixup = makeLayer(store, lease, "base", "fixup");
    expect(fixup.key).toBe(layer.key);
    expect(store.layers.get(key)).toEqual(layer);
    expect(store.layers.get(key, "fixup")).toEqual(fixup);
    expect(store.layers.remove(key, "layer")).toBe(true);
    expect(store.layers.get(key)).toEqual(fixup);
  });

  test.each([
    ["a list", []],
    ["more than 4 KiB", { text: "x".repeat(4096) }],
    ["nothing", null],
    ["what JSON turns into something else", new Date(0)],
  ])("refuses %s as facts", (_, facts) => {
    using temporary = temporaryStore();
    const { store, lease } = temporary;
    const claim = store.layers.stage({ key, kind: "layer", lease });
    if (claim.state !== "claimed") throw new Error(claim.state);
    using staged = claim.staged;
    const commit = () =>
      staged.commit({ sizeBytes: 0, entryCount: 0, facts: facts as unknown as Record<string, unknown> });
    expect(codeOf(commit)).toBe("layer-invalid-facts");
  });

  test("refuses to commit a claim that is no longer held", () => {
    using temporary = temporaryStore();
    const { store, lease, root } = temporary;
    const claim = store.layers.stage({ key, kind: "layer", lease });
    if (claim.state !== "claimed") throw new Error(claim.state);
    using staged = claim.staged;
    using index = openIndex(root);
    index.exec("DELETE FROM staging");
    expect(codeOf(() => staged.commit({ sizeBytes: 0, entryCount: 0, facts: {} }))).toBe("lease-lost");
  });

  test("needs a lease that is held", () => {
    using temporary = temporaryStore();
    temporary.lease.release();
    expect(codeOf(() => temporary.store.layers.stage({ key, kind: "layer", lease: temporary.lease }))).toBe(
      "lease-lost",
    );
  });

  test("has flushed the tree before it commits under full durability", () => {
    using temporary = temporaryStore({ durability: "full" });
    makeLayer(temporary.store, temporary.lease, "base");
    expect(temporary.store.usage().unsynced).toBe(0);
  });
});

describe("layers.get", () => {
  test("knows nothing of a layer that an earlier boot left unflushed, and lets it be made again", () => {
    using temporary = temporaryStore();
    const { store, lease, root } = temporary;
    const old = makeLayer(store, lease, "base");
    store.rootfs.create({ id: "user", imageDigest: key, backend: "copy", readOnly: false, layers: [key] });
    forgeReboot(root);
    expect(store.layers.get(key)).toBeUndefined();
    const made = makeLayer(store, lease, "base");
    expect(made.shortId).not.toBe(old.shortId);
    expect(readdirSync(join(root, "layers"))).toEqual([made.shortId]);
    expect(store.rootfs.get("user")?.layers).toEqual([{ key, kind: "layer" }]);
  });

  test("trusts after a reboot what was flushed", () => {
    using temporary = temporaryStore();
    {
      using store = openStore({ root: temporary.root, sync: () => undefined });
      makeLayer(store, store.leases.acquire({ purpose: "test" }), "base");
    }
    using index = openIndex(temporary.root);
    index.exec("UPDATE layer SET boot_id = 'earlier'");
    expect(temporary.store.layers.get(key)).toBeDefined();
  });

  test("knows nothing of a layer whose directory is gone", () => {
    using temporary = temporaryStore();
    const { store, lease } = temporary;
    rmSync(makeLayer(store, lease, "base").path, { recursive: true });
    expect(store.layers.get(key)).toBeUndefined();
    expect(store.layers.stage({ key, kind: "layer", lease }).state).toBe("claimed");
  });
});

describe("layers.remove", () => {
  test("removes row and tree", () => {
    using temporary = temporaryStore();
    const { store, lease, root } = temporary;
    makeLayer(store, lease, "base");
    expect(store.layers.remove(key)).toBe(true);
    expect(store.layers.remove(key)).toBe(false);
    expect(readdirSync(join(root, "layers"))).toEqual([]);
    expect(readdirSync(join(root, "staging"))).toEqual([]);
  });

  test("refuses a layer that a rootfs stands on, and says which", () => {
    using temporary = temporaryStore();
    const { store, lease } = temporary;
    const layer = makeLayer(store, lease, "base");
    store.rootfs.create({ id: "user", imageDigest: key, backend: "copy", readOnly: false, layers: [key] });
    expect(() => store.layers.remove(key)).toThrow(
      expect.objectContaining({ code: "layer-in-use", details: { key, rootfs: ["user"] } }),
    );
    expect(existsSync(layer.path)).toBe(true);
  });
});

test("the schema itself refuses to lose a layer that a rootfs stands on", () => {
  using temporary = temporaryStore();
  const { store, lease, root } = temporary;
  makeLayer(store, lease, "base");
  store.rootfs.create({ id: "user", imageDigest: key, backend: "copy", readOnly: false, layers: [key] });
  using index = openIndex(root);
  expect(() => index.exec("DELETE FROM layer")).toThrow(/FOREIGN KEY/);
});
